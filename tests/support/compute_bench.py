"""A compute unit with its token lists, and what the batch former does with both: choices, activations, results."""

import random
from dataclasses import replace

import numpy as np
from amaranth.hdl import Module
from amaranth.lib.wiring import connect

from trajectile.hw.batch.token_lists import TokenLists
from trajectile.hw.compute.unit import ComputeUnit
from trajectile.hw.formats import EXPONENT_BITS
from trajectile.hw.params import Params
from trajectile.sw_model.config import BLOCK_INPUTS, Config
from trajectile.sw_model.numerics.integer import QuantisedBatch


def activation_words(config: Config, x: np.ndarray, shifts: np.ndarray) -> list[int]:
    """Words of a token as the token buffer has them: for each block of inputs its int8, zero padded, and its shift.

    Args:
        config: the accelerator.
        x: int8 [d_model].
        shifts: of each block of 32 inputs.
    """
    tile, words = config.tile, []
    for chunk in range(config.gate_up_chunks):
        word = place = 0
        for start in range(chunk * tile.mac_k, (chunk + 1) * tile.mac_k, tile.word_inputs):
            values = [int(v) % 256 for v in x[start:start + tile.word_inputs]]
            block = start // BLOCK_INPUTS
            shift = int(shifts[block]) if block < len(shifts) else 0
            word |= (sum(value << 8 * i for i, value in enumerate(values)) | shift << 8 * tile.word_inputs) << place
            place += 8 * tile.word_inputs + 2
        words.append(word)
    return words


def part(batch: QuantisedBatch, tokens: slice) -> QuantisedBatch:
    """Some tokens of a batch."""
    return replace(batch, x=batch.x[tokens], shift=batch.shift[tokens], exponent=batch.exponent[tokens],
                   topk_ids=batch.topk_ids[tokens], weight=batch.weight[tokens])


class ComputeBench:
    """The two blocks wired as in a tile. Token i of a batch is in lane i % mac_t."""

    def __init__(self, config: Config, seed: int = 1, *, timing_only: bool = False):
        self.config, self.rng = config, random.Random(seed)
        self.params = Params(config, timing_only=timing_only)
        self.unit, self.lists = ComputeUnit(self.params), TokenLists(self.params)
        self.module = Module()
        self.module.submodules.unit, self.module.submodules.lists = self.unit, self.lists
        connect(self.module, self.unit.look_up, self.lists.look_up)

    def place(self, token):
        """Lane and index of a token."""
        return token % self.config.tile.mac_t, token // self.config.tile.mac_t

    def passes(self, topk_ids):
        """Passes of each expert, of a batch of these choices [tokens, top_k]."""
        lanes = [np.bincount(ids[ids >= 0], minlength=self.config.layer.experts)
                 for ids in (topk_ids[lane::self.config.tile.mac_t].ravel() for lane in range(self.config.tile.mac_t))]
        return np.max(lanes, axis=0)

    async def sweep(self, ctx, bank):
        """Empty the lists, forget results."""
        ctx.set(self.lists.listed[bank], 0)
        if not self.params.timing_only:
            ctx.set(self.unit.filled[bank], 0)
        for strobes in (self.lists.sweep, self.unit.clear):
            ctx.set(strobes[bank], 1)
        await ctx.tick()
        for strobes in (self.lists.sweep, self.unit.clear):
            ctx.set(strobes[bank], 0)
        while not ctx.get(self.lists.swept[bank]):
            await ctx.tick()

    async def form(self, ctx, bank, batch):
        """Put the choices into lists, and activations into the lanes' memories, as records bring them."""
        insert, fill = self.lists.insert, self.unit.fill
        while not ctx.get(self.lists.swept[bank]):  # after the reset
            await ctx.tick()
        for token, experts in enumerate(batch.topk_ids):
            lane, index = self.place(token)
            for rank, expert in enumerate(experts):
                if expert < 0:
                    continue
                ctx.set(insert.look, 1)
                for signal, value in ((insert.insert, 1), (insert.batch, bank), (insert.lane, lane), (insert.token, index),
                                      (insert.rank, rank), (insert.expert, int(expert)),
                                      (insert.weight.as_value(), int(batch.weight[token, rank])),
                                      (insert.exponent, int(batch.exponent[token]) % 2**EXPONENT_BITS)):
                    ctx.set(signal, value)
                await ctx.tick()
                ctx.set(insert.look, 0)
                ctx.set(insert.insert, 0)
                assert not ctx.get(insert.twice)
                await ctx.tick()
        ctx.set(self.lists.listed[bank], 1)
        for token, (x, shifts) in enumerate(zip(batch.x, batch.shift, strict=True)):
            lane, index = self.place(token)
            for chunk, word in enumerate(activation_words(self.config, x, shifts)):
                for signal, value in ((fill.write, 1), (fill.batch, bank), (fill.lane, lane),
                                      (fill.index, index * self.config.gate_up_chunks + chunk), (fill.word.as_value(), word)):
                    ctx.set(signal, value)
                await ctx.tick()
        ctx.set(fill.write, 0)
        ctx.set(self.unit.filled[bank], 1)

    async def read(self, ctx, bank, tokens):
        """Results int64 [tokens, d_model] and clips [tokens] of the first tokens, read one per cycle in any order."""
        port, config = self.unit.read, self.config
        results = np.zeros((tokens, config.down_groups * config.tile.mac_n), np.int64)
        clips = np.zeros(tokens, np.int64)
        wanted = [(token, group) for token in range(tokens) for group in (*range(config.down_groups), None)]
        self.rng.shuffle(wanted)
        late = self.unit.read_cycles
        for number in range(len(wanted) + late):
            if number >= late:
                token, group = wanted[number - late]
                if group is None:
                    clips[token] = ctx.get(port.clips)
                else:
                    data = ctx.get(port.results).to_bytes(self.params.result_bits // 8, "little")
                    results[token, group * config.tile.mac_n:(group + 1) * config.tile.mac_n] = np.frombuffer(data, "<i4")
            for signal in (port.read, *((port.early,) if config.array.shares else ())):
                ctx.set(signal, number < len(wanted))
            if number < len(wanted):
                token, group = wanted[number]
                lane, index = self.place(token)
                for signal, value in ((port.batch, bank), (port.lane, lane), (port.token, index),
                                      (port.group_index, group or 0), (port.of_clips, group is None)):
                    ctx.set(signal, value)
            await ctx.tick()
        return results[:, :config.layer.d_model], clips
