"""cocotb: accesses that an idle tile must refuse, one for each reason, and a START while another tile still runs."""

from collections.abc import Sequence

from cocotb.triggers import RisingEdge

from trajectile.hw.host.axi import HOST_DATA_BITS, Response
from trajectile.hw.host.codes import Refusal
from trajectile.hw.host.layouts import Table
from trajectile.tb.handles import Top
from trajectile.tb.host import TileHost
from trajectile.tb.host_ops import Op, get, put, select_ops

#: strobes of a whole word
ALL_BYTES = 15
ALL_ONES = (1 << HOST_DATA_BITS) - 1


async def refused(host: TileHost, op: Op, code: Refusal, strobe: int = ALL_BYTES) -> None:
    """Try; the tile answers SLVERR, and REFUSED has the reason, the kind and the address of this access.

    Raises:
        AssertionError: if not.
    """
    host.wstrb.value = strobe
    if op.value is None:
        response, _ = await host.read(op.address)
    else:
        response = await host.write(op.address, op.value)
    assert response == Response.SLVERR.value, f"tile {host.tile}: {op} is accepted, not refused as {code.name}"
    host.wstrb.value = ALL_BYTES
    value, = await host.do([get(host.map, "REFUSED")])
    found = {field.name: (value & field.mask) >> field.low for field in host.map["REFUSED"].fields}
    assert found == {"CODE": code.value, "WRITE": int(op.value is not None), "ADDRESS": op.address & ~3}, f"{op}: {found}"
    await host.do([put(host.map, "REFUSED", 0)])


async def probe(host: TileHost) -> None:
    """Each reason for which an idle tile refuses. Settings and tables stay as they are, but for the table window."""
    registers = host.map
    beyond = max(register.offset for register in registers.registers) + 4
    await refused(host, Op(beyond, None), Refusal.NO_REGISTER)
    await refused(host, put(registers, "TILE_ID", 0), Refusal.READ_ONLY)
    await refused(host, put(registers, "WATCHDOG", 0), Refusal.PARTIAL, strobe=ALL_BYTES >> 1)
    await refused(host, put(registers, "RING_NEXT", registers["RING_NEXT"].fields[0].largest + 1), Refusal.VALUE)
    await refused(host, put(registers, "IRQ_ENABLE", 1 << HOST_DATA_BITS - 1), Refusal.VALUE)
    await host.do(select_ops(registers, Table.RESULTS, 0))
    await refused(host, put(registers, "TABLE_DATA", 0), Refusal.READ_ONLY)
    await host.do(select_ops(registers, Table.RULES, 0))
    await refused(host, get(registers, "TABLE_DATA"), Refusal.WRITE_ONLY)
    rules = registers.tables[Table.RULES]
    for _ in range(rules.words - 1):
        await host.do([put(registers, "TABLE_DATA", ALL_ONES)])
    await refused(host, put(registers, "TABLE_DATA", ALL_ONES), Refusal.ENTRY_VALUE)
    await host.do(select_ops(registers, Table.RULES, 0, rules.depth))
    await refused(host, put(registers, "TABLE_DATA", 0), Refusal.NO_ENTRY)


async def start_again(dut: Top, hosts: Sequence[TileHost]) -> int:
    """START in the first tile that is done, while others run; returns which."""
    while not dut.irq.value:
        await RisingEdge(dut.clk)
    irq = int(dut.irq.value)
    tile = (irq & -irq).bit_length() - 1
    control = hosts[tile].map["CONTROL"]
    await hosts[tile].do([put(hosts[tile].map, "CONTROL", control.field("START").mask)])
    return tile
