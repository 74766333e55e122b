"""Three streams of flits on one lane: who goes first, what comes out, and that a slice notices nothing."""

import random

import pytest
from amaranth.sim import Simulator

from tests.support.configurations import small
from trajectile.hw.d2d.flit_merge import FlitMerge
from trajectile.hw.params import Params


def merge():
    """The block of a small tile."""
    return FlitMerge(Params(small(array__dataflows="both", link__beat_bytes=20)))


def widths(block):
    """Bits of a payload that matter, of slices, sums and records."""
    params = block.params
    return params.payload_bits, params.sum_payload_bits, params.record_payload_bits


def fields(ctx, flit, bits):
    """All of a flit that matters."""
    return *(ctx.get(getattr(flit, name)) for name in ("kind", "head", "tail")), ctx.get(flit.payload) & (1 << bits) - 1


def run(block, bench):
    """Simulate the block, which has no clock: a bench looks at what follows at once from what it has set."""
    simulator = Simulator(block)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("seed", range(4))
def test_who_goes(seed):
    """In every cycle: the flit of the first that has one, and only that one is taken; the bits that it does not use are those
    of the sender's. What waits holds, but for a slice's flit, which may be replaced or withdrawn (the sender was overtaken).
    """
    print(f"seed {seed}")
    rng, block = random.Random(seed), merge()
    assert widths(block)[0] > widths(block)[1] > widths(block)[2]
    sources = (block.slices, block.sums, block.records)
    gone = [0, 0, 0]

    async def bench(ctx):
        shown = [None, None, None]
        for _ in range(400):
            for number, source in enumerate(sources):
                if shown[number] is None or number == 0:
                    shown[number] = (rng.getrandbits(block.params.flit_layout.size)
                                     if rng.random() < (0.3, 0.4, 0.7)[number] else None)
                ctx.set(source.valid, shown[number] is not None)
                noise = rng.getrandbits(block.params.flit_layout.size)
                flit = noise if shown[number] is None else shown[number]
                ctx.set(source.payload.as_value(), flit if flit & 3 != 3 else flit ^ 1)  # there are three kinds
            ready = rng.random() < 0.7
            ctx.set(block.flits.ready, ready)
            first = next((number for number, flit in enumerate(shown) if flit is not None), None)
            assert ctx.get(block.flits.valid) == (first is not None)
            if first is not None:
                bits = widths(block)[first]
                assert fields(ctx, block.flits.payload, bits) == fields(ctx, sources[first].payload, bits)
                assert ctx.get(block.flits.payload.payload) >> bits == ctx.get(block.slices.payload.payload) >> bits
            for number, source in enumerate(sources):
                taken = shown[number] is not None and ctx.get(source.ready)
                assert taken == (ready and number == first)
                if taken:
                    shown[number] = None
                    gone[number] += 1
            await ctx.delay(1e-6)

    run(block, bench)
    assert all(count > 20 for count in gone), gone
    assert block.latency_cycles == 0


def test_the_sender_sees_the_router():
    """Its ``ready``, and with nothing to send its payload, are those that it would have alone."""
    rng, block = random.Random(1), merge()

    async def bench(ctx):
        for _ in range(100):
            ready = rng.getrandbits(1)
            ctx.set(block.flits.ready, ready)
            for stream in (block.slices, block.sums, block.records):
                ctx.set(stream.valid, rng.getrandbits(1))
            payload = rng.getrandbits(block.params.flit_layout.size)
            ctx.set(block.slices.payload.as_value(), payload)
            assert ctx.get(block.slices.ready) == ready
            if not ctx.get(block.flits.valid):
                assert ctx.get(block.flits.payload.as_value()) == payload
            await ctx.delay(1e-6)

    run(block, bench)

