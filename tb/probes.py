"""cocotb: accesses that an idle tile must refuse, one for each reason."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from trajectile.hw.batch.layouts import PAGE_BITS
from trajectile.hw.host.axi import HOST_DATA_BITS, Response
from trajectile.hw.host.codes import Refusal
from trajectile.sw_model.config import INT32_BYTES, ceil_div
from trajectile.tb.host import TileHost
from trajectile.tb.host_ops import Op, descriptor_ops, doorbell_op, get, put
from trajectile.tb.job import Descriptor

#: strobes of a whole word
ALL_BYTES = 15
PAGE_BYTES = 1 << PAGE_BITS


async def refusal(host: TileHost) -> tuple[Refusal, bool, int]:
    """Reason, kind (a write) and address of the last access that was refused; forgotten then."""
    value, = await host.do([get(host.map, "REFUSED"), put(host.map, "REFUSED", 0)])
    found = {field.name: (value & field.mask) >> field.low for field in host.map["REFUSED"].fields}
    return Refusal(found["CODE"]), bool(found["WRITE"]), found["ADDRESS"]


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
    found = await refusal(host)
    assert found == (code, op.value is not None, op.address & ~3), f"{op}: {found}"


async def probe(host: TileHost, batches: Sequence[Descriptor]) -> None:
    """Each reason for which an idle tile refuses. Settings stay as they are, but for the windows of the io port: after this
    they are no larger than these batches need, and locked.
    """
    registers = host.map
    params, config = registers.params, registers.params.config
    beyond = max(register.offset for register in registers.registers) + 4
    await refused(host, Op(beyond, None), Refusal.NO_REGISTER)
    await refused(host, put(registers, "TILE_ID", 0), Refusal.READ_ONLY)
    await refused(host, put(registers, "WATCHDOG", 0), Refusal.PARTIAL, strobe=ALL_BYTES >> 1)
    await refused(host, put(registers, "RING_NEXT", registers["RING_NEXT"].fields[0].largest + 1), Refusal.VALUE)
    await refused(host, put(registers, "IRQ_ENABLE", 1 << HOST_DATA_BITS - 1), Refusal.VALUE)

    async def wrong(code: Refusal, **changes: Any) -> None:
        batch = replace(batches[0], **changes)
        await host.do(descriptor_ops(registers, batch))
        await refused(host, doorbell_op(registers, batch), code)
    await wrong(Refusal.VALUE, tokens=config.tile.tokens + 1)
    await wrong(Refusal.VALUE, order=3)
    # Windows of just the pages that may be needed, and what begins before them or ends behind.
    beat, last = config.io.bytes_per_cycle, (1 << params.address_bits) - PAGE_BYTES
    sizes = {"records": config.tile.tokens * config.record_bytes,
             "results": config.completion_bytes + config.tile.tokens * config.result_bytes(INT32_BYTES)}
    windows = {}
    for name, register in (("records", "IO_READ"), ("results", "IO_WRITE")):
        places = [getattr(batch, name) for batch in batches]
        windows[name] = first, end = min(places) // PAGE_BYTES, ceil_div(max(places) + sizes[name], PAGE_BYTES)
        await host.do([put(registers, f"{register}_BASE", first), put(registers, f"{register}_SIZE", end - first)])
    await host.do([put(registers, "IO_LOCK", 1)])
    for name in ("IO_READ_BASE", "IO_READ_SIZE", "IO_WRITE_BASE", "IO_WRITE_SIZE"):
        await refused(host, put(registers, name, 0), Refusal.LOCKED)
    await wrong(Refusal.ALIGNMENT, layer=PAGE_BYTES // 2)
    if beat > 1:
        await wrong(Refusal.ALIGNMENT, records=batches[0].records + beat // 2)
        await wrong(Refusal.ALIGNMENT, results=batches[0].results + 1)
    if config.channel_slices * config.slice_pitch_bytes > PAGE_BYTES:
        await wrong(Refusal.LAYER, layer=last)
    for name, code in (("records", Refusal.READ_WINDOW), ("results", Refusal.WRITE_WINDOW)):
        first, end = (page * PAGE_BYTES for page in windows[name])
        await wrong(code, tokens=config.tile.tokens, **{name: end - sizes[name] + beat}, bf16=False)
        await wrong(code, tokens=1, **{name: last})
        if first:
            await wrong(code, tokens=config.tile.tokens, **{name: first - beat})
