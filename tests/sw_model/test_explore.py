"""The exhaustive search: the rules come to no standstill, and what is known to come to one is found."""

import itertools

import pytest

from sw_model.explore import search

#: 4 tiles, 2 slots: a standstill without rule 4 (the project's brief)
KNOWN = [[(0, 1, 2), (1, 2)], [(0, 2), (1, 2)], [(0,), (1, 3)], [(0, 1, 3), (0, 1, 2)]]


@pytest.mark.parametrize(("tiles", "slots"), [(2, 2), (2, 3), (3, 2), (3, 3), (4, 2), (4, 3), (5, 2)])
def test_the_rules_never_stand_still(tiles, slots):
    """Any slices, in any mix and number."""
    found = search(tiles, slots)
    print(found.states, "states")
    assert found.standstill is None


@pytest.mark.parametrize("tiles", [2, 3, 4])
def test_without_the_bubble_they_do(tiles):
    """Every slot full, every slice waiting."""
    found = search(tiles, 2, bubble=False)
    assert found.standstill is not None and all(len(held) == 2 for held in found.standstill[-1])


def test_without_rule_4_they_do():
    """The known case, and one that the search finds by itself; with rule 4 the known case is harmless."""
    known = search(4, 2, escape=False, supply=KNOWN)
    assert known.standstill is not None and () in known.standstill[-1]  # a tile stands empty meanwhile
    assert search(4, 2, escape=False).standstill is not None
    assert search(4, 2, supply=KNOWN).standstill is None


def test_a_path_is_a_path():
    """Each state of what is found follows from the one before: one slice more, or one moved."""
    path = search(4, 2, escape=False, supply=KNOWN).standstill
    assert path is not None and path[0] == ((),) * 4
    for before, after in itertools.pairwise(path):
        assert before != after and sum(map(len, after)) - sum(map(len, before)) in (-1, 0, 1)


def test_one_slice_goes_all_the_way():
    """Three states of loading and two hops, by hand: loaded at 0 with stops 1 and 2."""
    assert search(3, 2, supply=[[(1, 2)], [], []]).states == 4  # empty, at 0, at 1, gone


@pytest.mark.parametrize("arguments", [
    {"tiles": 1, "slots": 2}, {"tiles": 3, "slots": 0}, {"tiles": 3, "slots": 2, "supply": [[]]},
    {"tiles": 2, "slots": 2, "supply": [[(2,)], []]}])
def test_rings_that_are_none(arguments):
    """What is legal is said."""
    with pytest.raises(ValueError, match="legal"):
        search(**arguments)


def test_too_many_states():
    """It gives up where it is told to, and says so."""
    with pytest.raises(MemoryError, match="100 states"):
        search(4, 2, most_states=100)
