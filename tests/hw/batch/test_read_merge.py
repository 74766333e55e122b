"""The result writer's and the reduction's read port: whose read it is, and that both see what comes."""

import random

from amaranth.sim import Simulator

from tests.support.configurations import small
from trajectile.hw.batch.read_merge import ReadMerge
from trajectile.hw.params import Params

FIELDS = ("batch", "lane", "token", "group_index", "of_clips", "early")


def test_one_reads():
    """All of its read goes on, and nothing of the other's; only the reduction reads what was put."""
    seed = 1
    print(f"seed {seed}")
    merge, rng = ReadMerge(Params(small(array__dataflows="both"))), random.Random(seed)

    async def bench(ctx):
        for _ in range(200):
            for port in (merge.writer, merge.reduction):
                for name in (*FIELDS, "written"):
                    signal = getattr(port, name)
                    ctx.set(signal, rng.getrandbits(len(signal)))
                ctx.set(port.read, 0)
            chosen = rng.choice([None, merge.writer, merge.reduction])
            ctx.set(merge.reducing, chosen is merge.reduction or (chosen is None and rng.randrange(2)))
            if chosen is not None:
                ctx.set(chosen.read, 1)
                assert all(ctx.get(getattr(merge.read, name)) == ctx.get(getattr(chosen, name)) for name in FIELDS)
                assert ctx.get(merge.read.written) == (chosen is merge.reduction and ctx.get(chosen.written))
            assert ctx.get(merge.read.read) == (chosen is not None)
            shown = rng.getrandbits(len(merge.read.results)), rng.getrandbits(len(merge.read.clips))
            ctx.set(merge.read.results, shown[0])
            ctx.set(merge.read.clips, shown[1])
            assert [(ctx.get(port.results), ctx.get(port.clips)) for port in (merge.writer, merge.reduction)] == [shown] * 2
            await ctx.delay(1e-6)

    simulator = Simulator(merge)  # it has no clock
    simulator.add_testbench(bench)
    simulator.run()
