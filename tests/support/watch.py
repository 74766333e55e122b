"""When things happen in a block: what tests of latencies count with."""

from collections import defaultdict
from typing import Any

from amaranth.hdl import Value


class Watch:
    """A bench in the background that notes, for each signal, the cycles in which it is high: ``watch["sent"]``."""

    def __init__(self, **signals: Value):
        #: looked at from the first cycle on; more may be added until then
        self.signals = signals
        self.cycles: defaultdict[str, list[int]] = defaultdict(list)
        self.cycle = 0

    def __getitem__(self, name: str) -> list[int]:
        return self.cycles[name]

    def between(self, begin: str, end: str) -> set[int]:
        """Every distance from the n-th cycle of ``begin`` to the n-th of ``end``; there are as many of both, and some."""
        assert self[begin], begin
        return {last - first for first, last in zip(self[begin], self[end], strict=True)}

    async def run(self, ctx: Any) -> None:
        """Pass to ``run_block`` as a background bench."""
        while True:
            _, _, *values = await ctx.tick().sample(*self.signals.values())
            for name, value in zip(self.signals, values, strict=True):
                if value:
                    self.cycles[name].append(self.cycle)
            self.cycle += 1


async def pulse(ctx: Any, *strobes: Value, rest: int = 8) -> None:
    """High for one cycle, one after the other, each followed by some cycles in which nothing happens."""
    for strobe in strobes:
        ctx.set(strobe, 1)
        await ctx.tick()
        ctx.set(strobe, 0)
        if rest:
            await ctx.tick().repeat(rest)


def keep_made(monkeypatch: Any, module: Any, name: str) -> list[Any]:
    """Let ``module`` keep the blocks of class ``name`` that it makes in the list that is returned."""
    made: list[Any] = []
    kind = getattr(module, name)

    def make(*args: Any, **named: Any) -> Any:
        made.append(kind(*args, **named))
        return made[-1]
    for what, value in vars(kind).items():  # other blocks read latencies of the class
        if what.endswith("_cycles"):
            setattr(make, what, value)
    monkeypatch.setattr(module, name, make)
    return made
