"""The speed estimate of a tile: the longest path of each block and across blocks, from a netlist sized for a clock."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from trajectile.hw.design import Design
from trajectile.scripts.area import graph, netlist, timing
from trajectile.scripts.area.blocks import PREFIX
from trajectile.scripts.area.flow import Mapped
from trajectile.scripts.area.memories import Choice
from trajectile.scripts.area.sram_compiler import Memory
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError


def macro_timing(memory: Memory, technology: Technology) -> graph.MacroTiming:
    """Access and setup of a memory of macros, with the multiplexers between its rows.

    Raises:
        UserError: if the table of macros has no times.
    """
    if memory.access_ps is None or memory.setup_ps is None or technology.loads is None:
        raise UserError(f"the speed estimate needs access_ps and setup_ps of {memory.picked}; legal: a table of SRAM macros "
                        "that has them")
    buffer = technology.cells[technology.loads.buffer].arcs[0]
    stage = max(table.at(technology.loads.slew_ps, technology.port_load_ff) for table in buffer.delay)
    wire = technology.loads.wire_ff
    data, address = ((technology.loads.macro_pin_ff + wire) * pins - wire  # the graph adds one wire itself
                     for pins in (memory.rows, sum(count for _, count in memory.macros)))
    return graph.MacroTiming(memory.access_ps + memory.mux_levels * stage, memory.setup_ps, data, address)


def _path(path: timing.Path) -> dict[str, Any]:
    """A path as values."""
    return {"ps": round(path.ps, 1), "from": path.start.removeprefix(PREFIX), "to": path.end.removeprefix(PREFIX),
            "through": [{"block": step.block.removeprefix(PREFIX), "net": step.net, "ps": round(step.ps, 1)}
                        for step in path.steps]}


def speed_of(made: Design, mapped: Mapped, technology: Technology, choices: Mapping[str, Choice],
             period_ps: float) -> dict[str, Any]:
    """The estimate, from the netlist that :func:`~trajectile.scripts.area.flow.map_tile` left.

    Raises:
        UserError: if a memory's times are not known.
    """
    loads = technology.loads
    if loads is None:
        raise UserError("a speed estimate needs delays; legal: --liberty with the full library of the technology")
    macros = {name: macro_timing(choice.macros, technology) for name, choice in choices.items()
              if not choice.registers and choice.macros}
    analysis = timing.Timing(netlist.read(mapped.folder / "fast.blif"), made.tile, technology.cells, loads, macros)
    by_block = {path.block.removeprefix(PREFIX): _path(path) for path in analysis.paths(len(made.modules), per_block=True)}
    worst = [_path(path) for path in analysis.paths(25)]
    return {
        "target_mhz": round(1e6 / period_ps, 1),
        "reached_mhz": round(1e6 / worst[0]["ps"], 1),
        "loads": {"wire_ff_per_pin": loads.wire_ff, "slew_ps": loads.slew_ps, "block_output_ff": technology.port_load_ff,
                  "buffer": loads.buffer, "fanout": loads.fanout},
        "abc_ps": {name.removeprefix(PREFIX): delay for name, delay in mapped.abc_ps.items()},
        "blocks": by_block,
        "longest": worst,
        "loops": len(analysis.loops),
    }


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print the estimate."""
    period = 1e6 / values["target_mhz"]
    table = Table(title=f"longest path into each block at a target of {values['target_mhz']:,.0f} MHz ({period:,.0f} ps; "
                        f"estimate, {values['loads']['wire_ff_per_pin']} fF of wire a pin)", title_justify="left", box=None,
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
    worst = values["longest"][0]
    verdict = "reached" if values["reached_mhz"] >= values["target_mhz"] else f"NOT reached: {worst['from']} to {worst['to']}"
    console.print(f"{values['reached_mhz']:,.0f} MHz; target {values['target_mhz']:,.0f} MHz {verdict}", highlight=False)
