"""What the blocks that form a batch should do, written for reading: who says what when, which slices are loaded where."""

from collections import defaultdict
from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable, Module, Mux, Signal
from amaranth.lib import memory

from trajectile.hw.batch.former import BatchFormer
from trajectile.hw.batch.ports import CountPort
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.accelerator import COUNTS_PER_WORD
from trajectile.sw_model.config.topology import ring_distance, ring_next


def random_passes(config: Config, rng: np.random.Generator) -> np.ndarray:
    """Passes of each expert on each tile, [tiles, experts], of random tokens. Some experts are liked by many."""
    experts, lanes = config.layer.experts, config.tile.mac_t
    passes = np.zeros((config.array.tiles, experts), dtype=np.int64)
    liked = rng.random(experts) ** rng.integers(1, 6) + 1e-9
    if rng.random() < 0.3:
        liked[rng.random(experts) < 0.5] = 0
    most = min(int((liked > 0).sum()), config.layer.top_k)
    for tile in range(config.array.tiles):
        in_lane = np.zeros((lanes, experts), dtype=np.int64)
        for token in range(int(rng.integers(config.tile.tokens + 1)) if most else 0):
            chosen = rng.choice(experts, size=int(rng.integers(most + 1)), replace=False, p=liked / liked.sum())
            in_lane[token % lanes, chosen] += 1
        passes[tile] = in_lane.max(axis=0)
    return passes


def exchange_cycles(config: Config, edges: list[int], starts: list[int]) -> tuple[list[list[int]], list[int]]:
    """An exchange cycle by cycle, as docs/batch.md has it, tiles by position in the ring.

    Args:
        config: the accelerator.
        edges: cycles from a word's leaving a position to its being held at the one after.
        starts: cycle of the start of each.

    Returns:
        cycles in which each sends its own words, and the cycle of ``formed`` of each.
    """
    tiles, total = config.array.tiles, config.count_words + 1
    sent: list[list[int]] = [[] for _ in range(tiles)]
    last = [0] * tiles
    held: defaultdict[int, dict[int, int]] = defaultdict(dict)  # by cycle and position: edges behind it
    cycle = min(starts)
    while any(len(one) < total for one in sent) or any(after >= cycle for after in held):
        for position in range(tiles):
            onward = None
            if position in held[cycle]:
                last[position] = cycle
                onward = held[cycle][position] + 1
            elif len(sent[position]) < total:
                number, start = len(sent[position]), starts[position]
                due = (start + 1, max(start + 6, sent[position][0] + 4) if number == 1 else 0)[number] if number < 2 else (
                    sent[position][-1] + 4)
                if cycle >= due:
                    sent[position].append(cycle)
                    last[position], onward = cycle, 1
            if onward is not None and onward < tiles:
                after = (position + 1) % tiles
                assert after not in held[cycle + edges[position]]
                held[cycle + edges[position]][after] = onward
        cycle += 1
    return sent, [cycle + 1 for cycle in last]


def loads_of(config: Config, expert: int, stops: np.ndarray, tile: int, *,
             shared: bool = False) -> tuple[list[tuple[int, ...]], int]:
    """Entries of an expert's slices that a tile loads, as (expert, index, row, here, ahead), and how many arrive there."""
    if shared:
        homes = [(index, *config.home(expert, index)) for index in range(config.tile.slices)]
        return [(expert, index, row, 1, 0) for index, home, row in homes if home == tile], 0
    along = [tile]
    while len(along) < config.array.tiles:
        along.append(ring_next(config.array, along[-1]))
    ahead = sum(int(stops[other]) << place for place, other in enumerate(along[1:]))
    loads: list[tuple[int, ...]] = []
    arrivals = 0
    for index in range(config.tile.slices):
        home, row = config.home(expert, index)
        if home == tile:
            loads.append((expert, index, row, int(stops[tile]), ahead))
        else:
            furthest = max(ring_distance(config.array, home, other) for other in np.flatnonzero(stops).tolist())
            arrivals += ring_distance(config.array, home, tile) <= furthest
    return loads, arrivals


def count_table(formed: Any, passes: np.ndarray) -> Any:
    """A bench in the background that answers an expert order's reads; ``passes`` is [tiles, experts], this tile first."""
    async def bench(ctx: Any) -> None:
        while True:
            *_, read, number = await ctx.tick().sample(formed.read, formed.number)
            if read:
                for tile, row in enumerate(passes):
                    for place in range(COUNTS_PER_WORD):
                        expert = COUNTS_PER_WORD * number + place
                        ctx.set(formed.counts[tile][place], int(row[expert]) if expert < len(row) else 0)
    return bench


class Lists(Elaboratable):
    """Stands for a tile's token lists: the lengths of two batches, each read a cycle later."""

    def __init__(self, params: Params):
        self.experts = params.config.layer.experts
        self.contents: memory.Memory[Any, Any] = memory.Memory(shape=params.pass_bits, depth=2 * self.experts, init=[])
        self.counts = CountPort(params).flip().create()

    def elaborate(self, platform: object) -> Module:
        """A memory."""
        m = Module()
        m.submodules.contents = self.contents
        port, counts = self.contents.read_port(), self.counts
        m.d.comb += [
            port.en.eq(counts.read), port.addr.eq(Mux(counts.batch, self.experts, 0) + counts.expert),
            counts.passes.eq(port.data),
        ]
        return m


class Ring(Elaboratable):
    """A former for each position of a ring, joined by lanes of some cycles each."""

    def __init__(self, config: Config, edges: list[int]):
        self.config, self.edges = config, edges
        self.formers = [BatchFormer(Params(config)) for _ in edges]
        self.lists = [Lists(Params(config)) for _ in edges]

    def elaborate(self, platform: object) -> Module:
        """Registers on the lanes; the last cycle is that of the former's own register."""
        m = Module()
        for position, (former, lists, edge) in enumerate(zip(self.formers, self.lists, self.edges, strict=True)):
            m.submodules[f"former_{position}"], m.submodules[f"lists_{position}"] = former, lists
            m.d.comb += [
                former.position.eq(position), lists.counts.read.eq(former.counts.read),
                lists.counts.batch.eq(former.counts.batch), lists.counts.expert.eq(former.counts.expert),
                former.counts.passes.eq(lists.counts.passes),
            ]
            valid, payload = former.word_out.valid, former.word_out.payload.as_value()
            for cycle in range(edge - 1):
                later = Signal(name=f"valid_{position}_{cycle}")
                content = Signal.like(payload, name=f"word_{position}_{cycle}")
                m.d.sync += [later.eq(valid), content.eq(payload)]
                valid, payload = later, content
            after = self.formers[(position + 1) % len(self.formers)]
            m.d.comb += [after.word_in.valid.eq(valid), after.word_in.payload.as_value().eq(payload)]
        return m
