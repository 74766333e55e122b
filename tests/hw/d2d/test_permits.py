"""Permits from a router to the one before it, with and without a link layer: how many, latency, replays."""

import random

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.router_row import RouterRow
from tests.support.watch import Watch, pulse
from trajectile.hw.d2d.layouts import RECORD_CREDITS


def both(**changes):
    """A configuration in which tokens travel too."""
    return small(array__dataflows="both", **changes)


def permits_of(row, cycles, seed, *, pace=1.0, loss=0.0, dead=range(0)):
    """Send permits for so many cycles, then wait until all have come. ``loss`` is the chance that a frame is lost, ``dead``
    the cycles in which all are. Returns how many were sent and have come, records and sums.

    As in the array, not more permits for records are under way than there are credits, and of those for sums only one.
    """
    rng, come_by, go_by = random.Random(seed), row.first.permit_in, row.last.permit
    sent, come = [0, 0], [0, 0]

    async def bench(ctx):
        for cycle in range(cycles + 3000):
            under_way = [s - c for s, c in zip(sent, come, strict=True)]
            if cycle >= cycles and under_way == [0, 0]:
                break
            record, sums = (int(cycle < cycles and count < most and rng.random() < pace)
                            for count, most in zip(under_way, (RECORD_CREDITS, 1), strict=True))
            ctx.set(go_by.valid, record | sums)
            # without a message anything stands there
            ctx.set(go_by.payload.record, record if record | sums else rng.getrandbits(1))
            ctx.set(go_by.payload.sums, sums if record | sums else rng.getrandbits(1))
            for name in (row.hold, row.hold_back):
                lost = (1 << row.tiles) - 1 if cycle in dead else sum((rng.random() < loss) << i for i in range(row.tiles))
                ctx.set(name, lost)
            if ctx.get(come_by.valid):
                come[0] += ctx.get(come_by.payload.record)
                come[1] += ctx.get(come_by.payload.sums)
            assert come[0] <= sent[0] and come[1] <= sent[1], "a permit that nobody gave"
            sent[0] += record
            sent[1] += sums
            await ctx.tick()
        ctx.set(go_by.valid, 0)
        for _ in range(60):
            assert not ctx.get(come_by.valid), "a permit too many"
            await ctx.tick()

    run_block(row, bench)
    return sent, come


@pytest.mark.parametrize("crc_bits", [0, 16])
@pytest.mark.parametrize(("cols", "latency"), [(2, 1), (2, 4), (3, 2), (4, 1)])
def test_every_permit_takes_the_same_time(cols, latency, crc_bits):
    """As long as a grant, which goes the same way; one of each kind per cycle, alone or together."""
    row = RouterRow(both(array__cols=cols, link__latency_cycles=latency, link__crc_bits=crc_bits))
    go, come, grant = row.last.permit, row.first.permit_in, row.last.control.grant
    watch = Watch(record=go.valid & go.payload.record, record_comes=come.valid & come.payload.record,
                  sums=go.valid & go.payload.sums, sums_come=come.valid & come.payload.sums,
                  grant=grant.valid, grant_comes=row.first.control.grant_in.valid)

    async def bench(ctx):
        for kinds in (1, 2, 3, 0, 3, 1, 1):
            ctx.set(go.valid, kinds != 0)
            ctx.set(go.payload.as_value(), kinds)
            await ctx.tick()
        ctx.set(go.valid, 0)
        await pulse(ctx, grant.valid, rest=10 * cols * latency + 40)

    run_block(row, bench, background=[watch.run])
    assert len(watch["record"]) == 5 and len(watch["sums"]) == 3
    assert (watch.between("record", "record_comes") == watch.between("sums", "sums_come")
            == watch.between("grant", "grant_comes") == {row.way_cycles})


@pytest.mark.parametrize("seed", [*range(6), *(pytest.param(seed, marks=pytest.mark.regress) for seed in range(6, 40))])
def test_lost_frames_delay_and_lose_nothing(seed):
    """As many as can be under way, over one link or several, while frames are lost in both directions."""
    print(f"seed {seed}")
    config = both(array__cols=2 + seed % 3, link__crc_bits=16, link__retries=1000, link__latency_cycles=1 + seed // 2 % 3)
    sent, come = permits_of(RouterRow(config), 300, seed, pace=1 if seed % 2 else 0.4, loss=(0.05, 0.3)[seed // 3 % 2])
    assert come == sent and sent[0] > 20 and sent[1] > 1


def test_a_dead_link_keeps_all_permits():
    """Those for all flits of records that a tile may send, and one for sums: they come when the link is there again."""
    config = both(link__crc_bits=16, link__retries=1000)
    sent, come = permits_of(RouterRow(config), 60, seed=5, dead=range(300))
    assert come == sent == [RECORD_CREDITS, 1]


def test_held_flits_hold_no_permits():
    """Without a link layer a PHY that takes no flit still takes permits."""
    sent, come = permits_of(RouterRow(both(array__cols=3)), 100, seed=1, loss=1)
    assert come == sent and sent[0] > 50
