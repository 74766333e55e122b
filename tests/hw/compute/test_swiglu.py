"""A SwiGLU lane, with the biases beside it, on sums of every size: to the bit and cycle as docs/numerics.md has it."""

import random
from collections import Counter

import pytest
from amaranth.hdl import Module

from tests.support.blocks import run_block
from tests.support.configurations import small
from tests.support.pair_arithmetic import VALUE_MAX, Slice, pair
from trajectile.hw.compute.bias import GroupBias
from trajectile.hw.compute.swiglu import SwigluLane
from trajectile.hw.widths import Widths

SLICES, GROUPS, PAIRS = 60, 8, 2
EXTREME = (-VALUE_MAX - 1, -VALUE_MAX, -1, 0, 1, VALUE_MAX)
LIMITS = (*[VALUE_MAX] * 4, 1, 1792, 2560, VALUE_MAX - 1)

#: what makes sums as wide as they can be
WIDE = {"layer__d_ff": 65536, "tile__slices": 1, "tile__scale_mantissa": 3}
#: activation, bias, bits of the sums, and what makes them so wide
LANES = [("silu", False, 29, {}), ("gelu", True, 29, {}), ("gelu_tanh", False, 42, WIDE), ("quick_gelu", True, 42, WIDE),
         ("quick_gelu", False, 25, {"layer__d_ff": 3, "tile__weights": "int4"})]


class Bench:
    """A lane, with the block of biases if it takes some; what goes in, what must come out and when, what does."""

    def __init__(self, activation, bias, sum_bits, seed, **changes):
        print(f"seed {seed}")
        self.params = Widths(small(tile__mac_n=2 * PAIRS, layer__activation=activation,
                                   layer__bias="true" if bias else "false", **changes))
        assert self.params.sum_bits == sum_bits
        self.activation, self.rng = activation, random.Random(seed)
        self.lane, self.top = SwigluLane(self.params), Module()
        self.top.submodules.lane = self.lane
        self.bias = GroupBias(self.params) if bias else None
        if self.bias:
            self.top.submodules.bias = self.bias
            self.top.d.comb += [self.lane.gate_bias.eq(self.bias.gate_bias), self.lane.up_bias.eq(self.bias.up_bias),
                                self.bias.load.eq(self.lane.load)]
        self.cycle, self.expected, self.found, self.seen = 0, [], [], Counter()

    async def tick(self, ctx):
        """A cycle, and what leaves in it."""
        lane = self.lane
        if ctx.get(lane.valid):
            value = ctx.get(lane.value)
            self.found.append((self.cycle, ctx.get(lane.clipped), value.magnitude, value.exponent, value.negative))
        await ctx.tick()
        self.cycle += 1

    def slice(self):
        """Parameters: usual units and extreme ones; limits of the format and of models."""
        rng = self.rng
        units = (rng.randint(-40, 20),) if rng.random() < 0.7 else (-128, 127, rng.randint(-128, 127))
        return Slice(rng.choice(units), rng.choice(units), rng.choice(LIMITS), rng.choice(LIMITS),
                     rng.choice((0, 256, rng.randint(-999, 999), *EXTREME)))

    def exponent(self, unit):
        """A token's exponent: mostly one that makes a sum's rounding a shift of up to 40, or one that is limited."""
        rng = self.rng
        xe = -(rng.choice((rng.randint(-8, 40), rng.randint(-12, 64), -9, -8, 0, 1, 55, 56)) + 8 + unit)
        return xe if -128 <= xe < 128 else rng.choice((-128, 127, rng.randint(-128, 127)))

    def sum(self, unit, xe, limits):
        """A sum: of any size, zero, the largest, or one that is rounded to near a limit or to a small number."""
        rng, largest = self.rng, 2**(self.params.sum_bits - 1) - 1
        n = min(max(-(unit + xe + 8), -8), 55)
        kind = rng.randrange(12)
        if kind == 0:
            return 0
        if kind == 1:
            return rng.choice((-largest, largest))
        if kind == 2:
            return rng.randint(-2**rng.randrange(largest.bit_length()), 2**rng.randrange(largest.bit_length()))
        near = rng.choice(limits) if kind < 7 else rng.choice((rng.randint(-16, 16), rng.randint(-2100, 2100)))
        if kind > 10:
            near = rng.randint(-40000, 40000)
        near += rng.choice((-1, 0, 0, 1))
        half = 1 << n - 1 if n > 0 else 0
        total = (near << n if n > 0 else near >> -n) + rng.choice((0, -half, -half - 1, half, half - 1))
        return min(max(total, -largest), largest)

    async def run(self, ctx):
        """Slice after slice; in each, groups as soon as they may follow and later."""
        for _ in range(SLICES):
            await self.meet(ctx, self.slice())
        assert self.found == self.expected

    async def meet(self, ctx, given):
        """Some groups of a slice."""
        rng, lane = self.rng, self.lane
        weights = [(rng.choice((0, *range(32))), rng.choice((0, 2047, rng.randrange(2048)))) for _ in range(2)]
        ctx.set(lane.parameters, {name: getattr(given, name) for name in Slice.__dataclass_fields__})
        ctx.set(lane.weight, [{"exponent": exponent, "fraction": fraction} for exponent, fraction in weights])
        for _ in range(GROUPS):
            half, exponents = rng.randrange(2), [self.exponent(given.gate_unit), self.exponent(given.up_unit)]
            rng.shuffle(exponents)
            ctx.set(lane.exponent, exponents)
            ctx.set(lane.half, half)
            xe = exponents[half]
            biases = [[rng.choice((*EXTREME, rng.randint(-4000, 4000))) if self.bias else 0 for _ in range(2)]
                      for _ in range(PAIRS)]
            limits = ([-VALUE_MAX, given.gate_max], [-given.up_max, given.up_max])
            sums = [[self.sum(unit, xe, [limit - bias for limit in ends]) for unit, bias, ends in zip(
                        (given.gate_unit, given.up_unit), each, limits, strict=True)] for each in biases]
            if self.bias:
                await self.capture(ctx, biases)
            bits = self.params.sum_bits
            flat = [total for pair_sums in sums for total in pair_sums]
            ctx.set(lane.totals, sum(total % 2**bits << bits * number for number, total in enumerate(flat)))
            ctx.set(lane.load, 1)
            for number in range(PAIRS):
                made = pair(self.activation, given, sums[number], biases[number], xe, weights[half])
                self.expected.append((self.cycle + lane.latency_cycles + number, made.clipped, made.magnitude,
                                      made.exponent, made.negative))
                self.seen.update(cases(given, sums[number], xe, made, weights[half]))
            await self.tick(ctx)
            ctx.set(lane.load, 0)
            ctx.set(lane.half, rng.randrange(2))
            ctx.set(lane.exponent, [rng.randint(-128, 127) for _ in range(2)])
            for _ in range(PAIRS - 1 + rng.choice((0, 0, rng.randrange(9)))):
                await self.tick(ctx)
        for _ in range(lane.latency_cycles + PAIRS):
            await self.tick(ctx)

    async def capture(self, ctx, biases):
        """The group's bias word, up to ``hold_cycles`` before its sums."""
        rng, bias = self.rng, self.bias
        flat = [value for each in biases for value in each]
        junk = rng.getrandbits(self.params.word_bits - 16 * len(flat)) << 16 * len(flat)
        ctx.set(bias.word, junk | sum(value % 2**16 << 16 * number for number, value in enumerate(flat)))
        ctx.set(bias.capture, 1)
        await self.tick(ctx)
        ctx.set(bias.capture, 0)
        ctx.set(bias.word, rng.getrandbits(self.params.word_bits))
        for _ in range(rng.randrange(bias.hold_cycles)):
            await self.tick(ctx)


def cases(given, sums, xe, made, weight):
    """Which cases a pair is one of."""
    shifts = [-(unit + xe + 8) for unit in (given.gate_unit, given.up_unit)]
    k = abs(made.v).bit_length()
    return [name for name, there in {
        "shift limited": min(shifts) < -8 and any(sums), "limited without loss": min(shifts) < -8 and not made.clipped,
        "shift to the left": -8 in shifts, "all shifted out": max(shifts) > 55,
        "clipped": made.clipped, "gate at the format's end": abs(made.g) == VALUE_MAX,
        "limit of the model": made.g == given.gate_max < VALUE_MAX and not made.clipped,
        "up beyond int16": abs(made.u) > VALUE_MAX + 1, "v is 0": made.v == 0 and weight[0],
        "no weight": made.v != 0 and not weight[0], "short v": 0 < k < 12, "long v": k > 30,
        "rounded within the table": 0 < abs(made.g) <= 2045, "beyond the table": abs(made.g) >= 2046,
        "carry": made.magnitude and made.exponent == k + weight[0] + 1, "negative": made.negative,
    }.items() if there]


@pytest.mark.parametrize(("activation", "bias", "bits", "changes"), LANES)
def test_every_case(activation, bias, bits, changes):
    """Groups one after the other as fast as they may come and slower, of both halves; parameters change between slices."""
    bench = Bench(activation, bias, bits, 1, **changes)
    run_block(bench.top, bench.run)
    rare = {case: count for case, count in bench.seen.items() if count < 5}
    assert len(bench.seen) == 16 and not rare, bench.seen


def test_far_from_the_formats():
    """Ends of everything at once: the longest product, the largest exponent, and the smallest number that is not 0."""
    lane = SwigluLane(Widths(small(tile__mac_n=2)))
    bits = lane.params.sum_bits
    largest = (1 << bits - 1) - 1
    cases = [(Slice(-2, -2, up_offset=end), (largest, up * largest), (31, 2047)) for end in (-32768, 32767) for up in (-1, 1)]
    cases += [(Slice(-8, -8), (1, sign), (1, 0)) for sign in (-1, 1)]
    found = []

    async def bench(ctx):
        for given, sums, (exponent, fraction) in cases:
            ctx.set(lane.parameters, {name: getattr(given, name) for name in Slice.__dataclass_fields__})
            ctx.set(lane.weight, [{"exponent": exponent, "fraction": fraction}] * 2)
            ctx.set(lane.totals, sums[0] | sums[1] % 2**bits << bits)
            ctx.set(lane.load, 1)
            await ctx.tick()
            ctx.set(lane.load, 0)
            await ctx.tick().repeat(lane.latency_cycles - 1)
            value = ctx.get(lane.value)
            found.append((value.magnitude, value.exponent, value.negative))

    run_block(lane, bench)
    made = [pair("silu", given, sums, (0, 0), 0, weight) for given, sums, weight in cases]
    assert found == [(each.magnitude, each.exponent, each.negative) for each in made]
    assert max(each.exponent for each in made) == 66 and min(each.exponent for each in made) < 10
