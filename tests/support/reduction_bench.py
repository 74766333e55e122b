"""Reductions of one or more tiles, each with a memory and the naive model beside it; links that are late and stall."""

import random
from collections import deque
from typing import Any

from amaranth.hdl import Module

from tests.support.blocks import run_block
from tests.support.naive_reduction import CLIPS_MAX, CLOSING, Memory, NaiveReduction, Outputs
from trajectile.hw.batch.reduction import RingReduction
from trajectile.hw.d2d.layouts import FlitKind
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config


class Link:
    """What is sent in a cycle comes so many cycles later, or, if the link stalls, later; then without gaps."""

    def __init__(self, cycles: int, rng: random.Random, stalls: float = 0.0):
        self.cycles, self.rng, self.stalls = cycles, rng, stalls
        self.under_way: deque[tuple[int, Any]] = deque()
        self.stalled = 0

    def send(self, cycle: int, what: Any) -> None:
        self.under_way.append((cycle + self.cycles, what))

    def comes(self, cycle: int) -> Any:
        """What comes in this cycle, or None."""
        if self.rng.random() < self.stalls:
            self.stalled = self.rng.randrange(1, 20)
        self.stalled -= self.stalled > 0
        if not self.stalled and self.under_way and self.under_way[0][0] <= cycle:
            return self.under_way.popleft()[1]
        return None


class TileBench:
    """A reduction, its part of the compute unit, and what it ought to do."""

    def __init__(self, config: Config, rng: random.Random, *, timing_only: bool = False):
        self.config, self.rng, self.timing_only = config, rng, timing_only
        self.params = Params(config, timing_only=timing_only)
        self.dut = RingReduction(self.params)
        self.naive = NaiveReduction(config.down_groups, config.sum_flits, config.tile.mac_n)
        self.piece_bits = 8 * config.payload_bytes
        #: words of each batch's memory by lane, token and word; tokens that are known; the unit if it is known
        self.words: list[dict[Any, Any]] = [{}, {}]
        self.met: list[set[Any]] = [set(), set()]
        self.units: list[int | None] = [None, None]
        self.batch = 0
        self.answer: tuple[Any, ...] = ()
        self.arriving: Any = None  # flit of this cycle
        self.next_flit: Any = None  # and of the next
        #: what has happened that is rare
        self.seen: set[str] = set()

    def place(self, token: int) -> dict[str, int]:
        """A token's place; one past the last that there is may show as the first, or as far as its bits go."""
        lane, index = token % self.config.tile.mac_t, token // self.config.tile.mac_t
        if index == self.config.tile.lane_tokens:
            index = self.rng.choice([0, index % 2**self.params.token_bits])
        return {"lane": lane, "token": index}

    def start(self, ctx: Any, cycle: int, batch: int, memory: Memory, shares: dict[str, int]) -> None:
        """``reduce.start`` in this cycle."""
        self.batch, reduce, total = batch, self.dut.reduce, shares["total"]
        tile, groups = self.config.tile, self.config.down_groups
        self.words[batch] = {
            (lane, index, word): self.rng.getrandbits(16 if word == CLOSING else self.params.result_bits)  # left from before
            for lane in range(tile.mac_t) for index in range(tile.lane_tokens) for word in (*range(groups), CLOSING)}
        self.met[batch] = set()
        for token, sums in memory.sums.items():
            lane, index = token % tile.mac_t, token // tile.mac_t
            self.met[batch].add((lane, index))
            self.words[batch][lane, index, CLOSING] = memory.clips[token]
            for group in range(groups):
                self.words[batch][lane, index, group] = self.bits(sums[group])
        self.units[batch] = memory.unit
        ctx.set(reduce.start, 1)
        ctx.set(reduce.batch, batch)
        ctx.set(reduce.tokens, shares["tokens"])
        ctx.set(reduce.share, {
            "own": self.place(shares["own"]), "previous": self.place(shares["previous"]),
            "last": self.place(max(total - 1, 0)), "total": total, "before": shares["before"]})
        self.naive.start(cycle, memory, **shares)

    def no_start(self, ctx: Any) -> None:
        """Nothing starts; what is looked at with ``start`` is anything."""
        reduce, rng = self.dut.reduce, self.rng
        ctx.set(reduce.start, 0)
        ctx.set(reduce.batch, rng.randrange(self.config.tile.batches))
        ctx.set(reduce.tokens, rng.getrandbits(self.params.batch_token_bits))
        ctx.set(reduce.share.as_value(), rng.getrandbits(self.params.share_layout.size))

    def bits(self, values: list[int]) -> int:
        """A group as one number."""
        return sum(value % 2**32 << 32 * number for number, value in enumerate(values))

    def payload(self, value: Any, word: Any, piece: int) -> int:
        """Of a flit; a value of None is one that does not matter."""
        if word == CLOSING:
            clips, unit = value
            return int(clips) | ((unit or 0) & 0xFF) << 16 | (unit is not None) << 24
        return self.bits(value) >> piece * self.piece_bits & (1 << self.piece_bits) - 1

    def drive(self, ctx: Any, *, flit: Any, ready: bool, permitted: bool) -> None:
        """The inputs of a cycle. ``flit``: (word, piece, value), or None; it is announced now and comes in the next cycle."""
        self.arriving, self.next_flit = self.next_flit, flit
        ctx.set(self.dut.arrival.next_valid, flit is not None)
        ctx.set(self.dut.arrival.next_head, self.rng.getrandbits(1) if flit is None else flit[0] == CLOSING)
        flit = self.arriving
        dut, rng, payload_bits = self.dut, self.rng, self.params.payload_bits
        ctx.set(dut.permitted, permitted)
        ctx.set(dut.flits.ready, ready)
        if flit is None:
            ctx.set(dut.arrival.payload.as_value(), rng.getrandbits(self.params.flit_layout.size))
            ctx.set(dut.arrival.valid, 0)
        else:
            word, piece, value = flit
            used = self.params.closing_layout.size if word == CLOSING else min(
                self.piece_bits, self.params.result_bits - piece * self.piece_bits)
            payload = rng.getrandbits(payload_bits)
            if not self.timing_only:
                payload = payload >> used << used | self.payload(value, word, piece) & (1 << used) - 1
            ctx.set(dut.arrival.valid, 1)
            ctx.set(dut.arrival.payload, {"kind": FlitKind.SUMS, "head": word == CLOSING, "tail": rng.getrandbits(1),
                                          "payload": payload})
        if self.timing_only:
            return
        # what was read last, and on the other output anything
        ctx.set(dut.read.results, rng.getrandbits(self.params.result_bits))
        ctx.set(dut.read.clips, rng.getrandbits(16))
        if self.answer:
            of_clips, value = self.answer
            ctx.set(dut.read.clips if of_clips else dut.read.results, value)
        for batch in range(self.config.tile.batches):
            unit = self.units[batch]
            ctx.set(dut.unit[batch], unit or 0)
            ctx.set(dut.put.known[batch], unit is not None)

    def check(self, ctx: Any, cycle: int, *, ready: bool, permitted: bool) -> Outputs:
        """The outputs of a cycle are those of the naive model, which are returned; the memory does as it is told."""
        flit = self.arriving and self.arriving[2]
        dut, expected = self.dut, self.naive.step(cycle, flit=flit, ready=ready, permitted=permitted)
        assert ctx.get(dut.permit_sums) == expected.permits
        assert ctx.get(dut.reduce.summed) == expected.summed
        assert ctx.get(dut.flits.valid) == (expected.offers is not None)
        if expected.offers:
            (_, word, piece), value = expected.offers
            assert ctx.get(dut.flits.payload.kind) == FlitKind.SUMS and ctx.get(dut.flits.payload.head) == (word == CLOSING)
            if not self.timing_only:
                used = self.params.closing_layout.size if word == CLOSING else self.piece_bits
                assert ctx.get(dut.flits.payload.payload) & (1 << used) - 1 == self.payload(value, word, piece)
        if not self.timing_only:
            self._memory(ctx, expected)
        if len(expected.writes) > 1:
            self.seen.add("two writes")
        if self.naive.late:
            self.seen.add("a cycle later")
        return expected

    def _memory(self, ctx: Any, expected: Outputs) -> None:
        """A read is answered from the next cycle on until another one; nothing is read from a bank that is written."""
        read, put, batch, mac_t = self.dut.read, self.dut.put, self.batch, self.config.tile.mac_t
        banks = []
        assert ctx.get(read.read) == (expected.reads is not None)
        if expected.reads:
            token, word = expected.reads
            lane, index, of_clips = ctx.get(read.lane), ctx.get(read.token), ctx.get(read.of_clips)
            assert (ctx.get(read.batch), index * mac_t + lane, of_clips) == (batch, token, word == CLOSING)
            assert of_clips or ctx.get(read.group_index) == word
            known = (lane, index) in self.met[batch] or ctx.get(read.written)
            self.answer = of_clips, self.words[batch][lane, index, word] if known else 0
            banks.append(2 if of_clips else word % 2)
        writes = ctx.get(put.write)
        found = {}
        for bank in range(3):
            if not writes >> bank & 1:
                continue
            assert bank not in banks
            place = put.places[bank]
            lane, index, word = ctx.get(place.lane), ctx.get(place.token), CLOSING
            assert ctx.get(put.batch) == batch
            if bank == 2:
                self.met[batch].add((lane, index))
                value = ctx.get(put.words.clips)
            else:
                word, value = 2 * ctx.get(put.row[bank]) + bank, ctx.get((put.words.even, put.words.odd)[bank])
            assert (lane, index, word) in self.words[batch]
            self.words[batch][lane, index, word] = value
            found[index * mac_t + lane, word] = value
        assert found == {which: value if which[1] == CLOSING else self.bits(value)
                         for which, value in expected.writes.items()}
        if ctx.get(put.adopt) and self.units[batch] is None:
            self.units[batch] = (ctx.get(put.unit) + 128) % 256 - 128

    def kept(self, token: int) -> tuple[list[int], int]:
        """What the memory has of a token: its groups, each as one number, and its clips."""
        lane, index = token % self.config.tile.mac_t, token // self.config.tile.mac_t
        assert (lane, index) in self.met[self.batch]
        words = self.words[self.batch]
        return [words[lane, index, group] for group in range(self.config.down_groups)], words[lane, index, CLOSING]


def partial_sums(config: Config, rng: random.Random, total: int) -> Memory:
    """Of a tile in which some tokens have met something, or none has."""
    mac_n, groups = config.tile.mac_n, config.down_groups
    met = [token for token in range(total) if rng.random() < 0.7] if rng.random() < 0.8 else []
    return Memory({token: [[rng.getrandbits(32) - 2**31 for _ in range(mac_n)] for _ in range(groups)] for token in met},
                  {token: rng.choice([0, rng.randrange(100), rng.randrange(CLIPS_MAX + 1)]) for token in met},
                  rng.randrange(-128, 128) if met else None)


class RingBench:
    """A whole ring: tile p sends to tile p + 1, and permits tile p - 1."""

    def __init__(self, config: Config, seed: int, *, tiles: int, latency: int = 3, stalls: float = 0.0, busy: float = 0.0,
                 timing_only: bool = False):
        print(f"seed {seed}")
        self.config, self.rng, self.busy = config, random.Random(seed), busy
        self.tiles = [TileBench(config, self.rng, timing_only=timing_only) for _ in range(tiles)]
        self.links = [Link(latency, self.rng, stalls) for _ in range(tiles)]
        self.permits = [Link(latency + 1, self.rng, stalls) for _ in range(tiles)]
        self.flits = 0

    def run(self, batches: list[list[int]], late: int = 0) -> None:
        """Batches after one another, with so many tokens on each tile; a tile starts up to ``late`` cycles late."""
        module, count = Module(), len(self.tiles)
        for number, tile in enumerate(self.tiles):
            module.submodules[f"tile_{number}"] = tile.dut
        memories = [[partial_sums(self.config, self.rng, sum(tokens)) for _ in self.tiles] for tokens in batches]
        done = [0] * count  # batches that a tile has summed up
        starts: list[Any] = [self.rng.randrange(late + 1) for _ in self.tiles]

        async def bench(ctx: Any) -> None:
            cycle = 0
            while min(done) < len(batches):
                assert cycle < 20_000, "hung"
                inputs = []
                for number, tile in enumerate(self.tiles):
                    if starts[number] == cycle:
                        tokens = batches[done[number]]
                        tile.start(ctx, cycle, done[number] % self.config.tile.batches, memories[done[number]][number],
                                   shares(tokens, number))
                    else:
                        tile.no_start(ctx)
                    flit = self.links[number - 1].comes(cycle)
                    inputs.append({"ready": self.rng.random() >= self.busy,
                                   "permitted": self.permits[number].comes(cycle) is not None})
                    tile.drive(ctx, flit=flit, **inputs[-1])
                for number, tile in enumerate(self.tiles):
                    out = tile.check(ctx, cycle, **inputs[number])
                    if out.permits:
                        self.permits[number - 1].send(cycle, True)
                    if out.offers and inputs[number]["ready"]:
                        (_, word, piece), value = out.offers
                        self.links[number].send(cycle, (word, piece, value))
                        self.flits += 1
                    if out.summed:
                        self._result(tile, batches[done[number]], number, memories[done[number]])
                        done[number] += 1
                        starts[number] = cycle + 1 + self.rng.randrange(late + 1) if done[number] < len(batches) else None
                cycle += 1
                await ctx.tick()
            assert not any(link.under_way for link in (*self.links, *self.permits))

        run_block(module, bench)

    def _result(self, tile: TileBench, tokens: list[int], number: int, memories: list[Memory]) -> None:
        """Own tokens have the sum over all tiles; if any tile has computed a slice, its unit is known."""
        if tile.timing_only:
            return
        mac_n, first = self.config.tile.mac_n, sum(tokens[:number])
        for token in range(first, first + tokens[number]):
            groups = [tile.bits([sum(memory.sums[token][group][output] for memory in memories if token in memory.sums)
                                 for output in range(mac_n)]) for group in range(self.config.down_groups)]
            clips = min(sum(memory.clips.get(token, 0) for memory in memories), CLIPS_MAX)
            assert tile.kept(token) == (groups, clips)
        units = {memory.unit for memory in memories} - {None}
        assert not tokens[number] or tile.units[tile.batch] in (units or {None})


def shares(tokens: list[int], number: int) -> dict[str, int]:
    """What batch control knows of a batch with so many tokens on each tile, for one of the tiles."""
    before = (number - 1) % len(tokens)
    return {"own": sum(tokens[:number]), "tokens": tokens[number], "previous": sum(tokens[:before]),
            "before": tokens[before], "total": sum(tokens)}
