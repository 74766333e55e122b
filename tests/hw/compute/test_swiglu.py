"""A SwiGLU lane on sums of every size: bit for bit as docs/numerics.md, with every limit reached from both sides."""

import numpy as np
import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.compute.swiglu import SwigluLane
from trajectile.hw.params import Params
from trajectile.sw_model.config import INT8_MAX
from trajectile.sw_model.numerics.integer import GATE_LIMIT, MULT_MAX, SHIFT_MAX, SHIFT_MIN, UP_LIMIT, requant, silu_fixed

GROUPS = 300


@pytest.mark.parametrize("seed", range(2))
def test_every_limit(seed):
    """Groups one after the other as fast as they may come; scales change only while the lane is empty, as between slices."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    lane, pairs = SwigluLane(Params(small(tile__mac_n=4))), 2
    # sums of every magnitude, and multipliers that bring most of them near a limit
    totals = np.clip(rng.standard_normal((GROUPS, pairs, 2)) * 2.0 ** rng.integers(0, 31, (GROUPS, pairs, 2)),
                     -2**31, 2**31 - 1).astype(np.int64)
    shift = {name: rng.integers(SHIFT_MIN, SHIFT_MAX + 1, GROUPS) for name in ("gate", "up", "token")}
    shift["token"] = rng.integers(SHIFT_MIN, 30, GROUPS)
    mult = {name: rng.integers(0, MULT_MAX + 1, GROUPS) for name in ("gate", "up")} | {
        "token": rng.integers(0, MULT_MAX + 1, (GROUPS, 2))}
    half = rng.integers(0, 2, GROUPS)
    values = []

    async def bench(ctx):
        for group in range(GROUPS):
            for name in ("gate", "up"):
                ctx.set(getattr(lane, f"{name}_mult"), int(mult[name][group]))
                ctx.set(getattr(lane, f"{name}_shift"), int(shift[name][group]))
            ctx.set(lane.token_mult, [int(value) for value in mult["token"][group]])
            ctx.set(lane.token_shift, int(shift["token"][group]))
            ctx.set(lane.half, int(half[group]))
            ctx.set(lane.totals, sum(int(total) % 2**32 << 32 * number for number, total in enumerate(totals[group].flat)))
            ctx.set(lane.load, 1)
            await ctx.tick()
            ctx.set(lane.load, 0)
            for cycle in range(1, lane.latency_cycles + pairs):
                valid = ctx.get(lane.valid)
                assert valid == (cycle >= lane.latency_cycles)
                if valid:
                    values.append((ctx.get(lane.value) ^ 128) - 128)
                await ctx.tick()

    run_block(lane, bench)
    gate, up = (requant(totals[..., number], mult[name][:, None], shift[name][:, None], limit)
                for number, (name, limit) in enumerate((("gate", GATE_LIMIT), ("up", UP_LIMIT))))
    token_mult = mult["token"][np.arange(GROUPS), half]
    golden = requant(silu_fixed(gate) * up, token_mult[:, None], shift["token"][:, None], INT8_MAX)
    assert np.array_equal(np.array(values).reshape(GROUPS, pairs), golden)
    # the test is worth something: every limit was reached, and not always
    for got, limit in ((gate, GATE_LIMIT), (up, UP_LIMIT), (golden, INT8_MAX)):
        assert {-limit, limit} <= set(got.flat) and len(set(got.flat)) > 20
