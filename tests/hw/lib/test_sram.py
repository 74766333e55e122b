"""The SRAM wrappers: what is read comes after the stated latency and holds; a write reaches its lanes only."""

from tests.support.blocks import run_block
from tests.support.watch import Watch
from trajectile.hw.lib.sram import Sram1R1W, Sram1RW


def test_single_port():
    """Two lanes of eight bits, written one after the other."""
    sram = Sram1RW(depth=3, width=16, lanes=2)
    watch = Watch(read=sram.en & ~sram.we.any(), shown=sram.rdata == 0x1234)

    async def bench(ctx):
        ctx.set(sram.addr, 2)
        ctx.set(sram.en, 1)
        for lanes, word in ((1, 0xFF34), (2, 0x12FF)):
            ctx.set(sram.we, lanes)
            ctx.set(sram.wdata, word)
            await ctx.tick()
        ctx.set(sram.we, 0)
        await ctx.tick()
        ctx.set(sram.en, 0)
        ctx.set(sram.addr, 0)
        await ctx.tick().repeat(4)

    run_block(sram, bench, background=[watch.run])
    first = watch["read"][0] + sram.latency_cycles
    assert watch["shown"] == list(range(first, first + len(watch["shown"]))) and len(watch["shown"]) >= 3


def test_two_ports():
    """A word that is read while it is written is the old one; read again, the new one."""
    sram = Sram1R1W(depth=4, width=8)
    watch = Watch(read=sram.ren, old=sram.rdata == 0x11, new=sram.rdata == 0x22)

    async def bench(ctx):
        ctx.set(sram.waddr, 1)
        ctx.set(sram.raddr, 1)
        for wen, ren, word in ((1, 0, 0x11), (1, 1, 0x22), (0, 1, 0), (0, 0, 0), (0, 0, 0)):
            ctx.set(sram.wen, wen)
            ctx.set(sram.ren, ren)
            ctx.set(sram.wdata, word)
            await ctx.tick()

    run_block(sram, bench, background=[watch.run])
    while_written, again = watch["read"]
    assert watch["old"] == [while_written + sram.latency_cycles]
    assert watch["new"][0] == again + sram.latency_cycles
