"""The exhaustive searches of the rules as tables for docs/rules.md: ``python -m trajectile.scripts.maintain.search_page``,
``--long``.
"""

import argparse

from trajectile.sw_model.search.batches import search_batches
from trajectile.sw_model.search.dataflow_state import SHARED, Case
from trajectile.sw_model.search.dataflows import search_dataflows
from trajectile.sw_model.search.exchange import search_exchange
from trajectile.sw_model.search.rules import Supply, search
from trajectile.sw_model.search.trajectory import Ring, steps_left, trajectories
from trajectile.sw_model.search.visits import search_visits

#: 4 tiles, 2 slots: a standstill without rule 4
KNOWN: Supply = [[(0, 1, 2), (1, 2)], [(0, 2), (1, 2)], [(0,), (1, 3)], [(0, 1, 3), (0, 1, 2)]]
#: tiles, slots, slices at a time; with ``--long`` also the second list
VISITS = [(2, 2, 3), (2, 3, 5), (3, 2, 5), (3, 3, 8), (4, 2, 4), (4, 3, 4), (5, 2, 3), (5, 3, 3)]
LONG_VISITS = [(4, 2, 7), (4, 3, 7), (5, 2, 6), (5, 3, 5)]
#: tiles, slots, batches in flight, rows at once
BATCHES = [(2, 2, 1, False), (2, 2, 2, False), (2, 3, 1, False), (2, 3, 2, False), (3, 2, 1, False), (3, 2, 2, True),
           (4, 2, 1, True)]
LONG_BATCHES = [(3, 3, 2, True)]
#: tiles, words of a tile, batches in flight
EXCHANGES = [(2, 1, 1), (2, 1, 2), (2, 3, 2), (3, 1, 2), (3, 2, 2), (4, 1, 1), (4, 1, 2)]
#: with batches whose tokens travel
DATAFLOWS = [
    Case(tiles=2, slots=2, batches=1), Case(tiles=2, slots=2), Case(tiles=3, slots=2, batches=1, most_slices=2),
    *(Case(tiles=tiles, slots=2, batches=batches, kinds=(SHARED,), most_slices=0)
      for tiles, batches in ((3, 2), (4, 1), (5, 1))),
    Case(tiles=2, slots=3, at_once=True), Case(tiles=3, slots=2, batches=1, at_once=True),
    Case(tiles=5, slots=2, kinds=(SHARED,), at_once=True)]
LONG_DATAFLOWS = [Case(tiles=3, slots=2, at_once=True), Case(tiles=4, slots=2, batches=1, at_once=True),
                  Case(tiles=4, slots=2, most_slices=1, at_once=True),
                  Case(tiles=5, slots=2, batches=1, most_slices=2, at_once=True),
                  Case(tiles=5, slots=2, most_slices=0, at_once=True)]


def dataflows(long: bool) -> None:
    """The table of the search with both dataflows."""
    print("\nBatches of both kinds; tokens travel in shared ones\n")
    print("| tiles, slots | batches in flight | kinds | slices at a time | what needs nobody happens | states | "
          "standstill or wrong |\n|---|---:|---|---:|---|---:|---|")
    for case in [*DATAFLOWS, *LONG_DATAFLOWS * long]:
        slices = {None: "all", 0: "none"}.get(case.most_slices, case.most_slices)
        kinds = "both" if len(case.kinds) > 1 else case.kinds[0]
        found = search_dataflows(case)
        print(f"| {case.tiles}, {case.slots} | {case.batches} | {kinds} | {slices} | "
              f"{'at once' if case.at_once else 'at any time'} | {found.states:,} | {found.found or 'none'} |", flush=True)


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
    print("\nSlices of several batches, rows and counts that are late\n")
    print("| tiles, slots | batches in flight | rows come | states | standstill |\n|---|---:|---|---:|---|")
    for tiles, slots, batches, at_once in [*BATCHES, *LONG_BATCHES * long]:
        mixed = search_batches(tiles, slots, batches=batches, at_once=at_once)
        print(f"| {tiles}, {slots} | {batches} | {'at once' if at_once else 'at any time'} | {mixed.states:,} | "
              f"{mixed.found or 'none'} |", flush=True)
    print("\nThe count exchange\n")
    print("| tiles | words of a tile | batches in flight | states | overwritten or mixed up |\n|---:|---:|---:|---:|---|")
    for tiles, words, batches in EXCHANGES:
        exchange = search_exchange(tiles, words, batches=batches)
        print(f"| {tiles} | {words} | {batches} | {exchange.states:,} | {exchange.found or 'none'} |", flush=True)
    dataflows(long)
    print("\nWhat must be found\n")
    for name, broken in {
            "rule 1 leaves no bubble, 3 tiles, 2 slots": search(3, 2, bubble=False),
            "rule 4 is off, 4 tiles, 2 slots": search(4, 2, escape=False),
            "rule 4 is off, eight slices chosen by hand": search(4, 2, escape=False, supply=KNOWN),
            "slices travel both ways through the same slots, 3 tiles, 2 slots": search(3, 2, both_ways=True),
            "a turn withholds grants whenever own slices have less than their share, 2 tiles, 2 slots, a share of 2":
                search_visits(2, 2, 3, share=2, turns="always"),
            "counts are sent before there is room for the batch, 2 tiles, 2 slots, one batch in flight":
                search_batches(2, 2, batches=1, early=True, turns=False),
            "the same with two batches in flight": search_batches(2, 2, early=True, turns=False),
            "counts are sent when those of the batch before are here, 2 tiles": search_exchange(2, 1, rule="formed"),
            "counts are sent when there are any, 2 tiles": search_exchange(2, 1, rule="none"),
            "one bank of counts, 2 tiles": search_exchange(2, 1, banks=1)}.items():
        print(f"{name}: {broken}\n")
    for name, case in {
            "records need no credit, 2 tiles, sections of a beat":
                Case(tiles=2, slots=2, batches=1, beats=(1, 1), without="credits"),
            "records have no credits but the lane's, 3 tiles, two batches in flight, what needs nobody at once":
                Case(tiles=3, slots=2, without="own credits", at_once=True),
            "a tile's own section comes first, 2 tiles": Case(tiles=2, slots=2, batches=1, without="order"),
            "the same with sections of two beats":
                Case(tiles=2, slots=2, batches=1, beats=(2, 2), without="order"),
            "sums are sent without permit, 2 tiles": Case(tiles=2, slots=2, batches=1, without="permit"),
            "the permit does not end, 2 tiles": Case(tiles=2, slots=2, batches=1, without="end of the permit"),
            "a tile sends its sums before it has computed everything, 2 tiles":
                Case(tiles=2, slots=2, batches=1, without="computed"),
            "sums are passed on before they have come, 3 tiles":
                Case(tiles=3, slots=2, batches=1, kinds=(SHARED,), most_slices=0, without="received")}.items():
        print(f"{name}: {search_dataflows(case)}\n", flush=True)


if __name__ == "__main__":
    main()
