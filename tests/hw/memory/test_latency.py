"""Latencies of the memories of weights: written, read, and found to be wrong."""

import pytest
from amaranth.sim import Simulator

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.memory_bench import open_srams
from tests.support.watch import Watch, pulse
from trajectile.hw.memory import expert_buffer
from trajectile.hw.memory.chunk import ChunkDecoder, ChunkEncoder
from trajectile.hw.memory.code import ChunkCode
from trajectile.hw.memory.expert_buffer import ExpertBuffer
from trajectile.hw.memory.word import WordDecoder, WordEncoder
from trajectile.hw.params import Params


@pytest.mark.parametrize("reader", ["compute", "send"])
@pytest.mark.parametrize(("protect", "flag"), [("parity", "error"), ("secded", "corrected")])
def test_expert_buffer(protect, flag, reader, monkeypatch):
    """From a read to its word, and to what is said of a bit in it that has flipped."""
    srams = open_srams(monkeypatch, expert_buffer)
    block = ExpertBuffer(Params(small(tile__protect=protect, tile__weights="int4", tile__mac_k=2, tile__mac_n=8,
                                      ddr__bytes_per_cycle=16)))  # a word in one beat
    port, word = getattr(block, reader), 0x0123456789
    watch = Watch(write=block.load.en, read=port.en, shown=port.data == word, flag=getattr(block, flag))

    async def bench(ctx):
        ctx.set(block.load.data, word)
        await pulse(ctx, block.load.en, port.en)
        stored = srams[0].word(0)
        ctx.set(stored, ctx.get(stored) ^ 1)
        await pulse(ctx, port.en)

    run_block(block, bench, background=[watch.run])
    first, second = watch["read"]
    assert watch["shown"][0] == first + block.latency_cycles
    assert watch["flag"] == [second + block.flag_cycles]


@pytest.mark.parametrize("protect", ["parity", "secded"])
@pytest.mark.parametrize("kinds", ["chunk", "word"])
def test_codes_take_no_cycle(protect, kinds):
    """What encoder and decoder are given and what they make of it stand there in the same cycle."""
    code = ChunkCode(protect, 16)
    encoder, decoder = ((ChunkEncoder(code), ChunkDecoder(code)) if kinds == "chunk" else
                        (WordEncoder(protect, 16), WordDecoder(protect, 16)))
    stored = []

    async def encode(ctx):
        for value in (0x1234, 0xFFFF, 0x8001):
            ctx.set(encoder.data, value)
            stored.append((value, ctx.get(encoder.stored)))

    async def decode(ctx):
        for value, word in stored:
            ctx.set(decoder.stored, word)
            assert ctx.get(decoder.data) == value and not ctx.get(decoder.error)

    for block, bench in ((encoder, encode), (decoder, decode)):
        simulator = Simulator(block)  # without a clock
        simulator.add_testbench(bench)
        simulator.run()
        assert block.latency_cycles == 0
