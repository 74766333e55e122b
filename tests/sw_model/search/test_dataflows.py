"""The search with both dataflows: nothing is wrong, every batch ends, each guard is needed, and nothing is left out."""

import itertools
import re
from graphlib import TopologicalSorter

import pytest

from tests.support.paths import DOCS
from tests.support.states import reachable
from trajectile.sw_model.search.batches import Batches
from trajectile.sw_model.search.dataflow_state import GUARDS, SHARED, SPREAD, Case, Kind
from trajectile.sw_model.search.dataflows import Dataflows, search_dataflows

regress = pytest.mark.regress
SHARED_ONLY = (SHARED,)
#: words of three tiles, of which any may have no tokens
NO_TOKENS = tuple(itertools.product((0, 1), repeat=3))


def case(tiles, slots=2, **changes):
    """With two slots."""
    return Case(tiles=tiles, slots=slots, **changes)


def title(value):
    """What is not as usual."""
    usual = vars(case(2))
    return " ".join(f"{name}={number}" for name, number in vars(value).items()
                    if number != usual[name]) if isinstance(value, Case) else str(value)


@pytest.mark.parametrize("case_", [
    # every combination of kinds, whatever is late
    case(2, batches=1), case(2, batches=1, beats=(1, 2), words=((2, 3),), depth=2, room=2), case(2, most_slices=0),
    case(3, batches=1, most_slices=1), case(3, batches=1, kinds=SHARED_ONLY, words=((2, 0, 1),), beats=(1, 0, 2)),
    case(4, batches=1, kinds=SHARED_ONLY, most_slices=0),
    # any tile may have no tokens in a batch
    case(2, batches=1, kinds=SHARED_ONLY, most_slices=0, words=((1, 1), (1, 0), (0, 1), (0, 0))),
    # what needs nobody at once
    case(2, at_once=True), case(2, slots=3, at_once=True), case(3, batches=1, at_once=True),
    case(4, batches=1, most_slices=2, at_once=True), case(5, kinds=SHARED_ONLY, at_once=True),
    case(5, batches=1, most_slices=1, at_once=True),
    *(pytest.param(case_, marks=regress) for case_ in (
        case(2), case(2, beats=(1, 0), words=((2, 1),)), case(2, depth=2, room=2, beats=(1, 1)),
        case(3, batches=1, most_slices=2), case(3, kinds=SHARED_ONLY, most_slices=0), case(3, at_once=True),
        case(4, batches=1, at_once=True), case(4, most_slices=1, at_once=True),
        case(2, most_slices=0, words=((1, 1), (1, 0), (0, 1))),
        case(3, at_once=True, kinds=SHARED_ONLY, words=NO_TOKENS), case(4, batches=1, at_once=True, kinds=SHARED_ONLY, words=(
            (1, 1, 1, 1), (1, 0, 0, 0), (0, 1, 0, 1), (0, 0, 1, 1))),
        case(5, batches=1, kinds=SHARED_ONLY, most_slices=0), case(5, batches=1, most_slices=2, at_once=True)))], ids=title)
def test_nothing_is_wrong(case_):
    """Batches of both kinds, any slices, any tile late."""
    found = search_dataflows(case_)
    print(found)
    assert not found.found


#: a guard, a case in which it is missed, and what is found there
MISSED = [
    ("bubble", case(2, at_once=True), "standstill"),
    ("credits", case(2, kinds=SHARED_ONLY, most_slices=0, batches=1, beats=(1, 1)), "which has no room"),
    ("credits", case(3, at_once=True), "which has no room"),
    ("order", case(2, batches=1, beats=(2, 2)), "standstill"),
    ("order", case(2, batches=1), "in another order"),
    ("permit", case(2, batches=1), "which still computes"),
    ("permit", case(3, at_once=True), "which still computes"),
    ("end of the permit", case(2, kinds=SHARED_ONLY, most_slices=0), "come to tile 0 in batch 0"),
    ("end of the permit", case(2, batches=1), "which still computes"),
    ("received", case(3, batches=1, kinds=SHARED_ONLY, most_slices=0), "alone"),
    ("computed", case(2, batches=1), "alone"),
    pytest.param("own credits", case(3, at_once=True), "standstill", marks=regress),
]


@pytest.mark.parametrize(("guard", "case_", "what"), MISSED, ids=title)
def test_guards_are_needed(guard, case_, what):
    """Each one left out is found."""
    found = search_dataflows(Case(**vars(case_) | {"without": guard}))
    print(found)
    assert what in found.found
    last = found.run[-1][1] if found.run else Dataflows(case_).start
    if guard == "own credits":  # a tile waits for the bank of an older batch, and slices wait behind its records
        assert any(tile.queue and tile.rows == tile.ended + 2 for tile in last.tiles)
        assert any(slice_.far for tile in last.tiles for slice_ in tile.slots)


def test_every_guard_is_tried():
    """The list above has them all."""
    assert {getattr(entry, "values", entry)[0] for entry in MISSED} == set(GUARDS)


def test_credits_of_a_lane_do_with_two_tiles():
    """The standstill of one pool takes three tiles: a batch that has ended in a tile needs nothing more from it."""
    assert not search_dataflows(case(2, without="own credits", most_slices=1)).found


@pytest.mark.parametrize("changes", [
    {"batches": 1}, {"most_slices": 0}, {"batches": 1, "beats": (1, 0), "words": ((0, 2),), "room": 2},
    {"tiles": 3, "batches": 1, "most_slices": 1}, pytest.param({}, marks=regress),
    pytest.param({"tiles": 3, "batches": 1, "most_slices": 2}, marks=regress)], ids=title)
def test_what_happens_at_once_leaves_nothing_out(changes):
    """Where nothing is left that could happen at once, the two searches see the same states."""
    few, many = (Dataflows(Case(**{"tiles": 2, "slots": 2} | changes, at_once=at_once)) for at_once in (True, False))
    every = reachable(many)
    settled = {state for state in every if not any(True for at in range(many.tiles) for _ in many.quick(state, at))}
    assert settled == reachable(few) and len(settled) < len(every)


class Unturned(Batches):
    """Rotations count."""

    def canonical(self, tiles):
        base = min(tile.ended for tile in tiles)
        return tuple(tile._replace(ended=tile.ended - base, rows=tile.rows - base, counted=tile.counted - base,
                                   listed=tile.listed - base, slots=tuple(slice_._replace(batch=slice_.batch - base)
                                                                          for slice_ in tile.slots)) for tile in tiles)


@pytest.mark.parametrize("changes", [{}, {"batches": 1}, {"slots": 3}, {"tiles": 3, "batches": 1}], ids=str)
def test_spread_batches_are_those_of_the_other_search(changes):
    """Without shared batches the states are those of ``batches.py``."""
    alone = Case(**{"tiles": 2, "slots": 2} | changes, kinds=(SPREAD,), at_once=True)
    system = Dataflows(alone)
    states = {tuple((tile.ended, tile.rows, tile.counted, tile.listed, tile.slots) for tile in state.tiles)
              for state in reachable(system) if not system.chooses(state)}
    assert states == reachable(Unturned(alone.tiles, alone.slots, alone.batches, True, True, False, True))


class TwoBatches(Dataflows):
    """Batches keep their numbers, and there are only two."""

    def numbered(self, state, base):
        return state

    def chooses(self, state):
        return len(state.shared) < 2 and super().chooses(state)


@pytest.mark.parametrize("case_", [
    case(2, most_slices=0), case(2, batches=1, words=((2, 0),)), case(3, batches=1, kinds=SHARED_ONLY),
    case(3, batches=1, at_once=True), pytest.param(case(2), marks=regress),
    pytest.param(case(3, at_once=True), marks=regress)], ids=title)
def test_every_batch_ends(case_):
    """But for loads no step can come again, and where none is left all batches have ended."""
    system = TwoBatches(case_)
    after = {state: list(system.steps(state)) for state in reachable(system)}
    TopologicalSorter({state: {new for name, new in steps if " loads " not in name}
                       for state, steps in after.items()}).prepare()  # raises CycleError
    ends = [state for state, steps in after.items() if not steps]
    print(len(after), "states,", len(ends), "ends")
    assert {state.shared for state in ends} == {
        (first, second) for first in (0, 1) for second in (0, 1) if "spread" in case_.kinds or (first and second)}
    assert all(tile.ended == 2 for state in ends for tile in state.tiles)


def test_what_is_late_is_looked_at():
    """Records of the next batch wait for a tile that has not ended; slices and sums of two batches are on lanes at once; a
    tile adds up while its neighbour computes; a slice waits for rows that come round the ring.
    """
    states = reachable(Dataflows(case(2, batches=1)))
    assert any(tile.queue and not tile.rows and tile.items == 0 and tile.slots for state in states for tile in state.tiles)
    states |= reachable(Dataflows(case(2, most_slices=1)))
    pairs = [pair for state in states for pair in (state.tiles, state.tiles[::-1])]
    assert any(here.adds and not there.adds and there.ended == here.ended for here, there in pairs)
    lanes = {(flit.kind, flit.batch, there.lane[0].kind, there.lane[0].batch)
             for here, there in pairs for flit in here.lane if there.lane}
    assert (Kind.SUMS, 0, Kind.RECORD, 1) in lanes and (Kind.SUMS, 0, Kind.SLICE, 1) in lanes
    assert any(slice_.batch == 0 and slice_.todo and state.shared[0] and tile.items
               for state in states for tile in state.tiles for slice_ in tile.slots)
    kinds = {state.shared[:2] for state in states if len(state.shared) > 1}
    assert len(kinds) == 4


def test_a_permit_may_be_early():
    """The far end gets nothing of a batch, has ended it, and permits the next, while this tile still computes the first."""
    only_first = Case(tiles=3, slots=2, kinds=SHARED_ONLY, words=((1, 1, 1), (1, 0, 0)), at_once=True)
    states = reachable(Dataflows(only_first))
    assert any(state.tiles[0].permitted and not state.tiles[0].adds and state.tiles[0].ended == 0 and state.shared[0] == 2
               and state.tiles[1].ended == 1 and state.tiles[1].adds for state in states)


@pytest.mark.parametrize("changes", [
    {"tiles": 1}, {"slots": 0}, {"batches": 0}, {"depth": 0}, {"room": 0}, {"kinds": ()}, {"kinds": ("both",)},
    {"beats": (1,)}, {"words": ((1, -1),)}, {"without": "rule 4"}, {"most_slices": -1}])
def test_rings_that_are_none(changes):
    """What is legal is said."""
    with pytest.raises(ValueError, match="legal"):
        Case(**{"tiles": 2, "slots": 2} | changes)


def test_too_many_states():
    """It gives up where it is told to, and says so."""
    with pytest.raises(MemoryError, match="100 states"):
        search_dataflows(case(2), most_states=100)


def test_page_has_the_figures():
    """docs/rules.md: the rings that take no time."""
    page = (DOCS / "rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d), (\d) \| (\d) \| (both|shared) \| (all|none|\d) \| (at any time|at once) \| ([\d,]+) "
                      r"\| none \|$", page, re.M)
    few = [row for row in rows if len(row[6]) < 6]
    assert len(few) > 4 and {row[5] for row in few} == {"at any time", "at once"}
    for tiles, slots, batches, kinds, slices, happens, states in few:
        found = search_dataflows(Case(
            tiles=int(tiles), slots=int(slots), batches=int(batches), at_once=happens == "at once",
            kinds=(SPREAD, SHARED) if kinds == "both" else (SHARED,),
            most_slices=None if slices == "all" else int(slices.replace("none", "0"))))
        assert found.states == int(states.replace(",", "")) and not found.found
