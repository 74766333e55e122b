"""The record port: contents and order, credits both ways, declared latencies, full rate; two of them over a link."""

import random
from itertools import pairwise

import pytest
from amaranth.lib.wiring import connect

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.router_row import RouterRow
from tests.support.watch import Watch, pulse
from trajectile.hw.d2d.flit_merge import FlitMerge
from trajectile.hw.d2d.layouts import RECORD_CREDITS, FlitKind
from trajectile.hw.d2d.record_port import RecordPort
from trajectile.hw.lib.block import place
from trajectile.hw.params import Params
from trajectile.sw_model import latencies


def both(**changes):
    """A configuration in which tokens travel too."""
    return small(array__dataflows="both", **changes)


def port(**changes):
    """The block of a small tile."""
    return RecordPort(Params(both(**changes)))


def random_item(rng, params):
    """Head, error and payload of an item."""
    return rng.getrandbits(1), rng.getrandbits(1), rng.getrandbits(params.record_item_layout["payload"].width)


def fields(ctx, payload):
    """The same of what stands at a stream of items."""
    return tuple(ctx.get(getattr(payload, name)) for name in ("head", "error", "payload"))


@pytest.mark.parametrize(("io_bytes", "seed"), [(4, 0), (4, 1), (8, 2), (8, 3)])
def test_what_comes(io_bytes, seed):
    """Every flit is an item, once and in order, a permit for each that is taken."""
    print(f"seed {seed}")
    rng, block = random.Random(seed), port(io__bytes_per_cycle=io_bytes)
    params = block.params
    sent, come = [], []
    most = 0

    async def bench(ctx):
        nonlocal most
        credits = RECORD_CREDITS
        for cycle in range(1200):
            comes = rng.random() < 0.5 and credits and cycle <= 1150
            head, error, payload = random_item(rng, params)
            ctx.set(block.arrival.valid, comes)
            ctx.set(block.arrival.payload, {
                "kind": FlitKind.RECORD, "head": head, "tail": error,
                "payload": payload | rng.getrandbits(4) << len(block.come.payload.payload) & (1 << params.payload_bits) - 1})
            ready = rng.random() < (0.9 if cycle // 100 % 2 else 0.15) or cycle > 1150
            ctx.set(block.come.ready, ready)
            takes = ctx.get(block.come.valid) and ready
            if takes:
                come.append(fields(ctx, block.come.payload))
            assert ctx.get(block.permit_record) == takes
            if comes:
                sent.append((head, error, payload))
                credits -= 1
            most = max(most, RECORD_CREDITS - credits)
            credits += takes
            await ctx.tick()
        assert not ctx.get(block.come.valid)

    run_block(block, bench)
    assert come == sent and len(come) > 200 and most == RECORD_CREDITS


@pytest.mark.parametrize(("io_bytes", "seed"), [(4, 0), (4, 1), (8, 2), (8, 3)])
def test_what_goes(io_bytes, seed):
    """Every item is a flit of records, once and in order, and none goes without a credit."""
    print(f"seed {seed}")
    rng, block = random.Random(seed), port(io__bytes_per_cycle=io_bytes)
    flits = block.flits
    given, gone, blocked = [], [], 0

    async def bench(ctx):
        nonlocal blocked
        credits, item, held = RECORD_CREDITS, None, []
        for cycle in range(1200):
            if item is None and rng.random() < 0.8 and cycle < 1100:
                item = random_item(rng, block.params)
            ctx.set(block.go.valid, item is not None)
            if item is not None:
                ctx.set(block.go.payload, dict(zip(("head", "error", "payload"), item, strict=True)))
            ready = rng.random() < 0.7
            ctx.set(flits.ready, ready)
            permitted = credits < RECORD_CREDITS and rng.random() < (0.8 if cycle // 100 % 2 else 0.1)
            ctx.set(block.permitted, permitted)
            valid = ctx.get(flits.valid)
            assert not valid or credits, "a flit without a credit"
            blocked += bool(held) and not valid
            if valid:
                kind, head, tail, payload = (ctx.get(getattr(flits.payload, name))
                                             for name in ("kind", "head", "tail", "payload"))
                assert kind == FlitKind.RECORD and (head, tail, payload) == held[0]
            goes, room = valid and ready, len(held) < 2
            if goes:
                gone.append(held.pop(0))
            credits += permitted - goes
            assert ctx.get(block.go.ready) == room
            if item is not None and room:
                given.append(item)
                held.append(item)
                item = None
            await ctx.tick()
        assert not held and item is None

    run_block(block, bench)
    assert gone == given and len(gone) > 150 and blocked > 50


def test_latencies():
    """A flit to the queue's head; an item to its flit; a credit to the flit that waited for it."""
    block = port()
    watch = Watch(arrival=block.arrival.valid, come=block.come.valid, go=block.go.valid,
                  flit=block.flits.valid, permitted=block.permitted)

    async def bench(ctx):
        ctx.set(block.arrival.payload.kind, FlitKind.RECORD)
        ctx.set(block.come.ready, 1)
        ctx.set(block.flits.ready, 1)
        await pulse(ctx, block.arrival.valid, *(RECORD_CREDITS * [block.go.valid]))
        before = {name: list(cycles) for name, cycles in watch.cycles.items()}
        assert watch.between("go", "flit") == {block.out_cycles}
        watch.cycles.clear()
        await pulse(ctx, block.go.valid, block.permitted)
        assert watch.between("permitted", "flit") == {block.credit_cycles}
        watch.cycles.update(before)

    run_block(block, bench, background=[watch.run])
    assert watch.between("arrival", "come") == {block.latency_cycles}
    assert block.latency_cycles == latencies.RECORD_QUEUE_CYCLES and block.out_cycles == latencies.RECORD_OUT_CYCLES


def test_full_rate():
    """One item per cycle in, and one out, without a gap as long as the other side goes on."""
    block = port()
    watch = Watch(come=block.come.valid, flit=block.flits.valid)

    async def bench(ctx):
        ctx.set(block.arrival.payload.kind, FlitKind.RECORD)
        for strobe in (block.arrival.valid, block.come.ready, block.go.valid, block.flits.ready):
            ctx.set(strobe, 1)
        for cycle in range(40):
            ctx.set(block.permitted, cycle > RECORD_CREDITS // 2)
            assert ctx.get(block.go.ready)
            await ctx.tick()

    run_block(block, bench, background=[watch.run])
    assert watch["come"] == list(range(2, 40)) and watch["flit"] == list(range(1, 40))


class RecordRow(RouterRow):
    """The port of the first tile sends records to that of the last, beside slices and sums."""

    def __init__(self, config):
        super().__init__(config)
        self.merge, self.near, self.far = FlitMerge(self.params), RecordPort(self.params), RecordPort(self.params)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        place(m, platform, merge=self.merge, near=self.near, far=self.far)
        connect(m, self.merge.flits, self.first.local_in)
        connect(m, self.near.flits, self.merge.records)
        connect(m, self.last.records, self.far.arrival)
        m.d.comb += [
            self.last.permit.valid.eq(self.far.permit_record), self.last.permit.payload.record.eq(self.far.permit_record),
            self.near.permitted.eq(self.first.permit_in.valid & self.first.permit_in.payload.record),
        ]
        return m


@pytest.mark.parametrize("crc_bits", [0, 16])
@pytest.mark.parametrize(("cols", "latency"), [(2, 1), (2, 4), (3, 2)])
def test_from_tile_to_tile(cols, latency, crc_bits):
    """An item is at the next tile's head after the cycles of docs/dataflows.md; at full rate a credit comes round in those
    that it takes.
    """
    config = both(array__cols=cols, link__latency_cycles=latency, link__crc_bits=crc_bits)
    row = RecordRow(config)
    watch = Watch(goes=row.near.go.valid & row.near.go.ready, comes=row.far.come.valid,
                  flit=row.near.flits.valid & row.near.flits.ready)

    async def bench(ctx):
        ctx.set(row.far.come.ready, 1)
        await pulse(ctx, row.near.go.valid, rest=200)
        assert watch.between("goes", "comes") == {
            row.near.out_cycles + latencies.header_cycles(config, cols - 1) + row.far.latency_cycles}
        watch.cycles.clear()
        ctx.set(row.near.go.valid, 1)
        await ctx.tick().repeat(300)

    run_block(row, bench, background=[watch.run])
    trip = (latencies.header_cycles(config, cols - 1) + row.far.latency_cycles
            + latencies.control_cycles(config, cols - 1))
    flits = watch["flit"]
    assert len(flits) > 60
    assert {later - flit for flit, later in zip(flits, flits[RECORD_CREDITS:], strict=False)} == {max(trip, RECORD_CREDITS)}
    assert {after - before for before, after in pairwise(flits)} == {1, max(trip - RECORD_CREDITS, 0) + 1}


@pytest.mark.parametrize("crc_bits", [0, 16])
@pytest.mark.parametrize("seed", range(3))
def test_records_among_slices_and_sums(seed, crc_bits):
    """Items come once and in order whatever the others send, however the links stall, and whatever the far end waits for."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    config = both(array__cols=2 + seed % 2, link__latency_cycles=1 + seed, link__crc_bits=crc_bits, link__retries=1000)
    row = RecordRow(config)
    others = {FlitKind.SLICE: row.merge.slices, FlitKind.SUMS: row.merge.sums}
    given, come, passed = [], [], {kind: 0 for kind in others}
    arrived = {kind: 0 for kind in others}

    async def bench(ctx):
        item = None
        for kind, stream in others.items():
            ctx.set(stream.payload.kind, kind)
        for cycle in range(3000):
            sends = cycle < 2000
            if item is None and sends and rng.random() < 0.9:
                item = random_item(rng, row.params)
                ctx.set(row.near.go.payload, dict(zip(("head", "error", "payload"), item, strict=True)))
            ctx.set(row.near.go.valid, item is not None)
            for stream in others.values():
                ctx.set(stream.valid, sends and rng.random() < 0.2)
            ctx.set(row.far.come.ready, not sends or rng.random() < (0.8, 0.1)[cycle // 200 % 2])
            for hold in (row.hold, row.hold_back):
                ctx.set(hold, sum((rng.random() < (0.01 if crc_bits else 0.3)) << i for i in range(row.tiles)))
            if item is not None and ctx.get(row.near.go.ready):
                given.append(item)
                item = None
            if ctx.get(row.far.come.valid) and ctx.get(row.far.come.ready):
                come.append(fields(ctx, row.far.come.payload))
            for kind, stream in others.items():
                passed[kind] += ctx.get(stream.valid) and ctx.get(stream.ready)
                arrived[kind] += ctx.get(row.last.arrival.valid) and ctx.get(row.last.arrival.payload.kind) == kind
            await ctx.tick()

    run_block(row, bench)
    assert come == given and len(come) > 200
    assert arrived == passed and min(passed.values()) > 50
