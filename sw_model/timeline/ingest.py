"""In: a tile reads the records of its tokens (docs/batch.md). Nothing in the tile holds this up, so it is computed at once.

A beat takes some cycles of work, for its items of heads or its words of activations. Two of them have a place in the tile:
one is taken from memory while it is offered and a place is free, it is worked on from the next cycle on, and its place is
free after the last one of these. Within a burst no work waits for memory, so only the bursts are gone through one by one.
"""

from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.bursts import burst_ends

#: bytes of an item of a head: the exponent, then the choices
ITEM_BYTES = 4


@dataclass(frozen=True)
class Ingest:
    """Cycles from the start of a batch's reading, and beats read."""

    #: the last choice is put into its list
    lists: int
    #: the last activations are written
    rows: int
    beats: int


@dataclass(frozen=True)
class _Record:
    """Cycles of work of each beat of one part of a record, and of all beats before it."""

    before: tuple[int, ...]

    @property
    def beats(self) -> int:
        return len(self.before) - 1

    def until(self, beats: int) -> int:
        """Cycles of work of so many beats of such parts of records that follow each other."""
        whole, rest = divmod(beats, self.beats)
        return whole * self.before[-1] + self.before[rest]


def _record(work: tuple[int, ...]) -> _Record:
    return _Record((0, *accumulate(work)))


@cache
def head_work(config: Config) -> tuple[int, ...]:
    """Cycles of work of each beat of a head: one for the exponent, two for each choice."""
    items = [latencies.EXPONENT_CYCLES] + [latencies.CHOICE_CYCLES] * config.layer.top_k
    per_beat = config.io.bytes_per_cycle // ITEM_BYTES
    return tuple(sum(items[at:at + per_beat]) for at in range(0, len(items), per_beat))


@cache
def row_work(config: Config) -> tuple[int, ...]:
    """Cycles of work of each beat of a row: one for a beat of shifts; then one for each word of activations, or for each beat
    of one.
    """
    width, words = config.io.bytes_per_cycle, config.gate_up_chunks
    shifts = config.shift_bytes // width
    beats = config.row_bytes // width - shifts
    if config.tile.mac_k >= width:
        return (1,) * (shifts + beats)
    per_beat = width // config.tile.mac_k
    return (1,) * shifts + tuple(min(per_beat, words - at) for at in range(0, words, per_beat))


@cache
def ingest(config: Config, address: int, tokens: int) -> Ingest:
    """When a tile has read the records of so many tokens, in cycles from the start of the record reader.

    Args:
        config: the accelerator.
        address: of the records, in bytes.
        tokens: of the batch in this tile.
    """
    if not tokens:
        return Ingest(latencies.NO_RECORDS_CYCLES, latencies.NO_RECORDS_CYCLES, 0)
    head, row = _record(head_work(config)), _record(row_work(config))
    heads = tokens * head.beats

    def work(beats: int) -> int:
        """Cycles of work of the first beats of the region."""
        return head.until(min(beats, heads)) + row.until(max(beats - heads, 0))

    beats = tokens * (head.beats + row.beats)
    taken: list[int] = []  # cycle in which the last beat of each burst is taken
    places = latencies.ITEM_PLACES
    worked = [0] * places  # last cycle of work of the last beats of each burst
    asked = latencies.RECORD_ADDRESS_CYCLES - 1  # cycle of the address before
    origin = 0  # cycle in which work would have begun with beat 0, if none had waited for memory later
    first = lists = 0  # first beat of the burst
    for end in burst_ends(config, address, beats):
        asked += 1
        if len(taken) >= latencies.IO_BURSTS:
            asked = max(asked, taken[-latencies.IO_BURSTS] + latencies.IO_AGAIN_CYCLES)
        begins = max(asked + config.io.latency_cycles, taken[-1] + 1 if taken else 0, worked[-places] + 1)  # first is taken
        origin = max(origin, begins + latencies.ITEM_CYCLES - work(first))
        worked += [origin + work(beat) - 1 for beat in range(max(first, end - places - 1) + 1, end + 1)]
        taken.append(max(begins + end - first - 1, worked[-places - 1] + 1))
        if first < heads <= end:
            lists = origin + work(heads) - 1
        first = end
    return Ingest(lists, worked[-1], beats)
