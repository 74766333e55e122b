"""The exhaustive searches of the rules as tables for docs/rules.md: ``python -m trajectile.scripts.maintain.search_page``,
``--long``.
"""

import argparse

from trajectile.sw_model.search.rules import Supply, search
from trajectile.sw_model.search.trajectory import Ring, steps_left, trajectories
from trajectile.sw_model.search.visits import search_visits

#: 4 tiles, 2 slots: a standstill without rule 4
KNOWN: Supply = [[(0, 1, 2), (1, 2)], [(0, 2), (1, 2)], [(0,), (1, 3)], [(0, 1, 3), (0, 1, 2)]]
#: tiles, slots, slices at a time; with ``--long`` also the second list
VISITS = [(2, 2, 3), (2, 3, 5), (3, 2, 5), (3, 3, 8), (4, 2, 4), (4, 3, 4), (5, 2, 3), (5, 3, 3)]
LONG_VISITS = [(4, 2, 7), (4, 3, 7), (5, 2, 6), (5, 3, 5)]


def main() -> None:
    """Print what the searches find."""
    parser = argparse.ArgumentParser(prog="python -m trajectile.scripts.maintain.search_page",
                                     description="Exhaustive search of the rules.")
    parser.add_argument("--long", action="store_true", help="the large rings too: minutes")
    long = parser.parse_args().long
    print("One slice, every trajectory, every order of events: every stop met exactly once\n")
    print("| tiles | states | actions at most |\n|---:|---:|---:|")
    for tiles in (2, 3, 4, 5):
        found = trajectories(Ring(tiles))
        print(f"| {tiles} | {len(found):,} | {max(steps_left(found).values())} |", flush=True)
    print("\nRequests, reservations, compute, release, turns; so many slices in the ring at a time\n")
    print("| tiles, slots | slices | states | standstill |\n|---|---:|---:|---|")
    for tiles, slots, most in [*VISITS, *LONG_VISITS * long]:
        visits = search_visits(tiles, slots, most)
        print(f"| {tiles}, {slots} | {most}{' (all)' * (most == tiles * slots - 1)} | {visits.states:,} | "
              f"{'none' if visits.run is None else 'found'} |", flush=True)
    print("\nLoad and forward only; any slices, in any mix and number\n")
    print("| tiles, slots | states | standstill |\n|---|---:|---|")
    for tiles, slots in [(2, 2), (2, 3), (3, 2), (3, 3), (4, 2), (4, 3), (5, 2), *[(5, 3)] * long]:
        moves = search(tiles, slots)
        print(f"| {tiles}, {slots} | {moves.states:,} | {'none' if moves.standstill is None else 'found'} |", flush=True)
    print("\nWhat must be found\n")
    for name, broken in {
            "rule 1 leaves no bubble, 3 tiles, 2 slots": search(3, 2, bubble=False),
            "rule 4 is off, 4 tiles, 2 slots": search(4, 2, escape=False),
            "rule 4 is off, eight slices chosen by hand": search(4, 2, escape=False, supply=KNOWN),
            "slices travel both ways through the same slots, 3 tiles, 2 slots": search(3, 2, both_ways=True),
            "a turn withholds grants whenever own slices have less than their share, 2 tiles, 2 slots, a share of 2":
                search_visits(2, 2, 3, share=2, turns="always")}.items():
        print(f"{name}: {broken}\n")


if __name__ == "__main__":
    main()
