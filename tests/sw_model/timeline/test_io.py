"""Ingest and results against the io port played cycle by cycle: bursts, a memory with its latency, readers and writers."""

import numpy as np
import pytest

from tests.support.configurations import small
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.ingest import ingest
from trajectile.sw_model.timeline.results import write_results

WIDTHS = (4, 8, 16, 32, 64, 128)


def bursts(config: Config, address: int, beats: int) -> list[int]:
    """Beats of each burst: beat by beat, a new one at a line of 4 KiB or of 256 beats."""
    found, width = [], config.io.bytes_per_cycle
    for beat in range(beats):
        if beat == 0 or (address + beat * width) % min(4096, 256 * width) == 0:
            found.append(0)
        found[-1] += 1
    return found


def read_by_cycle(config: Config, address: int, tokens: int) -> tuple[int, int]:
    """Cycles of the last choice and of the last activations; the reader starts in cycle 0."""
    width, mac_k = config.io.bytes_per_cycle, config.tile.mac_k
    # what is done in each cycle of each beat
    head, row = [], []
    items = ["exponent", *["choice", "choice"] * config.layer.top_k]
    at = 0
    for number in range(1 + config.layer.top_k):
        if number % (width // 4) == 0:
            head.append([])
        took = 1 if number == 0 else 2
        head[-1] += items[at:at + took]
        at += took
    row = [["shifts"] for _ in range(config.shift_bytes // width)]
    codes = config.gate_up_chunks * mac_k
    for first in range(0, codes, width):
        row.append(["code"] * len(range(first, min(first + width, codes), mac_k)) or ["part"])
        if mac_k > width:
            row[-1] = ["code" if (first + width) % mac_k == 0 else "part"]
    work = [beat for _ in range(tokens) for beat in head] + [beat for _ in range(tokens) for beat in row]
    assert len(work) * width == config.record_bytes * tokens
    left, waiting, asked = bursts(config, address, len(work)), 0, []  # asked: due cycle and beats
    lists = rows = cycle = 0
    beat = step = here = 0  # here: beats that were taken and not worked off, two at the most
    while beat < len(work):
        cycle += 1
        asks = bool(left) and waiting < 4
        taken = False
        works, takes = here > 0, bool(asked) and asked[0][0] <= cycle and here < 2
        if works:
            doing = work[beat][step]
            lists = cycle if doing == "choice" else lists
            rows = cycle if doing == "code" else rows
            step += 1
            if step == len(work[beat]):
                beat, step, here = beat + 1, 0, here - 1
        if takes:
            here += 1
            asked[0][1] -= 1
            taken = asked[0][1] == 0
        if taken:
            asked.pop(0)
        if asks:
            asked.append([cycle + config.io.latency_cycles, left.pop(0)])
        waiting += asks - taken
    return lists, rows


def written_by_cycle(config: Config, address: int, pieces: list[int], asked: int, begin: int,
                     stages: int = 0) -> tuple[int, int, int]:
    """Cycles in which the first piece is put into its beat, the last beat goes, and the last answer comes.

    Args:
        config: the accelerator.
        address: of the region, in bytes.
        pieces: of each the beat that it is put into.
        asked: cycle of the first address.
        begin: cycle in which the first piece can be taken.
        stages: registers that a piece passes on its way, all of which stand if the last cannot go on.
    """
    left, waiting, answers = bursts(config, address, pieces[-1] + 1), 0, []
    in_burst, may_go = list(left), 0  # beats that have not gone, by burst; beats whose address has gone
    passing: list[int | None] = [None] * stages
    full = spare = False  # a beat is complete; one before it still waits
    first, last, cycle, number = -1, -1, asked - 1, 0
    while in_burst or answers:
        cycle += 1
        answered = bool(answers) and answers[0] == cycle
        asks = bool(left) and waiting < 4
        may_go += left.pop(0) if asks else 0
        goes = (full or spare) and may_go > 0
        if goes:
            last, may_go = cycle, may_go - 1
            in_burst[0] -= 1
            if not in_burst[0]:
                in_burst.pop(0)
                answers.append(cycle + config.io.latency_cycles)
        here = number if number < len(pieces) and cycle >= begin else None
        offered = passing[-1] if stages else here
        put = None if spare else offered
        moves = offered is None or put is not None
        number += here is not None and moves
        if stages and moves:
            passing = [here, *passing[:-1]]
        if spare:
            spare = not goes
        else:
            spare, full = full and put is not None and not goes, full and not goes
        if put is not None:
            first = cycle if first < 0 else first
            full = put + 1 == len(pieces) or pieces[put + 1] != pieces[put]
        if answered:
            answers.pop(0)
        waiting += asks - answered
    return first, last, cycle


def draws():
    """Configurations of the io port and of the tile."""
    rng, found = np.random.default_rng(18), []
    for number in range(60):
        width = int(rng.choice(WIDTHS))
        mac_k, mac_n = int(rng.choice([2, 4, 8, 16, 32])), int(rng.choice([2, 4, 6]))
        d_model = int(rng.integers(mac_k * 3, mac_k * 3 + 200))
        latency = int(rng.choice([1, 10, 80, 700]))
        tokens = int(rng.choice([1, 2, 5, 40]))
        address = int(rng.integers(0, 4096 // width)) * width
        changes = {"io__bytes_per_cycle": width, "io__latency_cycles": latency, "tile__mac_k": mac_k, "tile__mac_n": mac_n,
                   "layer__d_model": d_model, "tile__tokens": 64, "layer__experts": 9,
                   "layer__top_k": int(rng.integers(1, 10)), "link__beat_bytes": 1, "ddr__bytes_per_cycle": 1}
        found.append(pytest.param(changes, tokens, address, id=f"{number}: io {width}, {mac_k}x{mac_n}, latency {latency}"))
    return found


@pytest.mark.parametrize(("changes", "tokens", "address"), draws())
def test_ingest(changes, tokens, address):
    """Where the last choice and the last activations come, whatever the widths, the latency and the address."""
    config = small(**changes)
    read = ingest(config, address, tokens)
    assert (read.lists, read.rows) == read_by_cycle(config, address, tokens)
    assert read.beats * config.io.bytes_per_cycle == tokens * config.record_bytes


@pytest.mark.parametrize("result_bytes", [4, 2])
@pytest.mark.parametrize(("changes", "tokens", "address"), draws())
def test_results(changes, tokens, address, result_bytes):
    """Where the last beat of results, the record and its answer come."""
    config = small(**changes)
    width, mac_n, groups = config.io.bytes_per_cycle, config.tile.mac_n, config.down_groups
    # of a token: into which of its beats the pieces of its groups go, then the one that closes it
    group, halves = config.group_bytes(result_bytes), result_bytes == 2
    values = min(mac_n, width // 4)
    if halves:
        values = max(v for v in range(1, mac_n + 1) if mac_n % v == 0 and max(width // 8, 1) % v == 0)
    token = [(number * group + value * result_bytes) // width
             for number in range(groups) for value in range(0, mac_n, values)]
    beats = config.result_bytes(result_bytes) // width
    token.append(beats - 1)
    pieces = [number * beats + beat for number in range(tokens) for beat in token]
    _, written, answered = written_by_cycle(config, address + config.completion_bytes, pieces, 1, 2, 5 if halves else 0)
    whole = list(range(config.completion_bytes // width))
    record, _, complete = written_by_cycle(config, address, whole, answered + 2, answered + 2)
    out = write_results(config, address, tokens, result_bytes)
    assert (out.written, out.record, out.complete) == (written, record, complete + 1)
    assert out.beats * width == config.completion_bytes + tokens * config.result_bytes(result_bytes)


@pytest.mark.parametrize("width", WIDTHS)
def test_without_tokens(width):
    """Nothing is read; the record alone is written."""
    config = small(io__bytes_per_cycle=width)
    assert vars(ingest(config, 0, 0)) == {"lists": 1, "rows": 1, "beats": 0}
    whole = list(range(config.completion_bytes // width))
    record, _, complete = written_by_cycle(config, 4096 - width, whole, 1, 1)
    out = write_results(config, 4096 - width, 0, 4)
    assert (out.written, out.record, out.complete) == (None, record, complete + 1)
