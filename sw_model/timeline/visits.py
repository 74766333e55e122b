"""Slices on their way, from the events of a run: when each came into a slot, was computed, went on and left.

The same for the events of the RTL and of the model.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trajectile.sw_model.timeline.model import STEPS, Event


@dataclass(slots=True)
class Visit:
    """One slice in one slot of one tile. Cycles are those of the events; None for what did not happen here."""

    tile: int
    slot: int
    #: which of the run's batches
    batch: int
    expert: int
    index: int
    #: it came from the ring-previous tile, not from DDR
    from_link: bool
    #: the slot was allocated: rule 1, or a grant
    begin: int
    #: its last word was written
    filled: int | None = None
    #: rule 2, and the last word read by the MAC array
    compute: int | None = None
    computed: int | None = None
    #: rule 3 or 4, and the tail flit given to the router
    send: int | None = None
    sent: int | None = None
    #: sent by rule 4; sent cut-through
    escape: bool = False
    cut: bool = False
    #: rule 5: the slot was freed
    release: int | None = None

    @property
    def name(self) -> str:
        """Which slice: expert and index."""
        return f"e{self.expert}.{self.index}"

    @property
    def spans(self) -> Iterator[tuple[str, int, int]]:
        """``(what, first cycle, cycle after the last)`` of the stay, one after the other where the slice only waits.

        ``fill``: its words come. ``compute``, ``send``: the MAC array, the sender reads it (these two may overlap).
        """
        for what, first, last in (("fill", self.begin, self.filled), ("compute", self.compute, self.computed),
                                  ("send", self.send, self.sent)):
            if first is not None and last is not None:
                yield what, first, last + 1

    def waits(self, end: int) -> Iterator[tuple[str, int, int]]:
        """``(for what, first cycle, cycle after the last)``: what the filled slice waits for; ``end``: of the batch.

        ``mac``: it has tokens here, and the MAC array has other slices. ``link``: it has stops left, and the ring-next tile
        has not granted a slot, or the sender has other slices.
        """
        ready = end if self.filled is None else self.filled + 1
        for what, fires in (("mac", self.compute), ("link", self.send)):
            if fires is not None and fires > ready:
                yield what, ready, fires


def visits(events: Sequence[Event]) -> list[Visit]:
    """All visits of a run, in the order in which they began.

    Raises:
        ValueError: for events that no run has (an event of an empty slot).
    """
    open_: dict[tuple[int, int], Visit] = {}
    found = []
    #: by tile: batches that have begun, and that have finished
    begun: Counter[int] = Counter()
    finished: Counter[int] = Counter()
    # In one cycle a slot may be released and allocated again by a later event only; sorting keeps releases last, so a
    # slot's own events come in the order of its life.
    for event in sorted(events, key=lambda event: (event.cycle, event.kind == "release")):
        if event.kind in STEPS:
            begun[event.tile] += event.kind == "begin"
            finished[event.tile] += event.kind == "finished"
            continue
        key = (event.tile, event.slot)
        if event.kind in ("load", "grant"):
            # the bit of a batch tells it from the one other that can be in flight
            batch = finished[event.tile]
            batch += begun[event.tile] - batch > 1 and batch % 2 != event.flags
            open_[key] = Visit(event.tile, event.slot, batch, event.expert, event.slice_index, event.kind == "grant",
                               event.cycle)
            found.append(open_[key])
            continue
        visit = open_.get(key)
        if visit is None:
            raise ValueError(f"{event} concerns an empty slot")
        if event.kind in ("loaded", "arrived"):
            visit.filled = event.cycle
        elif event.kind == "send":
            visit.send, visit.escape, visit.cut = event.cycle, bool(event.flags & 1), bool(event.flags & 2)
        else:
            setattr(visit, event.kind, event.cycle)
        if event.kind == "release":
            del open_[key]
    return found


def journeys(stays: Sequence[Visit]) -> dict[tuple[int, int, int], list[Visit]]:
    """The visits of each slice ``(batch, expert, index)``, along its trajectory."""
    ways: dict[tuple[int, int, int], list[Visit]] = {}
    for visit in stays:
        ways.setdefault((visit.batch, visit.expert, visit.index), []).append(visit)
    return ways
