"""Latencies of the parts of a link: halves of the link layer, what passes over a tile, the PHY's model."""

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch, pulse
from trajectile.hw.d2d.count_fifo import CountFifo
from trajectile.hw.d2d.credit_fifo import CreditFifo
from trajectile.hw.d2d.layouts import FrameKind, Port
from trajectile.hw.d2d.link import D2DLink
from trajectile.hw.d2d.link_rx import LinkRx
from trajectile.hw.d2d.link_tx import LinkTx
from trajectile.hw.d2d.router import Router
from trajectile.hw.params import Params


@pytest.mark.parametrize("crc_bits", [16, 32])
def test_frames(crc_bits):
    """From the lanes to a frame, and from that frame to the lanes."""
    params = Params(small(link__crc_bits=crc_bits))
    sender, receiver = LinkTx(params), LinkRx(params)
    sent = Watch(lanes=sender.lanes.credit, frame=sender.frame.kind == FrameKind.DATA)
    received = Watch(frame=receiver.frame.kind == FrameKind.DATA, lanes=receiver.lanes.credit)
    frames = []

    async def send(ctx):
        for cycle in range(12):
            ctx.set(sender.lanes.credit, cycle == 4)
            frames.append(ctx.get(sender.frame.as_value()))
            await ctx.tick()

    async def receive(ctx):
        for frame in [*frames, 0, 0, 0, 0]:
            ctx.set(receiver.frame.as_value(), frame)
            await ctx.tick()

    run_block(sender, send, background=[sent.run])
    run_block(receiver, receive, background=[received.run])
    assert sent.between("lanes", "frame") == {sender.latency_cycles}
    assert received.between("frame", "lanes") == {receiver.latency_cycles}


@pytest.mark.parametrize("kind", [CreditFifo, CountFifo])
def test_a_flit_that_passes(kind):
    """Through the FIFO, and its credit back, if the next link takes it at once."""
    fifo = kind(Params(small(array__cols=3)))
    watch = Watch(write=fifo.write, head=fifo.head.valid & fifo.head.ready, credit=fifo.credit)

    async def bench(ctx):
        ctx.set(fifo.head.ready, 1)
        await pulse(ctx, fifo.write, fifo.write)

    run_block(fifo, bench, background=[watch.run])
    assert watch.between("write", "head") == {fifo.latency_cycles}
    assert watch.between("head", "credit") == {fifo.credit_cycles}


@pytest.mark.parametrize("crc_bits", [0, 16])
def test_router(crc_bits):
    """Flits that end here, begin here and pass; messages of this tile, for it, and those that pass."""
    router = Router(Params(small(array__cols=3, array__dataflows="both", link__crc_bits=crc_bits)))
    west, east = router.west, router.east
    watch = Watch(comes=west.rx.flit_valid, arrival=router.arrival.valid, credit=west.tx.credit, leaves=east.tx.flit.valid,
                  own=router.local_in.valid, request=router.control.request.valid, sent=east.tx.request_valid,
                  request_comes=west.rx.request_valid, request_out=router.control.request_in.valid,
                  count=router.count.valid, count_sent=east.tx.count_valid, count_comes=west.rx.count_valid,
                  count_out=router.count_in.valid, permit=router.permit.valid, permit_sent=west.tx.permit_valid,
                  permit_comes=east.rx.permit_valid, permit_out=router.permit_in.valid)

    ends_here = {}

    async def bench(ctx):
        ctx.set(router.previous, Port.WEST)
        ctx.set(router.next, Port.EAST)
        ctx.set(east.tx.flit.ready, 1)
        await pulse(ctx, west.rx.flit_valid, router.local_in.valid, router.control.request.valid, west.rx.request_valid,
                    router.count.valid, west.rx.count_valid, router.permit.valid, east.rx.permit_valid)
        ends_here.update(watch.cycles)
        watch.cycles.clear()
        ctx.set(router.previous, Port.LOCAL)  # nothing ends here or begins here: all of it passes
        ctx.set(router.next, Port.LOCAL)
        ctx.set(router.passes, 1)
        ctx.set(router.pass_from, Port.WEST)
        ctx.set(router.pass_to, Port.EAST)
        await pulse(ctx, west.rx.flit_valid, west.rx.request_valid, west.rx.count_valid, east.rx.permit_valid)

    run_block(router, bench, background=[watch.run])
    (comes,), (arrival,), (request,) = (ends_here[name] for name in ("comes", "arrival", "request"))
    assert arrival == comes + router.latency_cycles and ends_here["credit"] == [arrival + 1]
    assert ends_here["leaves"] == ends_here["own"]  # in the same cycle
    assert ends_here["sent"] == [request + router.control_cycles]
    assert ends_here["request_out"] == ends_here["request_comes"]
    assert ends_here["count_sent"] == [ends_here["count"][0] + router.control_cycles]
    assert ends_here["count_out"] == ends_here["count_comes"]
    assert ends_here["permit_sent"] == [ends_here["permit"][0] + router.control_cycles]
    assert ends_here["permit_out"] == ends_here["permit_comes"]
    assert watch.between("comes", "leaves") == watch.between("request_comes", "sent") == {router.latency_cycles}
    assert watch.between("count_comes", "count_sent") == {router.latency_cycles}
    assert watch.between("permit_comes", "permit_sent") == {router.latency_cycles}


@pytest.mark.parametrize("cycles", [1, 2, 7])
@pytest.mark.parametrize("crc_bits", [0, 16])
def test_phy(cycles, crc_bits):
    """As many cycles as the configuration says, for every lane."""
    link = D2DLink(Params(small(array__dataflows="both", link__latency_cycles=cycles, link__crc_bits=crc_bits)))
    lanes = {"frame": (link.near.frame.seq, link.far.frame.seq)} if crc_bits else {
        "flit": (link.near.flit.valid, link.far.flit_valid), "grant": (link.near.grant_valid, link.far.grant_valid),
        "request": (link.near.request_valid, link.far.request_valid),
        "count": (link.near.count_valid, link.far.count_valid), "credit": (link.near.credit, link.far.credit),
        "permit": (link.near.permit_valid, link.far.permit_valid),
        "record": (link.near.permit.record, link.far.permit.record),
        "sums": (link.near.permit.sums, link.far.permit.sums)}
    watch = Watch(**{f"{name} {end}": signal for name, ends in lanes.items() for end, signal in zip("ab", ends, strict=True)})

    async def bench(ctx):
        for near, _ in lanes.values():
            await pulse(ctx, near)

    run_block(link, bench, background=[watch.run])
    assert [watch.between(f"{name} a", f"{name} b") for name in lanes] == [{link.latency_cycles}] * len(lanes)
    assert link.latency_cycles == cycles
