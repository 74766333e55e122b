"""The speed estimate of a tile: the longest path of each block and across blocks, from a netlist sized for a clock."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from trajectile.hw.design import Design
from trajectile.scripts.area import graph, netlist, opensta, timing
from trajectile.scripts.area.blocks import PREFIX
from trajectile.scripts.area.buffers import add_trees
from trajectile.scripts.area.flat import flatten
from trajectile.scripts.area.flow import Mapped
from trajectile.scripts.area.memories import Choice
from trajectile.scripts.area.sizing import resize
from trajectile.scripts.area.sram_compiler import Memory
from trajectile.scripts.area.technology import LARGE, Technology
from trajectile.scripts.area.wires import Wire
from trajectile.scripts.errors import UserError

#: the assumption about wires whose paths and clock are reported first
HEADLINE = "large"


def macro_timing(memory: Memory, technology: Technology, wire: Wire) -> graph.MacroTiming:
    """Access and setup of a memory of macros, with the multiplexers between its rows.

    An input that goes to many macros does so by a tree of buffers of the memory's own. Its time belongs to the setup.

    Raises:
        UserError: if the table of macros has no times.
    """
    if memory.access_ps is None or memory.setup_ps is None or technology.loads is None:
        raise UserError(f"the speed estimate needs access_ps and setup_ps of {memory.picked}; legal: a table of SRAM macros "
                        f"that has them, or --registers {memory.depth * memory.width} and more, which makes flip-flops of it")
    buffer = technology.cells[technology.loads.buffer].arcs[0]
    stage = max(table.at(technology.loads.slew_ps, technology.port_load_ff) for table in buffer.delay)
    tree = timing.Tree.of(technology.cells, technology.loads, wire)
    loads = [technology.loads.macro_pin_ff * pins + float(wire.load(pins)) - float(wire.load(1))  # the graph adds one itself
             for pins in (memory.rows, sum(count for _, count in memory.macros))]
    stages = [float(tree.stages(load)) for load in loads]
    data, address = (tree.pin_ff if depth else load for load, depth in zip(loads, stages, strict=True))
    data_setup, address_setup = (memory.setup_ps + depth * tree.ps for depth in stages)
    return graph.MacroTiming(memory.access_ps + memory.mux_levels * stage, data_setup, address_setup, data, address)


def _path(path: timing.Path) -> dict[str, Any]:
    """A path as values."""
    return {"ps": round(path.ps, 1), "from": path.start.removeprefix(PREFIX), "to": path.end.removeprefix(PREFIX),
            "through": [{"block": step.block.removeprefix(PREFIX), "net": step.net, "ps": round(step.ps, 1)}
                        for step in path.steps]}


@dataclass(frozen=True)
class Sized:
    """A tile whose cells have been sized, with real trees of buffers, for one assumption about wires."""

    wire: Wire
    timing: timing.Timing
    #: MHz of the netlist that ABC left, a tree of buffers on every heavy net assumed
    before_mhz: float
    buffers: int
    resized: int

    @property
    def mhz(self) -> float:
        """Of the longest path."""
        return 1e6 / self.timing.paths(1)[0].ps


def size(modules: Mapping[str, netlist.Module], top: str, technology: Technology, macros: Mapping[str, graph.MacroTiming],
         wire: Wire, period_ps: float) -> Sized:
    """Put trees of buffers on heavy nets, and change sizes where paths are longer than the period."""
    loads = technology.loads
    assert loads is not None
    tile = flatten(modules, top, {*technology.cells, *macros})
    first = timing.Timing(tile, technology.cells, loads, macros, wire)
    before = 1e6 / first.paths(1)[0].ps
    buffers = add_trees(tile, first, period_ps)
    second = timing.Timing(tile, technology.cells, loads, macros, wire, trees=False)
    return Sized(wire, second, before, buffers, resize(second, period_ps))


def sizes(made: Design, mapped: Mapped, technology: Technology, choices: Mapping[str, Choice], period_ps: float
          ) -> Iterator[Sized]:
    """The tile under each assumption about wires, one after the other.

    Raises:
        UserError: if a memory's times are not known.
    """
    modules = netlist.read(mapped.folder / "fast.blif")
    for wire in technology.wires:
        macros = {name: macro_timing(choice.macros, technology, wire) for name, choice in choices.items()
                  if not choice.registers and choice.macros}
        yield size(modules, made.tile, technology, macros, wire, period_ps)


def speed_of(made: Design, mapped: Mapped, technology: Technology, choices: Mapping[str, Choice],
             period_ps: float, check: Callable[[Sized], dict[str, Any]] | None = None) -> dict[str, Any]:
    """The estimate, from the netlist that :func:`~trajectile.scripts.area.flow.map_tile` left.

    Args:
        made: the design.
        mapped: the netlist.
        technology: cells, and what is assumed beside them.
        choices: what its memories are made of.
        period_ps: clock that it is sized for.
        check: gets the slowest of the sized tiles; what it says goes under ``sta``.

    Raises:
        UserError: if a memory's times are not known.
    """
    loads = technology.loads
    if loads is None:
        raise UserError("a speed estimate needs delays; legal: --liberty with the full library of the technology")
    wires, values, slowest = dict[str, Any](), dict[str, Any](), None
    for sized in sizes(made, mapped, technology, choices, period_ps):
        analysis = sized.timing
        worst = [_path(path) for path in analysis.paths(25)]
        area = sum(technology.cells[kind].area_um2 for kind, _ in analysis.graph.flat.cells if kind in technology.cells)
        wires[sized.wire.name] = {
            "assumption": sized.wire.title, "mhz": round(sized.mhz, 1), "mhz_before_sizing": round(sized.before_mhz, 1),
            "buffers_added": sized.buffers, "cells_resized": sized.resized, "cell_area": round(area, 1), "longest": worst[0]}
        if sized.wire.name == HEADLINE:
            by_block = {path.block.removeprefix(PREFIX): _path(path)
                        for path in analysis.paths(len(made.modules), per_block=True)}
            values = {"blocks": by_block, "longest": worst, "loops": len(analysis.loops), "reached_mhz": round(sized.mhz, 1)}
        if check and (slowest is None or sized.mhz < slowest.mhz):
            slowest = sized
    found = [wire["mhz"] for wire in wires.values()]
    values |= {
        "target_mhz": round(1e6 / period_ps, 1), "assumption": HEADLINE, "range_mhz": [min(found), max(found)],
        "wires": wires,
        "loads": {"wire_ff_per_pin": LARGE * loads.wire_ff, "slew_ps": loads.slew_ps,
                  "block_output_ff": technology.port_load_ff, "buffer": loads.buffer, "fanout": loads.fanout},
        "abc_ps": {name.removeprefix(PREFIX): delay for name, delay in mapped.abc_ps.items()},
    }
    if check and slowest is not None:
        values["sta"] = check(slowest)
    return values


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print the estimate."""
    period = 1e6 / values["target_mhz"]
    table = Table(title=f"longest path into each block at a target of {values['target_mhz']:,.0f} MHz ({period:,.0f} ps; "
                        f"estimate, {values['loads']['wire_ff_per_pin']:g} fF of wire a pin)", title_justify="left", box=None,
                  padding=(0, 2, 0, 0))
    table.add_column("block")
    table.add_column("ps", justify="right")
    table.add_column("ABC alone", justify="right")
    for name in ("from", "to", "through"):
        table.add_column(name)
    for block, path in values["blocks"].items():
        alone = values["abc_ps"].get(block)
        table.add_row(block, f"{path['ps']:,.0f}", "" if alone is None else f"{alone:,.0f}", path["from"], path["to"],
                      " ".join(dict.fromkeys(step["block"] for step in path["through"])),
                      style="bold red" if path["ps"] > period else "")
    console.print(table, highlight=False)
    wires = Table(title="by what is assumed about wires", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in ("wires", "MHz", "before sizing", "buffers added", "cells resized", "um2 of cells", "longest path"):
        wires.add_column(name, justify="left" if name in ("wires", "longest path") else "right")
    for found in values["wires"].values():
        longest = found["longest"]
        wires.add_row(found["assumption"], f"{found['mhz']:,.0f}", f"{found['mhz_before_sizing']:,.0f}",
                      f"{found['buffers_added']:,}", f"{found['cells_resized']:,}", f"{found['cell_area']:,.0f}",
                      f"{longest['from']} to {longest['to']}")
    console.print()
    console.print(wires, highlight=False)
    worst = values["longest"][0]
    verdict = "reached" if values["reached_mhz"] >= values["target_mhz"] else f"NOT reached: {worst['from']} to {worst['to']}"
    low, high = values["range_mhz"]
    console.print(f"{values['reached_mhz']:,.0f} MHz ({low:,.0f} to {high:,.0f} by what is assumed about wires); target "
                  f"{values['target_mhz']:,.0f} MHz {verdict}", highlight=False)
    if "sta" in values:
        console.print()
        opensta.show(values["sta"], console)
