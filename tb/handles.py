"""The top of a bench as cocotb shows it, with types: cocotb finds ports by name, and knows none before a simulation."""

from typing import Protocol

from cocotb.handle import LogicArrayObject, LogicObject


class Top(Protocol):
    """Ports of :func:`trajectile.tb.top.bench_top`, which says what each does; host ports are in :class:`Pins`.

    A port of one bit is declared without a range, and cocotb has another class for it. ``irq`` is an array here even for one
    tile: both classes take and give integers.
    """

    clk: LogicObject
    rst: LogicObject
    irq: LogicArrayObject
    all_done: LogicObject
    stall_seed: LogicArrayObject
    stall_ddr: LogicObject
    stall_io: LogicObject
    stall_link: LogicObject
    mark: LogicObject
    wanted: LogicArrayObject
    #: with ``memory_models`` only
    ddr_fault: LogicArrayObject
    ddr_fault_at: LogicArrayObject
    io_fault: LogicArrayObject
    io_fault_at: LogicArrayObject
    #: with ``link_faults`` only
    fault_run: LogicArrayObject


def each(top: Top, name: str) -> list[LogicObject]:
    """The port of that name; or those of all tiles, ``clk_0`` and so on, where each tile has one of its own."""
    if hasattr(top, name):
        return [getattr(top, name)]
    found: list[LogicObject] = []
    while hasattr(top, f"{name}_{len(found)}"):
        found.append(getattr(top, f"{name}_{len(found)}"))
    return found


class Pins:
    """The AXI4-Lite pins of one tile's host port."""

    awaddr: LogicArrayObject
    awvalid: LogicObject
    awready: LogicObject
    wdata: LogicArrayObject
    wstrb: LogicArrayObject
    wvalid: LogicObject
    wready: LogicObject
    bresp: LogicArrayObject
    bvalid: LogicObject
    bready: LogicObject
    araddr: LogicArrayObject
    arvalid: LogicObject
    arready: LogicObject
    rdata: LogicArrayObject
    rresp: LogicArrayObject
    rvalid: LogicObject
    rready: LogicObject

    def __init__(self, top: Top, tile: int):
        for name in Pins.__annotations__:
            setattr(self, name, getattr(top, f"host_{tile}_{name}"))
