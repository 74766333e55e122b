"""Sender, routers, links and receiver in a row: contents, declared latencies, back-pressure, full rate."""

import random

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.d2d.link import D2DLink
from trajectile.hw.d2d.receiver import SliceReceiver
from trajectile.hw.d2d.router import Router
from trajectile.hw.d2d.sender import SliceSender
from trajectile.hw.lib.block import Block, place
from trajectile.hw.memory.expert_buffer import SlotRead, SlotWrite
from trajectile.hw.params import Params, Port


class Row(Block):
    """A sender at tile 0, a receiver at the last tile of a row; between them routers that its slices pass, and links."""

    def __init__(self, config):
        self.params = params = Params(config)
        self.sender, self.receiver = SliceSender(params), SliceReceiver(params)
        self.tiles = config.array.cols
        self.routers = [Router(params) for _ in range(self.tiles)]
        super().__init__({"read": Out(SlotRead(params)), "hold": In(self.tiles),
                          "write": Out(SlotWrite(params, config.word_flits, config.flit_bytes))})

    def elaborate(self, platform):
        m = Module()
        place(m, platform, {f"router_{i}": router for i, router in enumerate(self.routers)}, sender=self.sender,
              receiver=self.receiver)
        for i, router in enumerate(self.routers):
            m.d.comb += [router.previous.eq(Port.WEST if i + 1 == self.tiles else Port.LOCAL),
                         router.next.eq(Port.EAST if i == 0 else Port.LOCAL)]
            if 0 < i < self.tiles - 1:
                m.d.comb += [router.passes.eq(1), router.pass_from.eq(Port.WEST), router.pass_to.eq(Port.EAST)]
            if i + 1 < self.tiles:
                east, west = D2DLink(self.params), D2DLink(self.params)
                place(m, platform, {f"east_{i}": east, f"west_{i}": west})
                m.d.comb += east.hold.eq(self.hold[i])
                connect(m, router.east.tx, east.near)
                connect(m, east.far, self.routers[i + 1].west.rx)
                connect(m, self.routers[i + 1].west.tx, west.near)
                connect(m, west.far, router.east.rx)
        connect(m, self.sender.flits, self.routers[0].local_in)
        connect(m, self.routers[-1].arrival, self.receiver.arrival)
        connect(m, self.sender.read, flipped(self.read))
        connect(m, self.receiver.write, flipped(self.write))
        return m


def drive(row, config, packets, stall, seed):
    """Send ``packets`` slices; returns (headers, arrivals, sents, starts) as cycles, and the written words."""
    rng = random.Random(seed)
    log = {"start": [], "header": [], "arrived": [], "sent": [], "write": []}
    words = [[rng.getrandbits(row.params.word_bits) for _ in range(config.slice_words)] for _ in range(packets)]

    async def bench(ctx):
        sender, receiver = row.sender, row.receiver
        started, cycle, read = 0, 0, None
        while len(log["arrived"]) < packets:
            assert cycle < 400 * packets * (8 if stall else 1), "hung"
            ctx.set(row.read.data, read if read is not None else ctx.get(row.read.data))
            start = started < packets and ctx.get(sender.send.ready)
            ctx.set(sender.send.start, start)
            if start:
                ctx.set(sender.send.slot, started % config.tile.slots)
                ctx.set(sender.send.to_slot, (started + 1) % config.tile.slots)
                log["start"].append(cycle)
                started += 1
            ctx.set(row.hold, rng.getrandbits(row.tiles) if stall else 0)
            read = words[started - 1][ctx.get(row.read.addr)] if ctx.get(row.read.en) else None
            if ctx.get(receiver.receive.header):
                log["header"].append(cycle)
            if ctx.get(sender.send.done):
                log["sent"].append(cycle)
            if ctx.get(row.write.en):
                log["write"].append(tuple(ctx.get(getattr(row.write, name)) for name in ("slot", "addr", "piece", "data")))
            if ctx.get(receiver.receive.done):
                assert ctx.get(receiver.receive.done_slot) == (len(log["arrived"]) + 1) % config.tile.slots
                log["arrived"].append(cycle)
            await ctx.tick()
            cycle += 1

    run_block(row, bench)
    size = 8 * config.flit_bytes
    expected = [((p + 1) % config.tile.slots, a, piece, word >> piece * size & (1 << size) - 1) for p in range(packets)
                for a, word in enumerate(words[p]) for piece in range(config.word_flits)]
    assert log["write"] == expected
    return log


@pytest.mark.parametrize("beat_bytes", [1, 5, 8, 16])
@pytest.mark.parametrize("cols", [2, 4])
def test_latency_and_contents(beat_bytes, cols):
    """Without stalls every cycle is as docs/architecture.md says."""
    config = small(array__cols=cols, link__beat_bytes=beat_bytes, link__latency_cycles=3)
    row = Row(config)
    log = drive(row, config, 3, stall=False, seed=1)
    hops, flits = cols - 1, config.slice_flits
    for start, header, arrived, sent in zip(log["start"], log["header"], log["arrived"], log["sent"], strict=True):
        assert header == start + hops * (config.link.latency_cycles + 1)
        assert arrived == header + 1 + flits
        assert sent == start + 1 + flits
    assert log["start"][1] == log["sent"][0] + 1


@pytest.mark.parametrize("seed", range(5))
def test_held_links_lose_nothing(seed):
    """A PHY that takes no flit in half of the cycles delays, and neither loses nor repeats."""
    config = small(array__cols=3, link__latency_cycles=1 + seed, link__beat_bytes=8)
    drive(Row(config), config, 4, stall=True, seed=seed)
