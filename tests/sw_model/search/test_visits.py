"""The search with requests, reservations, compute and turns; and that its reductions leave nothing out."""

import numpy as np
import pytest

from tests.support.naive_rules import Rules
from trajectile.sw_model.search import frontier
from trajectile.sw_model.search.trajectory import Action, Ring, WrongVisit, steps_left, trajectories
from trajectile.sw_model.search.visits import Kinds, Traffic, search_visits

regress = pytest.mark.regress


@pytest.mark.parametrize("tiles", [2, 3, 4, pytest.param(5, marks=regress)])
def test_every_stop_is_met_exactly_once(tiles):
    """Every trajectory, from every tile, in every order of events; and every action brings a slice nearer to its end."""
    found = trajectories(Ring(tiles))
    left = steps_left(found)
    print(len(found), "states, at most", max(left.values()), "actions")
    for slice_, actions in found.items():
        assert all(action.after is None or left[action.after] < left[slice_] for action in actions)


class Stays(Ring):
    """The stops ahead are still those of the tile before."""

    def granted(self, slice_):
        return super().granted(slice_)._replace(ahead=slice_.ahead)


class CountsItself(Ring):
    """The first of the stops ahead is the tile that loads."""

    def load(self, origin, stops):
        return super().load(origin, stops)._replace(ahead=stops)


class Forgets(Ring):
    """What the request says is not looked at."""

    def granted(self, slice_):
        return super().granted(slice_)._replace(todo=slice_.todo)


class ComputesEverywhere(Ring):
    """Every tile on the way counts as a stop."""

    def granted(self, slice_):
        after = super().granted(slice_)
        return after._replace(todo=after.todo | 1 << after.reach)


class ComputesTwice(Ring):
    """`todo` stays."""

    def actions(self, slice_):
        for action in super().actions(slice_):
            yield action if action.kind != "compute" else action._replace(after=action.after._replace(todo=slice_.todo))


class ReleasesEarly(Ring):
    """Released before it was sent on."""

    def forward(self, slice_, step):
        return False


class ThinksTwice(Ring):
    """A request is taken back."""

    def actions(self, slice_):
        yield from super().actions(slice_)
        if slice_.asks:
            yield Action("send", slice_.origin, slice_._replace(asks=False))


@pytest.mark.parametrize("wrong", [Stays, CountsItself, Forgets, ComputesEverywhere, ComputesTwice, ReleasesEarly])
def test_wrong_rules_are_seen(wrong):
    """Each of these makes some slice miss a stop, meet one twice, or go too far."""
    with pytest.raises(WrongVisit):
        trajectories(wrong(3))


def test_a_livelock_is_seen():
    """A slice that can come back to where it was."""
    with pytest.raises(WrongVisit, match="comes back"):
        steps_left(trajectories(ThinksTwice(3)))


@pytest.mark.parametrize(("tiles", "slots", "most", "share"), [
    (2, 2, 3, 1), (2, 2, 3, 2), (2, 3, 5, 1), (3, 2, 5, 1), (3, 2, 5, 2), (3, 3, 8, 1), (3, 3, 8, 3), (4, 2, 4, 1),
    (4, 3, 4, 1), (5, 2, 2, 1), (5, 3, 2, 1), *(pytest.param(*ring, 1, marks=regress) for ring in
                                  ((4, 2, 7), (4, 3, 7), (5, 2, 6), (5, 3, 5)))])
def test_they_never_stand_still(tiles, slots, most, share):
    """Any slices in any order; ``tiles * slots - 1`` at a time are all that there can be."""
    found = search_visits(tiles, slots, most, share=share)
    print(found)
    assert found.run is None


def test_without_the_bubble_they_do():
    """Every slot full of slices that wait."""
    found = search_visits(3, 2, 6, bubble=False)
    print(found)
    assert found.run is not None and sum("load" in step for step in found.run) == 6


@pytest.mark.parametrize(("tiles", "share"), [(2, 2), (3, 1)])
def test_turns_that_wait_for_nothing_do(tiles, share):
    """A tile that withholds grants while nothing here is bound to be freed waits for ever."""
    found = search_visits(tiles, 2, tiles * 2 - 1, share=share, turns="always")
    print(found)
    assert found.run is not None
    assert search_visits(tiles, 2, tiles * 2 - 1, share=share, turns="bound").run is None


@pytest.mark.parametrize(("tiles", "slots", "most"), [
    (2, 2, 3), (3, 2, 2), *(pytest.param(*ring, marks=regress) for ring in ((3, 2, 5), (3, 3, 3), (4, 2, 2)))])
@pytest.mark.parametrize("options", [{}, {"bubble": False}, {"turns": "always"}])
def test_what_needs_nobody_may_happen_at_once(tiles, slots, most, options):
    """With and without the partial-order reduction: the same verdict, and the same states once everything has settled."""
    full, reduced = (search_visits(tiles, slots, most, reduce=reduce, **options) for reduce in (False, True))
    assert (full.run is None) == (reduced.run is None) and full.states > reduced.states
    ring = Ring(tiles)
    few = Traffic(Kinds(ring, True), ring, slots, most, 1, True, "none")
    many = Traffic(Kinds(ring, False), ring, slots, most, 1, True, "none")
    settled = np.zeros(many.kinds.count, dtype=np.int64)
    for slice_, kind in many.kinds.of.items():
        assert settled[kind] in (0, few.kinds.of[slice_])
        settled[kind] = few.kinds.of[slice_]
    _, all_states = frontier.search(many, 10**7, keep=True)
    _, states = frontier.search(few, 10**7, keep=True)
    assert np.array_equal(states, np.unique(few.canonical(few.packed(settled[many.slices(all_states)]))))


@pytest.mark.parametrize(("tiles", "slots", "most"), [
    (2, 2, 1), (2, 2, 2), (3, 2, 1), *(pytest.param(*ring, marks=regress) for ring in ((2, 2, 3), (2, 3, 2)))])
def test_nothing_is_left_out(tiles, slots, most):
    """Against the rules slot by slot with every action begun and ended: the same states where nothing is under way. With age
    and turns, as the hardware has them, there are fewer, and none that was not seen.
    """
    ring = Ring(tiles)
    for exact in (False, True):
        naive = Rules(tiles, slots, most, 1, exact)
        quiet = [slices for state in naive.reachable() if (slices := naive.quiet(state)) is not None]
        for reduce in (False, True):
            traffic = Traffic(Kinds(ring, reduce), ring, slots, most, 1, True, "bound")
            _, states = frontier.search(traffic, 10**7, keep=True)
            rows = np.array([[traffic.kinds.of[slice_] for slice_ in slices] + [0] * (most - len(slices))
                             for slices in quiet])
            seen = np.unique(traffic.canonical(traffic.packed(rows.T)))
            print(len(quiet), "quiet states,", len(seen), "of", len(states))
            assert np.isin(seen, states).all() if exact else np.array_equal(seen, states)


@pytest.mark.parametrize("arguments", [
    {"tiles": 1}, {"slots": 0}, {"slots": 16}, {"share": 3}, {"share": 0}, {"turns": "never"}, {"most_slices": 0},
    {"most_slices": 60}])
def test_rings_that_are_none(arguments):
    """What is legal is said."""
    with pytest.raises(ValueError, match="legal"):
        search_visits(**{"tiles": 3, "slots": 2, "most_slices": 2} | arguments)
