"""Table entries that the host never wrote can hold anything: the sequencer reports them, and comes to its end."""

import pytest

from tests.support.blocks import run_block
from tests.support.configurations import small
from trajectile.hw.compute.sequencer import MacSequencer
from trajectile.hw.host.layouts import Table
from trajectile.hw.params import Params
from trajectile.tb.program import pack

#: three tokens a lane of two bits, lists of twelve passes
CONFIG = small()
PARAMS = Params(CONFIG)
DEPTH, TOKENS = PARAMS.list_depth, PARAMS.token_maximum
#: rule entry, token lists from entry 0 on: (valid, token) by pass and lane; whether that is an error
CASES = {
    "good": ({"first": 0, "passes": 2}, [[(1, 0), (1, TOKENS)], [(1, 1), (0, 0)]], False),
    "to the end": ({"first": DEPTH - 2, "passes": 2}, [[(1, 0), (1, 0)]] * DEPTH, False),
    "no token": ({"first": 0, "passes": 1}, [[(0, TOKENS + 1), (0, TOKENS + 1)]], False),
    "unused list": ({"first": 1, "passes": 1}, [[(1, TOKENS + 1)] * 2, [(1, 0)] * 2, [(1, TOKENS + 1)] * 2], False),
    "no passes": ({"first": 0, "passes": 0}, [[(1, 0), (1, 0)]], True),
    "past the end": ({"first": DEPTH - 1, "passes": 2}, [[(1, 0), (1, 0)]] * DEPTH, True),
    "first past the end": ({"first": DEPTH, "passes": 1}, [[(1, 0), (1, 0)]] * DEPTH, True),
    "token of lane 0": ({"first": 0, "passes": 1}, [[(1, TOKENS + 1), (1, 0)]], True),
    "token of lane 1": ({"first": 0, "passes": 1}, [[(1, 0), (1, TOKENS + 1)]], True),
    "token of a later pass": ({"first": 0, "passes": 3}, [[(1, 0)] * 2, [(1, 0)] * 2, [(1, TOKENS + 1)] * 2], True),
    "all ones": ({"first": (1 << PARAMS.list_bits) - 1, "passes": (1 << PARAMS.pass_bits) - 1}, [], True),
}


@pytest.mark.parametrize("name", CASES)
def test_entry(name):
    """An error shows while the slice computes, and only then; the slice ends in bounded time whatever the entry."""
    rule, lists, wrong = CASES[name]
    sequencer = MacSequencer(PARAMS)

    async def write(ctx, table, index, entry):
        ctx.set(sequencer.table.table, table)
        ctx.set(sequencer.table.index, index)
        ctx.set(sequencer.table.write_data, entry)
        ctx.set(sequencer.table.write, 1)
        await ctx.tick()
        ctx.set(sequencer.table.write, 0)

    async def bench(ctx):
        await write(ctx, Table.RULES, 1, pack(PARAMS.rule_layout, here=1, **rule))
        width = PARAMS.token_layout.size
        for index, lanes in enumerate(lists):
            await write(ctx, Table.TOKENS, index, sum(
                pack(PARAMS.token_layout, valid=valid, token=token) << lane * width
                for lane, (valid, token) in enumerate(lanes)))
        ctx.set(sequencer.compute.expert, 1)
        ctx.set(sequencer.compute.start, 1)
        await ctx.tick()
        ctx.set(sequencer.compute.start, 0)
        seen = cycles = 0
        while ctx.get(sequencer.busy):
            seen += ctx.get(sequencer.bad_entry)
            await ctx.tick()
            cycles += 1
            assert cycles < 100 * CONFIG.slice_words * (1 << PARAMS.pass_bits), "hung"
        assert bool(seen) == wrong
        assert not ctx.get(sequencer.bad_entry)

    run_block(sequencer, bench)
