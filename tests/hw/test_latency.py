"""From the host's START to cycle 0 of a batch in every tile, and from an error in one tile to the end in all."""

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.watch import Watch, keep_made
from trajectile.hw import array as hw_array
from trajectile.hw import tile as hw_tile
from trajectile.hw.array import TileArray


def test_start_and_halt(monkeypatch):
    """START of tile 1 is accepted; an access, the way to all tiles, and their first cycle. The watchdog ends the batch."""
    tiles, ports = keep_made(monkeypatch, hw_array, "Tile"), keep_made(monkeypatch, hw_tile, "HostPort")
    array = TileArray(small(), timing_only=True)
    host = array.host[1]
    watch = Watch(accepted=host.awvalid & host.awready, running_0=array.events[0].running, running_1=array.events[1].running)

    async def watching(ctx):
        watch.signals |= {"asks": tiles[1].go_out, "go": tiles[0].go, "fails": tiles[1].halt_out, "halt": tiles[0].halt}
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
        for name, value in (("ARRIVAL_COUNT", 1), ("WATCHDOG", 9), ("CONTROL", 1)):  # it waits for a slice that never comes
            await write(ctx, name, value)
        await ctx.tick().repeat(20)

    run_block(array, bench, background=[watching])
    access = watch["accepted"][-1] + ports[1].latency_cycles - 1
    assert watch["asks"] == [access]
    assert watch["go"] == [access + array.latency_cycles]
    begin = watch["go"][0] + tiles[0].latency_cycles
    assert watch["running_0"][0] == watch["running_1"][0] == begin
    assert watch["fails"] == [begin + 9] and watch["running_1"] == list(range(begin, begin + 10))
    assert watch["halt"] == [begin + 9 + array.latency_cycles]
