"""The splitter of DDR ports: bursts in turn, beats and responses in order, without a cycle of its own."""

import random

import pytest

from tests.support.blocks import run_block
from trajectile.hw.ddr.splitter import DdrSplitter

#: beats of a burst at the most
LONGEST = 5


def drive(count: int, bursts: int, seed: int, *, stall: bool, delays=(1,)):
    """Ask for ``bursts`` and take what comes. Ports answer in their own order, each burst so many cycles after its address.

    Returns what was asked of each port, what came, and the cycles of addresses and beats on both sides.
    """
    print(f"seed {seed}")
    rng = random.Random(seed)
    splitter = DdrSplitter(16, 32, count)
    lengths = [rng.randrange(LONGEST) if stall else LONGEST - 1 for _ in range(bursts)]
    wanted = [(16 * number + rng.randrange(16), length) for number, length in enumerate(lengths)]
    asked: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    log = {"splitter": splitter, "wanted": wanted, "asked": asked, "came": [], "asks": [], "beats": [], "early": 0}

    async def bench(ctx):
        ddr, ports = splitter.ddr, splitter.ports
        waiting: list[list[tuple[int, tuple[int, int, int]]]] = [[] for _ in range(count)]  # (from this cycle on, beat)
        offered, cycle, shown = 0, 0, [False] * count
        total = sum(length + 1 for _, length in wanted)
        while len(log["came"]) < total:
            assert cycle < 20_000, "hung"
            if offered < bursts:
                ctx.set(ddr.arvalid, ctx.get(ddr.arvalid) or not stall or rng.random() < 0.6)
                ctx.set(ddr.araddr, wanted[offered][0])
                ctx.set(ddr.arlen, wanted[offered][1])
            else:
                ctx.set(ddr.arvalid, 0)
            ctx.set(ddr.rready, not stall or rng.random() < 0.8)
            for number, port in enumerate(ports):
                ctx.set(port.arready, not stall or rng.random() < 0.5)
                queue = waiting[number]
                shown[number] = bool(queue) and queue[0][0] <= cycle and (shown[number] or not stall or rng.random() < 0.6)
                ctx.set(port.rvalid, shown[number])
                data, resp, last = queue[0][1] if shown[number] else (0xDEAD, 3, 1)
                ctx.set(port.rdata, data)
                ctx.set(port.rresp, resp)
                ctx.set(port.rlast, last)
            if ctx.get(ddr.arvalid) and ctx.get(ddr.arready):
                takers = [number for number, port in enumerate(ports) if ctx.get(port.arvalid) and ctx.get(port.arready)]
                assert len(takers) == 1
                port = ports[takers[0]]
                burst = ctx.get(port.araddr), ctx.get(port.arlen)
                asked[takers[0]].append(burst)
                ready = cycle + delays[offered % len(delays)]
                waiting[takers[0]] += [(ready, (burst[0] << 8 | beat, burst[0] + beat & 3, int(beat == burst[1])))
                                       for beat in range(burst[1] + 1)]
                log["asks"].append(cycle)
                offered += 1
            else:
                assert not any(ctx.get(port.arvalid) and ctx.get(port.arready) for port in ports)
            taken = [number for number, port in enumerate(ports) if ctx.get(port.rvalid) and ctx.get(port.rready)]
            assert len(taken) == int(ctx.get(ddr.rvalid) and ctx.get(ddr.rready))
            log["early"] += sum(shown) > len(taken)
            if taken:
                log["came"].append((ctx.get(ddr.rdata), ctx.get(ddr.rresp), ctx.get(ddr.rlast)))
                log["beats"].append(cycle)
                waiting[taken[0]].pop(0)
                shown[taken[0]] = False
            await ctx.tick()
            cycle += 1

    run_block(splitter, bench)
    return log


def expected(wanted):
    """Beats of all bursts in the order in which they were asked for, with their responses."""
    return [(address << 8 | beat, address + beat & 3, int(beat == length))
            for address, length in wanted for beat in range(length + 1)]


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_order_is_restored(count, seed):
    """Ports that answer at any pace, the later ones before the earlier: every burst in turn, every beat once, errors too."""
    log = drive(count, 40, seed, stall=True, delays=(25, 3, 1, 9, 2))
    assert log["asked"] == [log["wanted"][number::count] for number in range(count)]
    assert log["came"] == expected(log["wanted"])
    assert {response for _, response, _ in log["came"]} == {0, 1, 2, 3}
    assert log["early"] > 10  # beats have waited for their turn


@pytest.mark.parametrize("count", [2, 4])
def test_latency(count):
    """An address is at its port, and a beat at the loader, in the cycle in which it is offered; one of each per cycle."""
    log = drive(count, 12, 0, stall=False)
    first, splitter = log["asks"][0], log["splitter"]
    assert log["asks"] == [first + number for number in range(12)]
    assert splitter.latency_cycles == 0
    assert log["beats"] == [first + 1 + number for number in range(12 * LONGEST)]
    assert log["came"] == expected(log["wanted"])
