"""What may be queued: every region at its limits and around them, at both ends of memory, against plain arithmetic."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.host_bench import doorbell_reasons, regions
from tests.support.watch import Watch
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.doorbell import DoorbellCheck
from trajectile.hw.params import Params
from trajectile.sw_model.config import load

PAGES = 1 << 28


def _configuration(beat):
    return small(io__bytes_per_cycle=beat, tile__tokens=7)


async def judged(ctx, check, values, tokens, bf16):
    """Set everything, wait as long as it takes, and return the verdict."""
    high = values["BATCH_HIGH"]
    for number, (port, name) in enumerate(((check.layer_base, "LAYER"), (check.records, "RECORDS"),
                                           (check.results, "RESULTS"))):
        ctx.set(port, values[f"BATCH_{name}"] | (high >> 8 * number & 255) << 32)
    for name in ("read_base", "read_size", "write_base", "write_size"):
        ctx.set(getattr(check, name), values[f"IO_{name.upper()}"])
    await ctx.tick().repeat(check.settled_cycles - check.latency_cycles)
    ctx.set(check.tokens, tokens)
    ctx.set(check.bf16, bf16)
    await ctx.tick().repeat(check.latency_cycles)
    return ctx.get(check.refusal)


def _values(config, *, layer=0, records=0, results=0, read=(0, PAGES), write=(0, PAGES)):
    return {
        "BATCH_LAYER": layer % 2**32, "BATCH_RECORDS": records % 2**32, "BATCH_RESULTS": results % 2**32,
        "BATCH_HIGH": layer >> 32 | records >> 32 << 8 | results >> 32 << 16,
        "IO_READ_BASE": read[0], "IO_READ_SIZE": read[1], "IO_WRITE_BASE": write[0], "IO_WRITE_SIZE": write[1],
    }


def _cases(config):
    """Regions that just fit, and such that are one beat outside, at each end of windows all over memory."""
    beat, size = config.io.bytes_per_cycle, config.channel_slices * config.slice_pitch_bytes
    windows = [(0, 0), (0, 1), (0, PAGES), (1, 1), (7, PAGES), (PAGES - 1, 1), (PAGES - 1, PAGES), (PAGES - 2, 1), (5, 0),
               (PAGES // 2, 3)]
    for window in windows:
        base, end = 4096 * window[0], min(4096 * sum(window), 2**40)
        for tokens in (0, 1, config.tile.tokens):
            for bf16 in (0, 1):
                read, written = regions(config, tokens, bf16)
                for off in (-beat, 0, beat):
                    reads, writes = (base + off, end - read + off), (base + off, end - written + off)
                    for place in (*({"records": at, "read": window} for at in reads),
                                  *({"results": at, "write": window} for at in writes)):
                        if all(0 <= place.get(name, 0) < 2**40 for name in ("records", "results")):
                            yield _values(config, **place), tokens, bf16
    last = 2**40 - -(-size // 4096) * 4096
    for layer in (0, 1, 2048, 4095, last, last + 4096, 2**40 - 4096, 2**40 - 1):
        yield _values(config, layer=layer), 1, 0
    for name in ("records", "results"):
        for address in (beat // 2, beat - 1, 1, 2**40 - 1):
            yield _values(config, **{name: address}), 1, 0


@pytest.mark.parametrize("beat", [4, 32, 128])
def test_limits(beat):
    """Every limit, from both sides; all codes occur, and what is not refused does."""
    config = _configuration(beat)
    check, found = DoorbellCheck(Params(config)), set()

    async def bench(ctx):
        for values, tokens, bf16 in _cases(config):
            expected = min(doorbell_reasons(config, values, tokens, bf16), key=lambda code: code.value, default=Refusal.NONE)
            assert await judged(ctx, check, values, tokens, bf16) is expected, (values, tokens, bf16)
            found.add(expected)

    run_block(check, bench)
    assert found == {Refusal.NONE, Refusal.ALIGNMENT, Refusal.LAYER, Refusal.READ_WINDOW, Refusal.WRITE_WINDOW}


@pytest.mark.parametrize("preset", ["smoke", "paper"])
def test_random(preset):
    """Any addresses, windows and tokens, all bits drawn."""
    config, rng = load(preset), random.Random(7)
    check = DoorbellCheck(Params(config))
    beat = config.io.bytes_per_cycle

    async def bench(ctx):
        good = 0
        for _ in range(600):
            at = [rng.getrandbits(rng.choice([14, 20, 40])) // beat * beat for _ in range(3)]
            windows = [(rng.getrandbits(rng.choice([2, 8, 28])), rng.randrange(1, 1 << rng.choice([3, 9, 28])))
                       for _ in range(2)]
            values = _values(config, layer=at[0] // 4096 * 4096, records=at[1], results=at[2], read=windows[0],
                             write=windows[1])
            tokens, bf16 = rng.randrange(config.tile.tokens + 1), rng.getrandbits(1)
            expected = min(doorbell_reasons(config, values, tokens, bf16), key=lambda code: code.value, default=Refusal.NONE)
            assert await judged(ctx, check, values, tokens, bf16) is expected, (values, tokens, bf16)
            good += expected is Refusal.NONE
        assert good > 5

    run_block(check, bench)


def test_latency():
    """The verdict on a number of tokens, and that on a window, come when it is stated."""
    config = _configuration(32)
    check = DoorbellCheck(Params(config))
    window = (0, 1)
    room = (4096 - config.completion_bytes) // config.result_bytes(4)
    assert room >= config.tile.tokens, "all tokens fit into a page"
    watch = Watch(refused=check.refusal.as_value() != 0, tokens=check.tokens != 0, size=check.write_size == 0)

    async def bench(ctx):
        begin = 4096 - config.completion_bytes
        await judged(ctx, check, _values(config, results=begin, write=window), 0, 0)
        assert ctx.get(check.refusal) is Refusal.NONE
        for cycles in watch.cycles.values():
            cycles.clear()
        ctx.set(check.tokens, 1)
        await ctx.tick()
        ctx.set(check.tokens, 0)
        await ctx.tick().repeat(5)
        ctx.set(check.write_size, 0)
        await ctx.tick()
        ctx.set(check.write_size, 1)
        await ctx.tick().repeat(8)

    run_block(check, bench, background=[watch.run])
    (tokens,), (size,) = watch["tokens"], watch["size"]
    assert watch["refused"] == [tokens + check.latency_cycles, size + check.settled_cycles]
