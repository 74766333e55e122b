"""Random token records, what they say, and what a reader of records puts where."""

from typing import Any

from trajectile.hw.batch.layouts import NO_EXPERT
from trajectile.sw_model.config import ceil_div


class Records:
    """Random records of some tokens, as bytes, and what they say. ``first`` tokens of the batch are before them."""

    def __init__(self, config, rng, tokens, wrong=False, first=0):
        self.config, self.tokens, self.first = config, tokens, first
        top_k, experts = config.layer.top_k, config.layer.experts
        illegal = [experts, NO_EXPERT, 0xFFFE, experts | 0x8000] if wrong else [NO_EXPERT]
        choices = [*range(experts), *illegal]
        self.exponents = [rng.randrange(256) for _ in range(tokens)]
        self.choices = [[(rng.choice(choices), rng.getrandbits(16)) for _ in range(top_k)] for _ in range(tokens)]
        blocks = ceil_div(config.layer.d_model, 32)
        self.shifts = [[rng.randrange(4) for _ in range(blocks)] for _ in range(tokens)]
        self.codes = [rng.randbytes(config.gate_up_chunks * config.tile.mac_k) for _ in range(tokens)]

        def filled(part, size):
            return part + rng.randbytes(size - len(part))
        heads = b"".join(
            filled(bytes([exponent]) + rng.randbytes(3) + b"".join(
                expert.to_bytes(2, "little") + weight.to_bytes(2, "little") for expert, weight in choices),
                config.head_bytes) for exponent, choices in zip(self.exponents, self.choices, strict=True))
        rows = b""
        for shifts, codes in zip(self.shifts, self.codes, strict=True):
            field = sum(shift << 2 * block for block, shift in enumerate(shifts))
            # what is behind the last block's shift may be anything
            field |= rng.getrandbits(8 * config.shift_bytes) >> 2 * blocks << 2 * blocks
            row = field.to_bytes(config.shift_bytes, "little") + codes
            rows += filled(row, config.row_bytes)
        #: a part for each round
        self.parts = heads, rows
        self.bytes = heads + rows
        assert len(self.bytes) == tokens * config.record_bytes

    def place(self, token):
        """Lane and index."""
        number = self.first + token
        return number % self.config.tile.mac_t, number // self.config.tile.mac_t

    def inserts(self, spoilt=frozenset()):
        """Lane, token, rank, expert, weight, exponent of every choice that is put into a list; ``spoilt`` are bad beats."""
        beat, items = self.config.io.bytes_per_cycle, self.config.io.bytes_per_cycle // 4
        head_beats = self.config.head_bytes // beat
        return [(*self.place(token), rank, expert, weight, self.exponents[token])
                for token in range(self.tokens) for rank, (expert, weight) in enumerate(self.choices[token])
                if expert < self.config.layer.experts
                and not {token * head_beats, token * head_beats + (rank + 1) // items} & set(spoilt)]

    def fills(self):
        """Lane, index, word of every word of activations."""
        tile, found = self.config.tile, []
        for token in range(self.tokens):
            for chunk in range(self.config.gate_up_chunks):
                word = 0
                for scale in range(tile.word_scales):
                    first = chunk * tile.mac_k + scale * tile.word_inputs
                    block = first // 32
                    shift = self.shifts[token][block] if block < len(self.shifts[token]) else 0
                    codes = int.from_bytes(self.codes[token][first:first + tile.word_inputs], "little")
                    word |= (codes | shift << 8 * tile.word_inputs) << (8 * tile.word_inputs + 2) * scale
                lane, index = self.place(token)
                found.append((lane, index * self.config.gate_up_chunks + chunk, word))
        return found


class Puts:
    """Everything that a reader puts anywhere, in order; pass ``lists_bench`` and ``fill_bench`` as background benches."""

    def __init__(self, reader):
        self.insert: Any = reader.insert
        self.fill: Any = getattr(reader, "fill", None)
        #: batch, lane, token, rank, expert, weight, exponent; a token that is in a list already is not put there again
        self.inserts: list[tuple[int, ...]] = []
        #: batch, lane, index, word
        self.fills: list[tuple[int, ...]] = []
        #: lists as they would be, to answer ``twice``
        self.lists: set[tuple[int, ...]] = set()

    @property
    def benches(self):
        """Those that the build has use for."""
        return [self.lists_bench, *([] if self.fill is None else [self.fill_bench])]

    def clear(self):
        """Begin anew."""
        for kept in (self.inserts, self.fills, self.lists):
            kept.clear()

    async def lists_bench(self, ctx: Any):
        """What the token lists do: they answer in the second cycle."""
        insert = self.insert
        payload = (insert.batch, insert.lane, insert.token, insert.rank, insert.expert, insert.weight.as_value(),
                   insert.exponent)
        before = None
        while True:
            _, _, now, *values = await ctx.tick().sample(insert.insert, *payload)
            if before is not None:
                assert not now and values == before, "a choice takes two cycles"
            ctx.set(insert.twice, 0)
            before = None
            if now:
                before = values
                key = (values[1], values[2], values[4])
                ctx.set(insert.twice, key in self.lists)
                if key not in self.lists:
                    self.inserts.append(tuple(values))
                self.lists.add(key)

    async def fill_bench(self, ctx: Any):
        """Every word of activations."""
        fill = self.fill
        while True:
            _, _, write, *values = await ctx.tick().sample(
                fill.write, fill.batch, fill.lane, fill.index, fill.word.as_value())
            if write:
                self.fills.append(tuple(values))
