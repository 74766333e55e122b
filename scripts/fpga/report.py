"""What a design takes of an FPGA and how fast it is, in the words of the design: as values and as tables."""

import re
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from trajectile.hw.design import Design
from trajectile.scripts.area.blocks import ORDER, PREFIX, group_of
from trajectile.scripts.fpga.devices import Target
from trajectile.scripts.fpga.families.family import Family, Use
from trajectile.scripts.fpga.harness import NAME, Harness
from trajectile.scripts.fpga.nextpnr import Step
from trajectile.scripts.fpga.seeds import Tried

WRAPPER, LINKS, REST = "wrapper", "links between tiles", "place and route"


class Blocks:
    """The blocks of a wrapped design by where they are: ``tile.compute_unit.mac_array``.

    Yosys names a cell after the signal that it drives or reads, followed by kinds of cells and ports; one of a memory after
    the memory, followed by numbers.
    """

    def __init__(self, made: Design, wrapped: Harness, family: Family):
        self.family = family
        self._cell = re.compile(rf"(?:\.\d+)+$|_(?:{family.kinds})(?:_.*|)$")
        names = set(made.modules)
        self._inside = {name: {label: kind for kind, label in re.findall(r"^  (\w+) (\w+) \($", text, re.M) if kind in names}
                        for name, text in (*made.modules.items(), (NAME, wrapped.text))}

    def of(self, name: str) -> tuple[str, str, str]:
        """Place, signal and part of a cell: the innermost block that its name leads to, the signal in there that it is named
        after, and what the block belongs to in the area report. A cell of the wrapper has an empty place.
        """
        module, group = NAME, WRAPPER
        place: list[str] = []
        parts = name.partition("$")[0].split(".")
        for label in parts[:-1]:
            inner = self._inside[module].get(label)
            if inner is None:  # a library's block inside a block
                break
            kind, parent = inner.removeprefix(PREFIX), module.removeprefix(PREFIX)
            group = LINKS if kind == "d2d_link" else group_of(kind, parent, "wiring" if group == WRAPPER else group)
            module, place = inner, [*place, label]
        return ".".join(place), self._cell.sub("", ".".join(parts[len(place):])), group


def by_block(cells: Mapping[str, str], blocks: Blocks) -> dict[str, Use]:
    """What each part of the design takes, by the cells of the netlist."""
    found: dict[str, Use] = {}
    for name, kind in cells.items():
        _, _, group = blocks.of(name)
        found[group] = found.get(group, Use()) + blocks.family.use_of(kind)
    order = (*ORDER, LINKS, WRAPPER)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def path_of(steps: tuple[Step, ...], blocks: Blocks) -> dict[str, Any] | None:
    """The critical path: where it begins and ends, and what it spends in each block on the way."""
    if not steps:
        return None

    through: list[dict[str, Any]] = []
    ends = []
    for step in steps:
        place, signal, _ = blocks.of(step.cell)
        place = place or WRAPPER
        ends.append(f"{place}: {signal}")
        if not through or through[-1]["block"] != place:
            through.append({"block": place, "logic_ns": 0.0, "routing_ns": 0.0, "signals": []})
        last = through[-1]
        last["routing_ns" if step.kind == "routing" else "logic_ns"] += step.ns
        if signal not in last["signals"]:
            last["signals"].append(signal)
    for part in through:
        part["logic_ns"], part["routing_ns"] = round(part["logic_ns"], 3), round(part["routing_ns"], 3)
    return {"from": ends[0], "to": ends[-1], "ns": round(sum(step.ns for step in steps), 3),
            "logic_ns": round(sum(step.ns for step in steps if step.kind != "routing"), 3),
            "routing_ns": round(sum(step.ns for step in steps if step.kind == "routing"), 3),
            "through": through}


def _mhz(fmax: float | None) -> float | None:
    return None if fmax is None else round(fmax, 2)


def values_of(made: Design, wrapped: Harness, what: str, target: Target, cells: Mapping[str, str], tried: Tried, *,
              freq_mhz: float, placer: str, flat: bool) -> dict[str, Any]:
    """What ``--json`` writes."""
    routed = tried.routed
    blocks = Blocks(made, wrapped, target.family)
    used, there = target.family.counted(routed.report.used)
    parts = by_block(cells, blocks)
    rest = used - sum(parts.values(), Use())
    return {
        "config": {"name": made.config.name, **made.config.as_dict},
        "what": what,
        "device": target.device.name, "package": target.package, "speed": target.speed, "seed": tried.seed, "placer": placer,
        "freq_mhz": freq_mhz, "flat": flat,
        "routed": routed.why_not is None, "why_not": routed.why_not,
        "fmax_mhz": _mhz(routed.report.fmax_mhz),
        "seeds": {str(seed): _mhz(fmax) for seed, fmax in tried.fmax_mhz.items()},
        **used.numbers,
        "available": there.numbers,
        "blocks": {name: part.numbers for name, part in parts.items()} | ({REST: rest.numbers} if rest != Use() else {}),
        "wrapper": {"inputs": wrapped.inputs, "outputs": wrapped.outputs},
        "critical_path": path_of(routed.report.path, blocks),
        "bitstream": str(routed.bitstream) if routed.bitstream else None,
    }


def use_table(values: Mapping[str, Any]) -> Table:
    """What each part takes."""
    table = Table(title=f"{values['what']} of {values['config']['name']} on {values['device'].upper()}-{values['speed']} in "
                        f"{values['package']}", title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("block")
    for column in ("LUT", "flip-flops", "block RAM", "DSP"):
        table.add_column(column, justify="right")
    kinds = ("lut", "ff", "bram", "dsp")
    for name, part in values["blocks"].items():
        table.add_row(name, *(f"{part[kind]:,}" if part[kind] else "" for kind in kinds))
    table.add_section()
    table.add_row("total", *(f"{values[kind]:,}" for kind in kinds), style="bold")
    table.add_row("of", *(f"{values['available'][kind]:,}" for kind in kinds))
    table.add_row("share", *(f"{values[kind] / (values['available'][kind] or 1):.1%}" for kind in kinds))
    return table


def path_table(path: Mapping[str, Any]) -> Table:
    """What the critical path spends where."""
    table = Table(title=f"critical path: {path['ns']:.2f} ns ({path['logic_ns']:.2f} in cells, {path['routing_ns']:.2f} in "
                        f"wires)\n  from {path['from']}\n  to   {path['to']}", title_justify="left", box=None,
                  padding=(0, 2, 0, 0))
    table.add_column("through", overflow="fold")
    table.add_column("cells ns", justify="right")
    table.add_column("wires ns", justify="right")
    table.add_column("signals", overflow="fold")
    for part in path["through"]:
        table.add_row(part["block"], f"{part['logic_ns']:.2f}", f"{part['routing_ns']:.2f}", ", ".join(part["signals"]))
    return table


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print the report."""
    console.print(use_table(values), highlight=False)
    wrapper = values["wrapper"]
    console.print(f"\nports are wired to shift registers ({wrapper['inputs']:,} bits in, {wrapper['outputs']:,} out), so "
                  f"that four pins are enough; row \"{WRAPPER}\" is what these take", highlight=False)
    if values["critical_path"]:
        console.print()
        console.print(path_table(values["critical_path"]), highlight=False, markup=False)
    console.print()
    if values["routed"]:
        speed = "no path from register to register" if values["fmax_mhz"] is None else f"{values['fmax_mhz']:.1f} MHz"
        others = sorted(fmax for fmax in values["seeds"].values() if fmax is not None)
        of = f", the fastest of {len(values['seeds'])}, the slowest {others[0]:.1f} MHz" if len(others) > 1 else ""
        console.print(f"[bold]routed: {speed}[/] (aimed at {values['freq_mhz']:g}, seed {values['seed']}{of})\n"
                      f"{values['bitstream']}", highlight=False)
    else:
        console.print("[bold red]not routed:[/] ", end="")
        console.print(values["why_not"], highlight=False, markup=False)
