"""From the host's doorbell to the begin of a batch, and from an error in one tile to the end in all."""

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch, keep_made
from trajectile.hw import array as hw_array
from trajectile.hw import tile as hw_tile
from trajectile.hw.array import TileArray


def test_doorbell_and_halt(monkeypatch):
    """The doorbell of tile 1 is accepted; an access, and its batch begins. The counts of tile 0 never come: the watchdog
    ends the batch, here and, when it has gone to all tiles, there.
    """
    tiles, ports = keep_made(monkeypatch, hw_array, "Tile"), keep_made(monkeypatch, hw_tile, "HostPort")
    controls = keep_made(monkeypatch, hw_tile, "BatchControl")
    limit = 40
    array = TileArray(small(), timing_only=True)
    host = array.host[1]
    watch = Watch(accepted=host.awvalid & host.awready)

    async def watching(ctx):
        watch.signals |= {"begins": controls[1].begin.start, "fails": tiles[1].halt_out, "halt": tiles[0].halt,
                          "stopped_0": ~controls[0].running, "stopped_1": ~controls[1].running}
        await watch.run(ctx)

    async def write(ctx, name, value):
        ctx.set(host.awaddr, ports[1].map[name].offset)
        ctx.set(host.wdata, value)
        ctx.set(host.wstrb, 15)
        ctx.set(host.bready, 1)
        for channel in (host.awvalid, host.wvalid):
            ctx.set(channel, 1)
        await ctx.tick()
        for channel in (host.awvalid, host.wvalid):
            ctx.set(channel, 0)
        await ctx.tick().repeat(5)

    async def bench(ctx):
        for name, value in (("WATCHDOG", limit), ("DOORBELL", 0)):
            await write(ctx, name, value)
        await ctx.tick().repeat(2 * limit)

    run_block(array, bench, background=[watching])
    access = watch["accepted"][-1] + ports[1].latency_cycles - 1
    assert watch["begins"] == [access + tiles[1].latency_cycles]
    fails = watch["begins"][0] + controls[1].latency_cycles + limit
    assert watch["fails"] == [fails]
    assert watch["halt"] == [fails + array.latency_cycles]
    assert watch["stopped_1"][0] == fails + controls[1].latency_cycles
    assert watch["stopped_0"][0] == watch["halt"][0] + controls[0].latency_cycles
