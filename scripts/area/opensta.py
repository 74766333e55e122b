"""A tile under its own constraints, by OpenSTA: another program reads the netlist, the libraries and the shipped SDC."""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from trajectile.hw.design import Design
from trajectile.scripts.area import liberty
from trajectile.scripts.area.blocks import PREFIX
from trajectile.scripts.area.flat import Flat, verilog
from trajectile.scripts.area.graph import MacroTiming
from trajectile.scripts.area.library_text import THRESHOLDS
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.area.timing import Timing
from trajectile.scripts.area.wires import Wire
from trajectile.scripts.errors import ToolError
from trajectile.scripts.soc import constraints
from trajectile.scripts.soc.ports import ports_of

if TYPE_CHECKING:
    from trajectile.scripts.area.speed import Sized

PROGRAM = "sta"
#: kinds of paths, and what chooses them
KINDS = {
    "register to register": "",
    "input to register": "-from [all_inputs]",
    "register to output": "-to [all_outputs]",
    "input to output": "-from [all_inputs] -to [all_outputs]",
}
#: of a tile into which clocks come with frames: between registers of such a clock, and out of its reset
LINK = "register to register, clock of a link"
LINK_RESET = "reset, clock of a link"
#: from one clock to another, where each path is limited to a period
TO_LINK = "between clocks, to that of a link"
FROM_LINK = "between clocks, from that of a link"

_SCRIPT = """\
read_liberty outside.lib
{libraries}
read_verilog tile.v
link_design {top}
set trajectile_period_ns {period_ns}
set trajectile_limit_crossings {crossings}
source tile.sdc
set_wire_load_mode top
set_wire_load_model -name trajectile_{wire}
set_input_transition {slew_ns} [all_inputs]
set_clock_transition {slew_ns} [all_clocks]
set_load -pin_load {load_pf} [all_outputs]
puts "== check_setup"
check_setup -verbose -unconstrained_endpoints -no_clock -loops -no_input_delay
{groups}
"""
_GROUP = """\
puts "== path {name}"
report_checks -path_delay max -format full -digits 4 -path_group {group}
"""
_BETWEEN = """\
puts "== path {name}"
report_checks -path_delay max -format full -digits 4 -from [get_clocks {{{start}}}] -to [get_clocks {{{end}}}]
"""


@dataclass(frozen=True)
class Sta:
    """What OpenSTA said."""

    version: str
    log: str


def installed() -> bool:
    """Whether OpenSTA is on the path."""
    return shutil.which(PROGRAM) is not None


def require() -> None:
    """Refuse to go on without OpenSTA.

    Raises:
        ToolError: if it is not on the path.
    """
    if not installed():
        raise ToolError(f"OpenSTA ({PROGRAM}) is not installed (Debian, Ubuntu: apt install opensta)")


def _macro(name: str, timing: MacroTiming, pins: Sequence[str]) -> str:
    """An SRAM module as a cell of Liberty."""
    widths: dict[str, int] = {}
    for pin in pins:
        bus, bracket, index = pin.partition("[")
        widths[bus] = max(widths.get(bus, 0), int(index[:-1]) + 1) if bracket else 0
    def times(kinds: Sequence[str], ps: float) -> str:
        return " ".join(f'{kind} (scalar) {{ values ("{ps / 1000:.6f}"); }}' for kind in kinds)
    types, body = [], []
    for pin, width in widths.items():
        head = f"    pin ({pin}) {{"
        if width:
            types.append(f"  type ({name}_{pin}) {{ base_type : array; data_type : bit; bit_width : {width}; "
                         f"bit_from : {width - 1}; bit_to : 0; }}")
            head = f"    bus ({pin}) {{ bus_type : {name}_{pin};"
        if pin == "clk":
            body.append(f"{head} direction : input; clock : true; }}")
        elif pin == "rdata":
            body.append(f'{head} direction : output; timing () {{ related_pin : "clk"; timing_type : rising_edge; '
                        f'timing_sense : non_unate; {times(("cell_rise", "cell_fall"), timing.access_ps)} '
                        f'{times(("rise_transition", "fall_transition"), 20)} }} }}')
        else:
            body.append(f'{head} direction : input; capacitance : {timing.load_of(pin) / 1000:.6f}; timing () {{ '
                        f'related_pin : "clk"; timing_type : setup_rising; '
                        f'{times(("rise_constraint", "fall_constraint"), timing.setup_of(pin))} }} }}')
    return "\n".join([*types, f"  cell ({name}) {{ area : 1;", *body, "  }"])


def outside(flat: Flat, macros: Mapping[str, MacroTiming], wire: Wire) -> str:
    """A library of the SRAM modules and of the assumption about wires; its units become those of the run: ns and pF."""
    pins = {kind: [pin for pin, _ in connections] for kind, connections in flat.cells if kind in macros}
    return "\n".join([
        "library (outside) {", "  delay_model : table_lookup;", '  time_unit : "1ns";', "  capacitive_load_unit (1, pf);",
        '  voltage_unit : "1V";', '  current_unit : "1uA";', '  leakage_power_unit : "1nW";',
        '  pulling_resistance_unit : "1kohm";',
        *THRESHOLDS, wire.liberty(),
        *(_macro(name, macros[name], found) for name, found in pins.items()), "}"]) + "\n"


def run(folder: Path, timing: Timing, technology: Technology, libraries: Mapping[str, str], sdc: str, period_ns: float,
        top: str) -> Sta:
    """Write everything into a folder, and let OpenSTA work there.

    Args:
        folder: gets the netlist, the libraries, the constraints, the script and the log.
        timing: of the tile, with its real trees of buffers.
        technology: what is assumed beside the cells.
        libraries: of the cells, text by file name.
        sdc: the shipped constraints.
        period_ns: of the clock.
        top: name of the tile's module.

    Raises:
        ToolError: if OpenSTA is missing or fails.
    """
    require()
    loads = technology.loads
    assert loads is not None  # a timing needs them
    folder.mkdir(parents=True, exist_ok=True)
    graph = timing.graph
    names = {"group_" + str(index): (name, chosen) for index, (name, chosen) in enumerate(KINDS.items())}
    commands = [f"group_path -name {group} {chosen}" for group, (_, chosen) in reversed(names.items()) if chosen]
    commands += [_GROUP.format(name=name, group=group if chosen else "clk") for group, (name, chosen) in names.items()]
    links = sorted({name for net in graph.flat.top.inputs if (name := graph.flat.top.nets[net]).endswith(constraints.LINK)})
    commands += [_GROUP.format(name=LINK, group=name) for name in links]
    commands += [_GROUP.format(name=LINK_RESET, group="**async_default**")] if links else []
    between = [_BETWEEN.format(name=TO_LINK, start="clk", end=" ".join(links)),
               _BETWEEN.format(name=FROM_LINK, start=" ".join(links), end="clk")]
    scripts = {"sta.tcl": (0, commands)} | ({"crossings.tcl": (1, between)} if links else {})
    texts = dict(libraries) | {
        "outside.lib": outside(graph.flat, graph.macros, graph.wire), "tile.v": verilog(graph.flat, graph.root, top),
        "tile.sdc": sdc,
    }
    for name, (crossings, asked) in scripts.items():
        texts[name] = _SCRIPT.format(
            libraries="\n".join(f"read_liberty {name}" for name in libraries), top=top, period_ns=f"{period_ns:.6f}",
            crossings=crossings, wire=graph.wire.name, slew_ns=f"{loads.slew_ps / 1000:.6f}",
            load_pf=f"{graph.port_ff / 1000:.6f}", groups="\n".join(asked))
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    logs = ""
    for name in scripts:
        done = subprocess.run([PROGRAM, "-exit", name], cwd=folder, capture_output=True, text=True, check=False)
        log = done.stdout + done.stderr
        path = folder / f"{name.partition('.')[0]}.log"
        path.write_text(log, encoding="utf-8")
        if done.returncode or "Error:" in log or "== path" not in log:
            said = [line for line in log.splitlines() if "Error" in line] or [f"exit code {done.returncode}"]
            raise ToolError(f"OpenSTA: {said[0]} (log: {path})")
        logs += log
    version = re.search(r"OpenSTA (\S+)", logs)
    return Sta(version[1] if version else "?", logs)


def _place(flat: Flat, pin: str, outputs: Mapping[int, int]) -> tuple[str, str]:
    """The block and the name of a pin of a report: ``c7/Y`` or a port."""
    cell, slash, rest = pin.partition("/")
    if not slash:
        return PREFIX + "tile", pin
    number = int(cell[1:])
    if number in outputs and not rest.startswith(("addr", "wdata", "en", "we")):
        name = flat.names[outputs[number]]
        return flat.owners[flat.homes[number]], name if not name.startswith("$") else flat.labels.get(number, name)
    return flat.owners[flat.homes[number]], rest


def digest(sta: Sta, timing: Timing, period_ns: float) -> dict[str, Any]:
    """The slack of each kind of path in ns, and its worst path in the words of the design."""
    flat, cells = timing.graph.flat, timing.graph.cells
    outputs = {index: next(net for pin, net in pins if pin in cells[kind].functions)
               for index, (kind, pins) in enumerate(flat.cells) if kind in cells}
    kinds: dict[str, Any] = {}
    for part in sta.log.split("== path ")[1:]:
        name, _, text = part.partition("\n")
        slack = re.search(r"^\s*(-?[\d.]+)\s+slack \(", text, re.M)
        if not slack or (name in kinds and kinds[name]["slack_ns"] <= float(slack[1])):
            continue
        steps = re.findall(r"^\s*(-?[\d.]+)\s+(-?[\d.]+) [v^] (\S+) \((\S+)\)$", text.split("data arrival time")[0], re.M)
        through: list[dict[str, Any]] = []
        for delay, _, pin, _ in steps:
            block, net = _place(flat, pin, outputs)
            block = block.removeprefix(PREFIX)
            if through and through[-1]["block"] == block:
                through[-1]["ns"] = round(through[-1]["ns"] + float(delay), 4)
                through[-1]["net"] = net if not net.startswith("$") else through[-1]["net"]
            else:
                through.append({"block": block, "net": net, "ns": float(delay)})
        ends = ["/".join(_place(flat, step[2], outputs)).removeprefix(PREFIX) for step in (steps[0], steps[-1])]
        kinds[name] = {"slack_ns": float(slack[1]), "from": ends[0], "to": ends[1], "through": through}
    worst = min((found["slack_ns"] for found in kinds.values()), default=None)
    unconstrained = re.search(r"There are (\d+) unconstrained", sta.log)
    return {"program": f"OpenSTA {sta.version}", "period_ns": period_ns, "slack_ns": worst,
            "holds": worst is not None and worst >= 0, "paths": kinds,
            "unconstrained_endpoints": int(unconstrained[1]) if unconstrained else 0}


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print it."""
    table = Table(title=f"{values['program']} with the shipped SDC, a clock of {values['period_ns']:.3f} ns, "
                        f"{values['wire']}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("paths")
    table.add_column("slack ns", justify="right")
    for name in ("from", "to", "through"):
        table.add_column(name)
    for kind, path in values["paths"].items():
        table.add_row(kind, f"{path['slack_ns']:.3f}", path["from"], path["to"],
                      " ".join(dict.fromkeys(step["block"] for step in path["through"])),
                      style="bold red" if path["slack_ns"] < 0 else "")
    console.print(table, highlight=False)
    console.print("the constraints hold" if values["holds"] else "the constraints do NOT hold", highlight=False)


def texts_of(paths: Sequence[Path]) -> dict[str, str]:
    """Liberty files as OpenSTA reads them: not packed, under names of their own."""
    return {f"cells_{number}.lib": liberty.text_of(path) for number, path in enumerate(paths)}


def check(made: Design, technology: Technology, folder: Path, period_ps: float, sized: "Sized") -> dict[str, Any]:
    """What OpenSTA says of a sized tile under the constraints that ``trajectile generate`` writes.

    Args:
        made: the design.
        technology: its cells; OpenSTA reads the same Liberty files.
        folder: gets all that OpenSTA reads, and its log.
        period_ps: of the clock.
        sized: the tile, under one assumption about wires.

    Raises:
        ToolError: if OpenSTA is missing or fails.
    """
    sdc = constraints.sdc(made.tile, ports_of(made.components[made.tile]), "", 1e6 / period_ps)
    said = run(folder, sized.timing, technology, texts_of(technology.files), sdc, period_ps / 1000, made.tile)
    values = digest(said, sized.timing, period_ps / 1000)
    inside = values["paths"].get("register to register")
    left = (1 - constraints.UNCERTAINTY) * period_ps / 1000
    return values | {
        "wire": sized.wire.title, "mhz": round(1e3 / (left - inside["slack_ns"]), 1) if inside else None,
        "mhz_of_the_estimate": round(sized.mhz, 1), "folder": str(folder)}
