"""Out: a tile writes the results of a batch and its completion record (docs/batch.md). Nothing in the tile holds this up.

The result writer puts its beats together, some pieces each, one per cycle. The first piece of a beat is put at the earliest
in the cycle in which the beat before goes. A beat goes in the cycle after its last piece, or when the address of its burst
goes, if that is later. Within a burst nothing waits for memory, so only the bursts are gone through one by one.
"""

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import gcd

from trajectile.sw_model import latencies
from trajectile.sw_model.config import BF16_BYTES, Config, ceil_div
from trajectile.sw_model.timeline.bursts import burst_ends


@dataclass(frozen=True)
class Written:
    """Cycles from the start of the result writer, and beats written."""

    #: the last beat of results goes; None without results
    written: int | None
    #: the first beat of the completion record is put together
    record: int
    #: the completion record is answered
    complete: int
    beats: int


@dataclass(frozen=True)
class _Shape:
    """How long the beats of a token, or of the record, take; what follows is like it again and again."""

    #: cycles of the pieces of the first 0, 1, ... beats
    before: tuple[int, ...]

    @property
    def beats(self) -> int:
        return len(self.before) - 1

    def until(self, beats: int) -> int:
        """Cycles of the pieces of so many beats."""
        whole, rest = divmod(beats, self.beats)
        return whole * self.before[-1] + self.before[rest]


#: the record comes in whole beats
_RECORD = _Shape((0, 1))


@cache
def _token(config: Config, result_bytes: int) -> _Shape:
    """Groups of results, then the beat that closes the token."""
    width, group, groups = config.io.bytes_per_cycle, config.group_bytes(result_bytes), config.down_groups
    if result_bytes == BF16_BYTES:  # converted a few at a time
        values = gcd(config.tile.mac_n, max(width // latencies.CONVERT_BYTES, 1))
    else:
        values = min(config.tile.mac_n, width // result_bytes)
    of_group = ceil_div(config.tile.mac_n, values)
    if group < width:  # several groups a beat
        together = width // group
        row = [of_group * min(together, groups - at) for at in range(0, groups, together)]
    else:
        of_beat = width // (values * result_bytes)
        row = [min(of_beat, of_group - at) for at in range(0, of_group, of_beat)] * groups
    closing = 1
    return _Shape((0, *accumulate([*row, closing])))


def _write(config: Config, address: int, beats: int, asked: int, put: int, shape: _Shape) -> tuple[int, int]:
    """A region is written: cycles in which its last beat goes and the last answer comes.

    Args:
        config: the accelerator.
        address: of the region, in bytes.
        beats: of the region.
        asked: cycle of the first address.
        put: cycle in which the first piece is put.
        shape: of what is written.
    """
    answers: list[int] = []
    first = 0  # first beat of the burst
    for end in burst_ends(config, address, beats):
        if len(answers) >= latencies.IO_BURSTS:
            asked = max(asked, answers[-latencies.IO_BURSTS] + latencies.IO_AGAIN_CYCLES)
        last = put + shape.until(end)
        if asked > put + shape.until(first + 1):  # the burst's first beat waits; from here on as if all had been later
            put = asked - shape.until(first + 1)
            last = put + shape.until(end)
        answers.append(last + config.io.latency_cycles)
        first, asked = end, asked + 1
    return last, answers[-1]


@cache
def write_results(config: Config, address: int, tokens: int, result_bytes: int) -> Written:
    """When a tile has written the results of so many tokens, in cycles from the start of the result writer.

    Args:
        config: the accelerator.
        address: of the results region, in bytes; it begins with the completion record.
        tokens: of the batch in this tile.
        result_bytes: of one result: 4 (int32) or 2 (bf16).
    """
    width = config.io.bytes_per_cycle
    record, beats = config.completion_bytes // width, tokens * config.result_bytes(result_bytes) // width
    written, start = None, 0
    if beats:
        asked = latencies.RESULT_ADDRESS_CYCLES
        put = asked + latencies.RESULT_PIECE_CYCLES + (latencies.CONVERT_CYCLES if result_bytes == BF16_BYTES else 0)
        written, answered = _write(config, address + config.completion_bytes, beats, asked, put,
                                   _token(config, result_bytes))
        start = answered + latencies.ANSWERED_CYCLES
    asked = start + latencies.RESULT_ADDRESS_CYCLES
    _, answered = _write(config, address, record, asked, asked, _RECORD)
    return Written(written, asked, answered + latencies.ANSWERED_CYCLES, beats + record)
