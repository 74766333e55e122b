"""Sender, routers, links and receiver in a row: contents, declared latencies, back-pressure, full rate."""

import random
from itertools import pairwise

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out, connect, flipped

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.slices import FIRST_WORDS, places
from tests.support.watch import Watch, pulse
from trajectile.hw.d2d.flit_merge import FlitMerge
from trajectile.hw.d2d.layouts import FlitKind, Port
from trajectile.hw.d2d.link import D2DLink
from trajectile.hw.d2d.receiver import SliceReceiver
from trajectile.hw.d2d.router import Router
from trajectile.hw.d2d.sender import SliceSender
from trajectile.hw.lib.block import Block, place
from trajectile.hw.memory.expert_buffer import SlotRead, SlotWrite, word_cycles
from trajectile.hw.params import Params


class Row(Block):
    """A sender at tile 0, a receiver at the last tile of a row; between them routers that its slices pass, and links. Where
    tokens travel too, the sender's flits go by a merge.
    """

    def __init__(self, config):
        self.params = params = Params(config)
        self.sender, self.receiver = SliceSender(params), SliceReceiver(params)
        self.merge = FlitMerge(params) if config.array.shares else None
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
        if self.merge:
            place(m, platform, merge=self.merge)
            connect(m, self.sender.flits, self.merge.slices)
            connect(m, self.merge.flits, self.routers[0].local_in)
        else:
            connect(m, self.sender.flits, self.routers[0].local_in)
        connect(m, self.routers[-1].slices, self.receiver.slices)
        connect(m, self.sender.read, flipped(self.read))
        connect(m, self.receiver.write, flipped(self.write))
        return m


def drive(row, config, packets, stall, seed, pace=1.0, others=0.0):
    """Send ``packets`` slices; returns (headers, arrivals, sents, starts) as cycles, and the written words. A slice that can
    start does with chance ``pace``. In ``others`` of all cycles there is a flit of sums, and in as many one of records.
    """
    rng, starts = random.Random(seed), random.Random(seed)
    log = {"start": [], "header": [], "arrived": [], "sent": [], "write": [], "others": []}
    words = [[rng.getrandbits(row.params.word_bits) for _ in range(config.slice_words)] for _ in range(packets)]

    async def bench(ctx):
        sender, receiver = row.sender, row.receiver
        started, cycle = 0, 0
        reads = [None] * word_cycles(config.tile)  # words that were read, and when the SRAM shows them
        while len(log["arrived"]) < packets:
            assert cycle < 400 * packets * (8 if stall else 1), "hung"
            read = reads.pop(0)
            ctx.set(row.read.data, read if read is not None else ctx.get(row.read.data))
            start = started < packets and ctx.get(sender.send.ready) and starts.random() < pace
            ctx.set(sender.send.start, start)
            if start:
                ctx.set(sender.send.slot, started % config.tile.slots)
                ctx.set(sender.send.to_slot, (started + 1) % config.tile.slots)
                log["start"].append(cycle)
                started += 1
            for kind in (FlitKind.SUMS, FlitKind.RECORD) if others else ():
                lane = row.merge.sums if kind is FlitKind.SUMS else row.merge.records
                ctx.set(lane.valid, rng.random() < others)
                ctx.set(lane.payload, {"kind": kind, "head": rng.getrandbits(1), "tail": rng.getrandbits(1),
                                       "payload": rng.getrandbits(row.params.payload_bits)})
                if ctx.get(lane.valid) and ctx.get(lane.ready):
                    log["others"].append(cycle)
            ctx.set(row.hold, rng.getrandbits(row.tiles) if stall else 0)
            reads.append(words[started - 1][ctx.get(row.read.addr)] if ctx.get(row.read.en) else None)
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
                for a, piece in places(config, config.flit_bytes) for word in [words[p][a]]]
    assert log["write"] == expected
    return log


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("cols", [2, 4])
@pytest.mark.parametrize(("beat_bytes", "first"), [(1, "short"), (5, "short"), (8, "short"), (16, "short"), (20, "short"),
                                                   (8, "whole"), (4, "two")])
def test_latency_and_contents(beat_bytes, first, cols, registered):
    """Without stalls every cycle is as docs/architecture.md says."""
    changes = FIRST_WORDS[first] | {"link__beat_bytes": beat_bytes, "tile__register_slots": registered,
                                    "tile__register_flits": registered and beat_bytes != 5}
    config = small(array__cols=cols, link__latency_cycles=3, **changes)
    row = Row(config)
    log = drive(row, config, 3, stall=False, seed=1)
    hops, payload = cols - 1, row.sender.latency_cycles + config.slice_flits - 1
    for start, header, arrived, sent in zip(log["start"], log["header"], log["arrived"], log["sent"], strict=True):
        way = hops * (config.link.latency_cycles + row.routers[0].latency_cycles)
        assert header == start + row.sender.flit_cycles + way
        assert arrived == header + payload + row.receiver.latency_cycles
        assert sent == start + payload
    assert log["start"][1] == log["sent"][0] + 1


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize(("cols", "latency"), [(2, 1), (3, 4)])
def test_other_flits_change_nothing(latency, cols, registered):
    """Among flits of sums and records, as many as there is room for, every slice comes as it does alone, in the same
    cycles.
    """
    config = small(array__dataflows="both", array__cols=cols, link__latency_cycles=latency, tile__register_flits=registered)
    for pace in (1, 0.02):
        alone, among = (drive(Row(config), config, 4, stall=False, seed=1, pace=pace, others=others) for others in (0, 0.7))
        assert len(among.pop("others")) > (2, 50)[pace < 1] and not alone.pop("others")
        assert among == alone


@pytest.mark.parametrize("seed", range(3))
def test_other_flits_on_links_that_are_held(seed):
    """What comes of a slice is right when links stall, too."""
    print(f"seed {seed}")
    config = small(array__dataflows="both", array__cols=2 + seed, link__latency_cycles=1 + seed,
                   tile__register_slots=seed > 0, tile__register_flits=seed > 1)
    assert len(drive(Row(config), config, 4, stall=True, seed=seed, pace=0.02, others=0.5)["others"]) > 20


@pytest.mark.parametrize("latency", [1, 4])
@pytest.mark.parametrize("cols", [2, 3, 4])
def test_requests_and_grants(cols, latency):
    """A request and a count word go with the slices, a grant against them; all pass the tiles between in a cycle."""
    row = Row(small(array__cols=cols, link__latency_cycles=latency))
    first, last = row.routers[0], row.routers[-1]
    watch = Watch(request=first.control.request.valid, comes=last.control.request_in.valid,
                  grant=last.control.grant.valid, comes_back=first.control.grant_in.valid,
                  count=first.count.valid, count_comes=last.count_in.valid)

    async def bench(ctx):
        await pulse(ctx, first.control.request.valid, last.control.grant.valid, first.count.valid, rest=7 * (latency + 1))

    run_block(row, bench, background=[watch.run])
    way = first.control_cycles + latency + (cols - 2) * (latency + first.latency_cycles)
    assert watch.between("request", "comes") == watch.between("grant", "comes_back") == {way}
    assert watch.between("count", "count_comes") == {way}


@pytest.mark.parametrize("latency", [1, 4])
@pytest.mark.parametrize("cols", [2, 3])
def test_credits(cols, latency):
    """With a single credit a flit goes once in the time that a credit takes; a configuration has as many as cycles of it."""
    config = small(array__cols=cols, link__latency_cycles=latency)
    most = config.link_credits
    config.__dict__["link_credits"] = 1  # a cached property: no legal configuration has so few
    row = Row(config)
    watch = Watch(flit=row.sender.flits.valid & row.sender.flits.ready)

    async def bench(ctx):
        await pulse(ctx, row.sender.send.start, rest=0)
        await ctx.tick().until(row.sender.send.done)

    run_block(row, bench, background=[watch.run])
    trip = 2 * latency + row.routers[0].credit_cycles
    assert {after - before for before, after in pairwise(watch["flit"])} == {trip}
    assert most == trip


@pytest.mark.parametrize("seed", range(5))
def test_held_links_lose_nothing(seed):
    """A PHY that takes no flit in half of the cycles delays, and neither loses nor repeats."""
    config = small(array__cols=3, link__latency_cycles=1 + seed, link__beat_bytes=8)
    drive(Row(config), config, 4, stall=True, seed=seed)
