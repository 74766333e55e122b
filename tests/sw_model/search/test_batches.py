"""The search with slices of several batches: no standstill, those that must be found, and that it leaves nothing out."""

import re

import pytest

from tests.support.paths import DOCS
from tests.support.states import reachable
from trajectile.sw_model.search.batches import Batches, Slice, search_batches

regress = pytest.mark.regress


@pytest.mark.parametrize(("tiles", "slots", "batches", "at_once"), [
    (2, 2, 1, False), (2, 2, 2, False), (2, 3, 1, False), (2, 2, 2, True), (2, 3, 2, True), (3, 2, 1, True), (3, 2, 2, True),
    *(pytest.param(*ring, marks=regress) for ring in (
        (2, 3, 2, False), (3, 2, 1, False), (4, 2, 1, True), (3, 3, 1, True)))])
def test_they_never_stand_still(tiles, slots, batches, at_once):
    """Any slices of any batches, any tile late."""
    found = search_batches(tiles, slots, batches=batches, at_once=at_once)
    print(found)
    assert not found.found


@pytest.mark.parametrize("batches", [1, 2])
@pytest.mark.parametrize("turns", [False, True])
def test_counts_before_there_is_room_do(batches, turns):
    """Slices of a batch wait for rows, which wait for the token buffer of a batch that waits for their slots."""
    found = search_batches(2, 2, batches=batches, early=True, turns=turns)
    print(found)
    last = found.run[-1][1]
    assert found.found == "standstill"
    assert any(slice_.todo and slice_.batch >= tile.rows for tile in last for slice_ in tile.slots)


@pytest.mark.parametrize("at_once", [False, True])
def test_without_the_bubble_they_do(at_once):
    """Every slot full of slices that wait."""
    found = search_batches(2, 2, bubble=False, at_once=at_once)
    print(found)
    assert found.found == "standstill" and all(len(tile.slots) == 2 for tile in found.run[-1][1])


class Unturned(Batches):
    """States are kept as they are, but for the numbers of the batches."""

    def canonical(self, tiles):
        turned = super().canonical(tiles)
        return next(candidate for turn in range(self.tiles) for candidate in [turned[turn:] + turned[:turn]]
                    if all(here.slots == tuple(slice_._replace(batch=slice_.batch - base) for slice_ in there.slots)
                           and here.ended == there.ended - base and here.counted == there.counted - base
                           and here.rows == there.rows - base and here.listed == there.listed - base
                           for base in [min(tile.ended for tile in tiles)]
                           for here, there in zip(candidate, tiles, strict=True)))


@pytest.mark.parametrize("batches", [1, 2])
def test_rotations_leave_nothing_out(batches):
    """The states are those of the search without symmetry, turned."""
    arguments = (2, 2, batches, True, True, False, batches == 2)
    few, many = Batches(*arguments), Unturned(*arguments)
    every = reachable(many)
    assert {few.canonical(list(state)) for state in every} == reachable(few)
    assert len(every) > len(reachable(few))


def test_rows_at_once_leave_nothing_out():
    """Where all rows that can come have come, the two searches see the same states."""
    few = reachable(Batches(2, 2, 2, True, True, False, True))
    many = reachable(Batches(2, 2, 2, True, True, False, False))
    assert {state for state in many if all(tile.rows == tile.ended + 2 for tile in state)} == few


def test_two_batches_are_in_the_ring_at_once():
    """A tile has slices of the next batch while its neighbour has some of this one; rows are late; a tile is ahead."""
    states = reachable(Batches(2, 2, 2, True, True, False, False))
    assert any({slice_.batch for tile in state for slice_ in tile.slots} == {0, 1} for state in states)
    pairs = [pair for state in states for pair in (state, state[::-1])]
    assert any(Slice(0, False, 1) in here.slots and Slice(1, True, 0) in there.slots for here, there in pairs)
    assert any(tile.rows == 0 and tile.slots for state in states for tile in state)
    assert any(here.ended == 1 and there.listed == 0 for here, there in pairs)


@pytest.mark.parametrize("arguments", [
    {"tiles": 1}, {"slots": 0}, {"batches": 0}, {"early": True, "at_once": True}])
def test_rings_that_are_none(arguments):
    """What is legal is said."""
    with pytest.raises(ValueError, match="legal"):
        search_batches(**{"tiles": 2, "slots": 2} | arguments)


def test_too_many_states():
    """It gives up where it is told to, and says so."""
    with pytest.raises(MemoryError, match="100 states"):
        search_batches(2, 2, most_states=100)


def test_page_has_the_figures():
    """docs/rules.md: the rings that take no time."""
    page = (DOCS / "rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d), (\d) \| (\d) \| (at any time|at once) \| ([\d,]+) \| none \|$", page, re.M)
    few = [row for row in rows if len(row[4]) < 6]
    assert len(few) > 2 and {row[3] for row in rows} == {"at any time", "at once"}
    for tiles, slots, batches, rows_come, states in few:
        found = search_batches(int(tiles), int(slots), batches=int(batches), at_once=rows_come == "at once")
        assert found.states == int(states.replace(",", "")) and not found.found
