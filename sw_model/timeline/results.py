"""Out: a tile writes the results of a batch and its completion record (docs/batch.md). Nothing in the tile holds this up.

The result writer takes its beats together, some captures each, one per cycle. The first capture of a beat comes at the
earliest in the cycle in which the beat before goes. A beat goes in the cycle after its last capture, or when the address of
its burst goes, if that is later. Within a burst nothing waits for memory, so only the bursts are gone through one by one.
"""

from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from math import gcd

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
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


@cache
def _captures(config: Config, result_bytes: int) -> tuple[int, ...]:
    """Cycles of captures of the first 0, 1, ... beats of a token."""
    width, group, groups = config.io.bytes_per_cycle, config.group_bytes(result_bytes), config.down_groups
    if result_bytes == 2:  # converted a few at a time
        values, drain = gcd(config.tile.mac_n, max(width // latencies.CONVERT_BYTES, 1)), latencies.CONVERT_CYCLES
    else:
        values, drain = min(config.tile.mac_n, width // result_bytes), 0
    of_group = -(-config.tile.mac_n // values)
    if group < width:  # several groups a beat
        together = width // group
        row = [of_group * min(together, groups - at) for at in range(0, groups, together)]
    else:
        of_beat = width // (values * result_bytes)
        row = [min(of_beat, of_group - at) for at in range(0, of_group, of_beat)] * groups
    closing = 1
    return (0, *accumulate([row[0] + drain, *row[1:], closing]))


def _write(config: Config, address: int, beats: int, asked: int, capture: int, before: tuple[int, ...]) -> tuple[int, int]:
    """A region is written: cycles of its last beat and of the last answer.

    Args:
        config: the accelerator.
        address: of the region, in bytes.
        beats: of the region.
        asked: cycle of the first address.
        capture: cycle of the first capture.
        before: cycles of captures of the first 0, 1, ... beats; what follows is the same again and again.
    """
    def work(count: int) -> int:
        """Cycles of captures of so many beats."""
        whole, rest = divmod(count, len(before) - 1)
        return whole * before[-1] + before[rest]

    answers: list[int] = []
    first = 0  # first beat of the burst
    for end in burst_ends(config, address, beats):
        if len(answers) >= latencies.IO_BURSTS:
            asked = max(asked, answers[-latencies.IO_BURSTS] + latencies.IO_AGAIN_CYCLES)
        capture = max(capture, asked - work(first + 1))  # as if all had been later
        answers.append(capture + work(end) + config.io.latency_cycles)
        first, asked = end, asked + 1
    return answers[-1] - config.io.latency_cycles, answers[-1]


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
        written, answered = _write(config, address + config.completion_bytes, beats, asked,
                                   asked + latencies.RESULT_CAPTURE_CYCLES, _captures(config, result_bytes))
        start = answered + latencies.RECORD_CYCLES
    asked = start + latencies.RESULT_ADDRESS_CYCLES
    _, answered = _write(config, address, record, asked, asked, (0, 1))
    return Written(written, asked, answered + latencies.COMPLETE_CYCLES, beats + record)
