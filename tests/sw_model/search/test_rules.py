"""The exhaustive search: the rules come to no standstill, and what is known to come to one is found."""

import itertools
import re

import numpy as np
import pytest

from tests.support.paths import DOCS
from trajectile.sw_model.search import frontier
from trajectile.sw_model.search.rules import search
from trajectile.sw_model.search.visits import search_visits

#: 4 tiles, 2 slots: a standstill without rule 4, chosen by hand
KNOWN = [[(0, 1, 2), (1, 2)], [(0, 2), (1, 2)], [(0,), (1, 3)], [(0, 1, 3), (0, 1, 2)]]


@pytest.mark.parametrize(("tiles", "slots"), [
    (2, 2), (2, 3), (3, 2), (3, 3), (4, 2), (4, 3), (5, 2), pytest.param(5, 3, marks=pytest.mark.regress)])
def test_the_rules_never_stand_still(tiles, slots):
    """Any slices, in any mix and number."""
    found = search(tiles, slots)
    print(found)
    assert found.standstill is None


@pytest.mark.parametrize(("tiles", "slots", "states"), [(2, 2, 3), (2, 3, 6), (3, 2, 41), (3, 3, 238), (4, 2, 1500)])
def test_all_states_are_seen(tiles, slots, states):
    """As many as a plain search over tuples finds."""
    def rotations(state):
        return [state[turn:] + state[:turn] for turn in range(tiles)]

    found, todo = set(), [((),) * tiles]
    while todo:
        state = todo.pop()
        if min(rotations(state)) in found:
            continue
        found.add(min(rotations(state)))
        for here, there in ((tile, (tile + 1) % tiles) for tile in range(tiles)):
            changes = [(distance, None) for distance in range(1, tiles) if len(state[here]) <= slots - 2]
            changes += [(None, distance) for distance in set(state[here]) if len(state[there]) < slots]
            for loaded, sent in changes:
                held = [list(slices) for slices in state]
                if loaded:
                    held[here].append(loaded)
                else:
                    held[here].remove(sent)
                    held[there] += [sent - 1] * (sent > 1)
                todo.append(tuple(tuple(sorted(slices)) for slices in held))
    assert search(tiles, slots).states == len(found) == states


@pytest.mark.parametrize("tiles", [2, 3, 4])
def test_without_the_bubble_they_do(tiles):
    """Every slot full, every slice waiting."""
    found = search(tiles, 2, bubble=False)
    print(found)
    assert found.standstill is not None and all(len(held) == 2 for held in found.standstill[-1])


def test_without_rule_4_they_do():
    """The known case, and one that the search finds by itself; with rule 4 the known case is harmless."""
    known = search(4, 2, escape=False, supply=KNOWN)
    assert known.standstill is not None and () in known.standstill[-1]  # a tile stands empty meanwhile
    assert search(4, 2, supply=KNOWN).standstill is None
    found = search(4, 2, escape=False)
    print(found)
    # two tiles full of slices for each other, and the two between them empty
    assert found.standstill is not None and sorted(found.standstill[-1]) == [(), (), (2, 2), (2, 2)]
    assert search(3, 2, escape=False).standstill is None  # it takes four tiles


@pytest.mark.parametrize("tiles", [3, 4])
def test_two_ways_through_the_same_slots_do(tiles):
    """Slices that travel the ring in both directions: two neighbours full of slices for each other."""
    found = search(tiles, 2, both_ways=True)
    print(found)
    assert found.standstill is not None
    last = found.standstill[-1]
    assert any(len(here) == len(there) == 2 and min(here) > 0 > max(there)
               for here, there in zip(last, last[1:] + last[:1], strict=True))


@pytest.mark.parametrize("options", [{"escape": False, "supply": KNOWN}, {"escape": False}, {"bubble": False},
                                     {"both_ways": True}])
def test_a_run_is_a_run(options):
    """Each state of what is found follows from the one before: one slice more, or one moved; and each has its line."""
    found = search(4, 2, **options)
    assert found.standstill is not None and found.standstill[0] == ((),) * 4
    for step, (before, after) in zip(found.steps[1:], itertools.pairwise(found.standstill), strict=True):
        changed = [tile for tile in range(4) if before[tile] != after[tile]]
        number = [len(after[tile]) - len(before[tile]) for tile in changed]
        assert number == [1] if "loads" in step else sorted(number) in ([-1], [-1, 1])
        assert all(f"tile {tile}" in step for tile in changed)
    assert len(str(found).splitlines()) == 1 + len(found.standstill)


def test_one_slice_goes_all_the_way():
    """Three states of loading and two hops, by hand: loaded at 0 with stops 1 and 2."""
    assert search(3, 2, supply=[[(1, 2)], [], []]).states == 4  # empty, at 0, at 1, gone


def test_a_slice_that_stops_where_it_is_loaded():
    """It is loaded, computed and gone: only the list gets shorter."""
    assert search(3, 2, supply=[[(0,), (0,)], [], []]).states == 3


@pytest.mark.parametrize("arguments", [
    {"tiles": 1, "slots": 2}, {"tiles": 3, "slots": 0}, {"tiles": 3, "slots": 2, "supply": [[]]},
    {"tiles": 2, "slots": 2, "supply": [[(2,)], []]}, {"tiles": 9, "slots": 4}])
def test_rings_that_are_none(arguments):
    """What is legal is said."""
    with pytest.raises(ValueError, match="legal"):
        search(**arguments)


def test_too_many_states():
    """It gives up where it is told to, and says so."""
    with pytest.raises(MemoryError, match="100 states"):
        search(4, 2, most_states=100)


def test_page_has_the_figures():
    """docs/rules.md: the rings that take no time, of both searches."""
    page = (DOCS / "rules.md").read_text()
    seen = set()
    row = r"^\| (\d), (\d) (?:\| (\d+)(?: \(all\))? )?\| ([\d,]+) \| none \|$"
    for tiles, slots, most, states in re.findall(row, page, re.M):
        number = int(states.replace(",", ""))
        if number < 100_000:
            ring = int(tiles), int(slots)
            assert (search_visits(*ring, int(most)) if most else search(*ring)).states == number
            seen.add(bool(most))
    assert seen == {True, False}


class Counter:
    """Counts to 1000 in steps of 3 and 7, for the search itself."""

    start = 0

    def steps(self, states):
        for step in (3, 7):
            where = states + np.uint64(step) <= 1000
            yield frontier.Step(f"+{step}", where, states[where] + np.uint64(step))

    def canonical(self, states):
        return states

    def wanted(self, states):
        return states == self.goal

    def __init__(self, goal):
        self.goal = goal


def test_the_search_itself(monkeypatch):
    """Every sum, each once, whatever the size of the pieces; a shortest run; none where there is none."""
    sums = sorted({3 * a + 7 * b for a in range(334) for b in range(143) if 3 * a + 7 * b <= 1000})
    for chunk in (1, 10, 1 << 20):
        monkeypatch.setattr(frontier, "CHUNK", chunk)
        walk, states = frontier.search(Counter(2000), 10_000, keep=True)
        assert states.tolist() == sums and walk.states == len(sums) and walk.run is None
        walk, states = frontier.search(Counter(23), 10_000)
        assert len(walk.run) == 6 and walk.run[-1][1] == 23 and not states.size  # 7 + 7 + 3 + 3 + 3
