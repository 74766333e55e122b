"""Accesses that are refused: each leaves its code and address, changes nothing else, and can raise the interrupt."""

import pytest

from tests.support.configurations import small
from tests.support.host_bench import Bench
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.layouts import Table
from trajectile.hw.host.regmap import RegisterMap
from trajectile.hw.params import Params

#: every entry field has more bits than values: five experts, three slices, five rows, three tokens per lane, three tiles
CONFIG = small(layer__experts=5, array__cols=3, array__ddr_tiles=(0, 1, 2))
#: what the host does, by the code that it gets: register, value, or None for a read
CASES = {
    Refusal.READ_ONLY: ("STATUS", 0),
    Refusal.VALUE: ("RING_NEXT", 3),
    Refusal.WRITE_ONLY: ("TABLE_DATA", None),
    Refusal.NO_ENTRY: ("TABLE_DATA", 0),
    Refusal.BUSY: ("RING_NEXT", 0),
    Refusal.FAILED: ("CONTROL", 1),
    Refusal.RESETTING: ("LOAD_COUNT", 0),
}


async def _prepare(ctx, bench: Bench, code: Refusal) -> None:
    """Bring the tile where the access of this case is refused."""
    if code is Refusal.BUSY:
        await bench.put(ctx, "CONTROL", 1)
    elif code is Refusal.FAILED:
        ctx.set(bench.port.errors.link_down, 1)
        await ctx.tick()
        ctx.set(bench.port.errors.link_down, 0)
    elif code is Refusal.RESETTING:
        bench.outside_reset = 1
        await ctx.tick().repeat(2)
    elif code is Refusal.NO_ENTRY:
        await bench.select(ctx, Table.LOADS, 0, bench.map.tables[Table.LOADS].depth)


@pytest.mark.parametrize("code", CASES, ids=lambda code: code.name)
def test_code_address_and_interrupt(code):
    """The code stays until the host clears it; the interrupt comes if it is enabled."""
    bench = Bench(CONFIG)
    name, value = CASES[code]

    async def host(ctx):
        await bench.put(ctx, "IRQ_ENABLE", 4)
        await _prepare(ctx, bench, code)
        assert await bench.refused(ctx) == (Refusal.NONE, False, "ID") and not ctx.get(bench.port.irq)
        if value is None:
            assert await bench.read(ctx, bench.map[name].offset) == (False, 0)
        else:
            assert not await bench.write(ctx, bench.map[name].offset, value)
        assert ctx.get(bench.port.irq) and await bench.get(ctx, "IRQ_STATUS") & 4
        assert await bench.refused(ctx) == (code, value is not None, name)
        await bench.put(ctx, "IRQ_STATUS", 4)
        assert not ctx.get(bench.port.irq) and await bench.refused(ctx) == (code, value is not None, name)
        await bench.put(ctx, "REFUSED", 0)
        assert await bench.refused(ctx) == (Refusal.NONE, False, "ID")

    bench.run(host)


def test_the_last_one_counts():
    """A later refusal takes the place of an earlier one; so does that of a wrong write to REFUSED itself."""
    bench = Bench(CONFIG)

    async def host(ctx):
        assert not await bench.write(ctx, bench.map["RING_NEXT"].offset, 1, strobes=7)
        assert await bench.refused(ctx) == (Refusal.PARTIAL, True, "RING_NEXT")
        assert not (await bench.read(ctx, 0xFFC))[0]
        assert await bench.refused(ctx) == (Refusal.NO_REGISTER, False, "0xffc")
        assert not await bench.write(ctx, bench.map["REFUSED"].offset, 1)
        assert await bench.refused(ctx) == (Refusal.VALUE, True, "REFUSED")

    bench.run(host)


def _limits(params: Params) -> list[tuple[Table, int, dict[str, int], bool]]:
    """Table, element, fields and whether that is legal: each limit, one within and one outside."""
    cases = []
    for table in RegisterMap(params).tables.values():
        for element in {0, table.elements - 1}:
            for field in table.fields:
                within = {field.only_if: 1} if field.only_if else {}
                if table.table is Table.RULES:
                    within |= {"passes": 1}
                if field.maximum is not None:
                    cases.append((table.table, element, within | {field.name: field.maximum}, True))
                    cases.append((table.table, element, within | {field.name: field.maximum + 1}, False))
                if field.minimum:
                    cases.append((table.table, element, within | {field.name: field.minimum}, True))
                    cases.append((table.table, element, within | {field.name: field.minimum - 1}, False))
                    cases.append((table.table, element, within | {field.only_if: 0, field.name: field.minimum - 1}, True))
    for first, legal in ((params.list_depth - 2, True), (params.list_depth - 1, False)):
        cases.append((Table.RULES, 0, {"here": 1, "first": first, "passes": 2}, legal))
    return cases


@pytest.mark.parametrize("timing_only", [False, True])
def test_entries_at_their_limits(timing_only):
    """What is outside is refused with its last word, and a legal one can take its place; what is within is written."""
    bench = Bench(CONFIG, timing_only=timing_only)
    cases = _limits(bench.params)
    names = {(kind, name) for kind, _, fields, legal in cases if not legal for name in fields}
    assert names >= {(Table.LOADS, name) for name in ("expert", "index", "row", "left")}
    assert names >= {(Table.RULES, "first"), (Table.RULES, "passes"), (Table.TOKENS, "token")}

    async def host(ctx):
        for kind, element, fields, legal in cases:
            table = bench.map.tables[kind]
            entry = sum(fields.get(f.name, 0) << f.low for f in table.fields) << element * table.stride_bits
            await bench.select(ctx, kind, 0, 1)
            before = bench.memory.get((kind.value, 0, 1))
            words = [entry >> 32 * n & 0xFFFFFFFF for n in range(table.words)]
            for word in words[:-1]:
                await bench.put(ctx, "TABLE_DATA", word)
            assert await bench.write(ctx, bench.map["TABLE_DATA"].offset, words[-1]) == legal, (kind, fields)
            if not legal:
                assert await bench.refused(ctx) == (Refusal.ENTRY_VALUE, True, "TABLE_DATA")
                assert await bench.get(ctx, "TABLE_INDEX") == 1 and bench.memory.get((kind.value, 0, 1)) == before
                await bench.put(ctx, "TABLE_INDEX", 1)
                for _ in words:
                    await bench.put(ctx, "TABLE_DATA", 0)
            assert await bench.get(ctx, "TABLE_INDEX") == 2
            assert bench.entries()[kind.value, 0, 1] == (entry if legal else 0)

    bench.run(host)
