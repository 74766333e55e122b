"""When things happen in a block: what tests of latencies count with."""

from collections.abc import Sequence

from amaranth.hdl import Value


class Watch:
    """A bench in the background that notes, for each signal, the cycles in which it is high: ``watch["sent"]``."""

    def __init__(self, **signals: Value):
        self.signals = signals
        self.cycles: dict[str, list[int]] = {name: [] for name in signals}
        self.cycle = 0

    def __getitem__(self, name: str) -> list[int]:
        return self.cycles[name]

    def between(self, begin: str, end: str) -> set[int]:
        """Every distance from the n-th cycle of ``begin`` to the n-th of ``end``; there are as many of both, and some."""
        assert self[begin], begin
        return {last - first for first, last in zip(self[begin], self[end], strict=True)}

    async def run(self, ctx) -> None:
        """Pass to ``run_block`` as a background bench."""
        names: Sequence[str] = list(self.signals)
        while True:
            _, _, *values = await ctx.tick().sample(*self.signals.values())
            for name, value in zip(names, values, strict=True):
                if value:
                    self.cycles[name].append(self.cycle)
            self.cycle += 1
