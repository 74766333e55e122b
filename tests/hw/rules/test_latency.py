"""Latencies of the rules: a strobe shows in the state, a request can be granted, a guard that holds is an action."""

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch, pulse
from trajectile.hw.params import Params
from trajectile.hw.rules.engine import RuleEngine
from trajectile.hw.rules.slots import SlotTable

#: strobe that changes the state of a slot, and the bit that shows it
STROBES = {"loaded": "filled", "arrived": "filled", "computed": "resting", "send": "sending"}


@pytest.mark.parametrize("strobe", ["allocate", *STROBES])
def test_slots(strobe):
    """A strobe of the cycle shows in the state of the next."""
    table = SlotTable(Params(small()))
    watch = Watch(strobe=getattr(table, strobe), state=getattr(table, STROBES.get(strobe, "used"))[0])

    async def bench(ctx):
        await pulse(ctx, *(getattr(table, name) for name in dict.fromkeys(["allocate", strobe])))

    run_block(table, bench, background=[watch.run])
    assert watch["state"][0] - watch["strobe"][0] == table.latency_cycles


def test_a_request_is_granted():
    """In the cycle after it came."""
    engine = RuleEngine(Params(small()))
    watch = Watch(request=engine.control.request_in.valid, grant=engine.control.grant.valid)

    async def bench(ctx):
        ctx.set(engine.running, 1)
        await pulse(ctx, engine.control.request_in.valid)

    run_block(engine, bench, background=[watch.run])
    assert watch.between("request", "grant") == {engine.latency_cycles}


def test_from_loaded_to_compute():
    """Rule 1 fires when it may; a slice that is loaded is computed when its slot shows it."""
    engine = RuleEngine(Params(small()))
    watch = Watch(may=engine.load.valid, load=engine.load.start, loaded=engine.load.done, compute=engine.compute.start)

    async def bench(ctx):
        ctx.set(engine.running, 1)
        ctx.set(engine.compute.ready, 1)
        ctx.set(engine.rows_in, 1)
        ctx.set(engine.load.entry.here, 1)
        await pulse(ctx, engine.load.valid, engine.load.done)

    run_block(engine, bench, background=[watch.run])
    assert watch.between("may", "load") == {0}
    assert watch.between("loaded", "compute") == {SlotTable.latency_cycles}


def test_from_rows_to_compute():
    """A slice that waits for the activations of its batch is computed in the cycle in which they are said to be here."""
    engine = RuleEngine(Params(small(tile__batches=2)))
    watch = Watch(rows=engine.rows_in[1], compute=engine.compute.start)

    async def bench(ctx):
        ctx.set(engine.running, 1)
        ctx.set(engine.compute.ready, 1)
        ctx.set(engine.load.entry.here, 1)
        ctx.set(engine.load.entry.batch, 1)
        ctx.set(engine.rows_in, 0b01)
        await pulse(ctx, engine.load.valid, engine.load.done)
        ctx.set(engine.rows_in, 0b11)
        await ctx.tick().repeat(3)

    run_block(engine, bench, background=[watch.run])
    assert watch["compute"] == watch["rows"][:1]
