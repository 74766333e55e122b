"""The hidden buffer: passes written and read at the same time, aligned to their own largest exponent."""

import random
from collections import Counter

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.pair_arithmetic import aligned
from tests.support.watch import Watch
from trajectile.hw.compute.hidden_buffer import HiddenBuffer
from trajectile.hw.widths import Widths

PASSES = 40


def hidden_value(rng, top):
    """Zero, or a value at some distance below an exponent: mostly near it."""
    if rng.random() < 0.15:
        return {"magnitude": 0, "exponent": 0, "negative": 0}
    distance = rng.choice((0, 0, rng.randrange(10), rng.randrange(10), rng.randrange(67)))
    return {"magnitude": rng.choice((128, 255, rng.randint(128, 255))), "exponent": max(top - distance, 1),
            "negative": rng.randrange(2)}


@pytest.mark.parametrize(("mac_k", "mac_n", "columns"), [(4, 4, 6), (4, 6, 7), (4, 4, 4), (8, 4, 5), (2, 2, 1), (64, 2, 34)])
def test_passes(mac_k, mac_n, columns):
    """A pass is read in any order, again and again, while the next is written; its padding is not seen."""
    rng = random.Random(1)
    hidden = HiddenBuffer(Widths(small(tile__mac_k=mac_k, tile__mac_n=mac_n, layer__d_ff=3 * columns, link__beat_bytes=4)))
    chunks, seen = hidden.params.config.down_chunks, Counter()
    assert hidden.columns == -(-columns // (mac_n // 2)) * (mac_n // 2) >= columns
    passes = [[hidden_value(rng, top) for _ in range(hidden.columns)]
              for top in (rng.choice((rng.randint(1, 66), rng.randint(1, 12))) for _ in range(PASSES))]

    async def check(ctx, half, chunk, written):
        """What was addressed a cycle before."""
        top = max(value["exponent"] for value in written[:columns])
        numbers = [aligned(**value, top=top) for value in written[:columns]] + [0] * (chunks * mac_k - columns)
        bytes_ = [(block.values >> place & 255 ^ 128) - 128 for block in ctx.get(hidden.values)
                  for place in range(0, 8 * mac_k // len(hidden.values), 8)]
        assert bytes_ == numbers[chunk * mac_k:(chunk + 1) * mac_k], (half, chunk)
        assert ctx.get(hidden.pass_exponent) == top
        seen.update(["far"] * any(value["magnitude"] and top - value["exponent"] >= 8 for value in written[:columns])
                    + ["most"] * bool({-127, 127} & set(bytes_)) + ["least"] * bool({-1, 1} & set(bytes_)))

    async def bench(ctx):
        before = None
        for number, written in enumerate(passes):
            half = number % 2
            place = 0
            addressed = None
            while place < len(written):
                ctx.set(hidden.write, writes := rng.random() < 0.7)
                ctx.set(hidden.value, written[place] if writes else hidden_value(rng, 100))
                reads = 1 - half, rng.randrange(chunks)
                ctx.set(hidden.half, reads[0])
                ctx.set(hidden.chunk, reads[1])
                if before and addressed:
                    await check(ctx, *addressed, before)
                await ctx.tick()
                place += writes
                addressed = reads
            before = written
            if rng.random() < 0.1:  # nothing comes for a while
                ctx.set(hidden.write, 0)
                await ctx.tick().repeat(3)

    run_block(hidden, bench)
    assert columns == 1 or min(seen[name] for name in ("far", "most", "least")) > 5


def test_latency():
    """From the cycle in which a value is written to that in which it can be addressed, and from there to the array."""
    hidden = HiddenBuffer(Widths(small()))
    value = hidden.values[0].values[:8]
    watch = Watch(write=hidden.write, addressed=hidden.chunk == 0, shown=(value == 0x40) & (hidden.pass_exponent == 50))

    async def bench(ctx):
        ctx.set(hidden.value, {"magnitude": 128, "exponent": 50})
        ctx.set(hidden.chunk, 1)
        ctx.set(hidden.write, 1)
        await ctx.tick()
        ctx.set(hidden.write, 0)
        ctx.set(hidden.chunk, 0)
        await ctx.tick()
        ctx.set(hidden.chunk, 1)
        await ctx.tick().repeat(3)

    run_block(hidden, bench, background=[watch.run])
    assert watch.between("write", "addressed") == {hidden.latency_cycles}
    assert watch.between("addressed", "shown") == {hidden.read_cycles}
