"""The bitstream of the system for the board: synthesis, place and route, and what came of it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from trajectile.hw.design import Design
from trajectile.scripts.board.system import NAME
from trajectile.scripts.folders import share
from trajectile.scripts.fpga import devices
from trajectile.scripts.fpga.families.family import Use
from trajectile.scripts.fpga.flow import Routed, helpers, implement, mapping, shallow_srams, synthesized
from trajectile.scripts.fpga.report import REST

#: the FPGA of an OrangeCrab
TARGET = devices.target("lfe5u-85f", "CSFBGA285", 8)
#: Blocks are synthesized one by one, so that names say where a cell belongs.
_SCRIPT = """read_verilog -defer {sources}
attrmap -tocase keep -imap keep="true" keep=1 -imap keep="false" keep=0 -remove keep=0
hierarchy -top {top}
{mapping}flatten
clean
write_json netlist.json
"""
#: part of the system by the beginning of a cell's name
ARRAY, RISCV, AROUND = "array", "RISC-V", "LiteDRAM, UART, bus"
_PARTS = {"array": ARRAY, "VexRiscv": RISCV}
#: what the clocks are for, by LiteX's names. That of the DDR3 pins, twice as fast, goes from hard block to hard block, so
#: nextpnr says nothing of it.
CLOCKS = {"sys": "all but what follows", "init": "start of the DDR3 pins", "clk48": "reset at power on"}


def script(sources: list[str], made: Design) -> str:
    """What Yosys is to do with the files of the project, and with :func:`trajectile.scripts.fpga.flow.helpers`."""
    return _SCRIPT.format(sources=" ".join(sources), top=NAME,
                          mapping=mapping(TARGET.family, False, NAME, shallow_srams(made, TARGET.family)))


def synthesize(project: Path, sources: list[str], made: Design) -> Path:
    """A folder with ``netlist.json``, the system in cells of ECP5: made now, or before from the very same files.

    Args:
        project: folder of :func:`trajectile.scripts.board.system.write_project`.
        sources: its Verilog.
        made: the array in it.

    Raises:
        YosysError: if Yosys is missing or fails.
    """
    # without LiteX's date
    texts = {name: "\n".join(line for line in (project / name).read_text(encoding="utf-8").splitlines()
                             if not line.startswith("//")) for name in sources}
    texts |= {path.name: path.read_text(encoding="ascii") for path in sorted(project.glob("*.init"))}
    return synthesized(texts | helpers(TARGET.family), script(sources, made), TARGET.family)


def place_and_route(netlist: Path, project: Path, seed: int, told: Callable[[str], None]) -> Routed:
    """Place and route the netlist with the board's pins and clocks, and make ``soc.bit``, all in the project's folder.

    Raises:
        ToolError: if a tool is missing, or fails for another reason than that the system does not fit.
    """
    share(netlist, project)
    options = ["--seed", str(seed), "--placer", TARGET.family.placers[0]]
    return implement(project, TARGET, options, name=NAME, pins=f"{NAME}.lpf", pack=["--compress"], told=told)


def parts_of(netlist: Path) -> dict[str, Use]:
    """What each part takes, by the cells of the netlist."""
    found = {part: Use() for part in (ARRAY, RISCV, AROUND)}
    for name, cell in json.loads((netlist / "netlist.json").read_text(encoding="utf-8"))["modules"][NAME]["cells"].items():
        part = _PARTS.get(name.partition(".")[0], AROUND)
        found[part] += TARGET.family.use_of(str(cell["type"]))
    return found


def _clock(net: str) -> str:
    """LiteX's name of a clock by its net: ``sys`` of ``$glbnet$sys_clk``, ``clk48`` of ``$glbnet$clk48$TRELLIS_IO_IN``."""
    return net.removeprefix("$glbnet$").partition("$")[0].removesuffix("_clk")


def values_of(netlist: Path, routed: Routed, seed: int) -> dict[str, Any]:
    """What ``--json`` writes."""
    path = routed.report.path
    used, there = TARGET.family.counted(routed.report.used)
    clocks = {_clock(net): {"fmax_mhz": round(reached, 2), "wanted_mhz": round(wanted, 2), "met": reached >= wanted}
              for net, (reached, wanted) in routed.report.clocks.items()}
    parts = parts_of(netlist)
    return {
        "device": TARGET.device.name, "package": TARGET.package, "speed": TARGET.speed, "seed": seed,
        "routed": routed.why_not is None, "why_not": routed.why_not,
        "met": routed.why_not is None and all(clock["met"] for clock in clocks.values()), "clocks": clocks,
        "fmax_mhz": clocks.get("sys", {}).get("fmax_mhz"),
        **used.numbers,
        "available": there.numbers,
        "parts": {name: part.numbers for name, part in parts.items()} | {REST: (used - sum(parts.values(), Use())).numbers},
        "critical_path": {
            "from": path[0].cell, "to": path[-1].cell, "ns": round(sum(step.ns for step in path), 3),
            "routing_ns": round(sum(step.ns for step in path if step.kind == "routing"), 3)} if path else None,
    }


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print the report."""
    table = Table(title=f"the system on {TARGET}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("part")
    for column in ("LUT", "flip-flops", "block RAM", "DSP"):
        table.add_column(column, justify="right")
    kinds = ("lut", "ff", "bram", "dsp")
    for name, part in values["parts"].items():
        table.add_row(name, *(f"{part[kind]:,}" for kind in kinds))
    table.add_section()
    table.add_row("total", *(f"{values[kind]:,}" for kind in kinds), style="bold")
    table.add_row("share", *(f"{values[kind] / (values['available'][kind] or 1):.1%}" for kind in kinds))
    console.print(table, highlight=False)
    if not values["routed"]:
        console.print("[bold red]not routed:[/] ", end="")
        console.print(values["why_not"], highlight=False, markup=False)
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("clock", "wanted MHz", "reached MHz", "what for"):
        table.add_column(column, justify="right" if "MHz" in column else "left")
    for name, clock in values["clocks"].items():
        table.add_row(name, f"{clock['wanted_mhz']:.1f}", f"{clock['fmax_mhz']:.1f}", CLOCKS.get(name, ""),
                      style=None if clock["met"] else "bold red")
    console.print()
    console.print(table, highlight=False)
    path = values["critical_path"]
    console.print(f"\ncritical path: {path['ns']:.2f} ns, {path['routing_ns']:.2f} of them in wires\n  from {path['from']}\n"
                  f"  to   {path['to']}", highlight=False, markup=False)
    console.print(f"[bold]{values['bitstream']}[/]" if values["met"] else
                  f"[bold red]too slow for its clock:[/] {values['bitstream']}", highlight=False)
