"""The report on a tile: areas by block, memories and what they are made of, shares; as values and as tables."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

from trajectile.hw.design import Design
from trajectile.scripts.area.blocks import FORMING, GROUPS, OVERHEAD, PREFIX, by_block, placed, total
from trajectile.scripts.area.flow import Mapped, map_tile
from trajectile.scripts.area.memories import Choice, choose
from trajectile.scripts.area.technology import Technology
from trajectile.sw_model.config import Config


def _memories(mapped: Mapped, made: Design, choices: Mapping[str, Choice], groups: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every SRAM of the tile, and what it is made of."""
    places: dict[tuple[str, str], int] = {}
    for name, group, times in placed(mapped.modules, made):
        if name in choices:
            places[name, group] = places.get((name, group), 0) + times
    found = []
    for (name, group), times in places.items():
        choice = choices[name]
        kind = name.removeprefix(PREFIX)
        block = groups[group]["blocks"][kind]
        found.append({
            "memory": kind, "block": group, "instances": times, "depth": choice.depth, "width": choice.width,
            "ports": "1r1w" if choice.two_port else "1rw", "made_of": "flip-flops" if choice.registers else "macros",
            "macros": choice.macros.picked if choice.macros else None,
            "area": block["cell_area"] if choice.registers else block["sram_area"],
            "area_as_macros": round(choice.macros.area_um2 * times, 4) if choice.macros else None,
            "access_ps": choice.macros.access_ps if choice.macros and not choice.registers else None,
            "read_pj": choice.macros.read_pj if choice.macros and not choice.registers else None,
            "write_pj": choice.macros.write_pj if choice.macros and not choice.registers else None,
        })
    return found


def _inner_memories(made: Design) -> list[dict[str, Any]]:
    """Memories inside blocks, which become logic or flip-flops: arrays in the Verilog of modules that are no SRAM."""
    found = []
    for name, text in made.modules.items():
        if name in made.srams or name == made.top:
            continue
        for width, array, depth in re.findall(r"^\s*reg \[(\d+):0\] (\w+) \[(\d+):0\];", text, re.M):
            written = re.search(rf"^\s*{array}\[[^<\n]+ <=", text, re.M) is not None
            found.append({"block": name.removeprefix(PREFIX), "array": array, "depth": int(depth) + 1,
                          "width": int(width) + 1, "made_of": "flip-flops" if written else "logic (constant table)"})
    return found


def area_of(config: Config, made: Design, folder: Path, technology: Technology, *, registers: int | None = None,
            period_ps: float | None = None) -> tuple[dict[str, Any], Mapped, dict[str, Choice]]:
    """Synthesize a tile and add up its area.

    Args:
        config: the accelerator.
        made: its design.
        folder: for what Yosys reads and writes.
        technology: cells and macros.
        registers: see :func:`~trajectile.scripts.area.memories.choose`.
        period_ps: also map for speed, at this clock period.
    """
    choices = choose(made, technology, registers)
    mapped = map_tile(made, folder, technology, choices, period_ps)
    groups = by_block(mapped.modules, made, technology, choices)
    totals = total(groups)
    values = {
        "config": {"name": config.name, **config.as_dict},
        "what": "one tile",
        "technology": {"name": technology.name, "title": technology.title, "unit": technology.unit,
                       "libraries": list(technology.sources), "srams": technology.srams.source,
                       "srams_synthetic": technology.srams.synthetic, "notes": list(technology.notes)},
        "groups": groups,
        "totals": totals,
        "overhead_share": share(groups, OVERHEAD),
        "forming_share": share(groups, FORMING),
        "memories": _memories(mapped, made, choices, groups),
        "memories_in_blocks": _inner_memories(made),
    }
    return values, mapped, choices


def share(groups: Mapping[str, Mapping[str, Any]], parts: Sequence[str]) -> float:
    """Of all cells, by area, those of some parts."""
    return float(sum(groups[name]["cell_area"] for name in parts if name in groups)
                 / sum(group["cell_area"] for group in groups.values()))


def known_modules(made: Design) -> set[str]:
    """Modules of a tile that no part claims and that are no memories: codes of protected words, places of streams."""
    return {name for name in made.modules if name.removeprefix(PREFIX) not in GROUPS and name not in made.srams
            and name not in (made.top, f"{PREFIX}d2d_link")}


def _shown(area: float | None) -> str:
    return "?" if area is None else f"{area:,.0f}" if area >= 1000 else f"{area:,.1f}"


def area_table(values: Mapping[str, Any]) -> Table:
    """Area by block; under each part its kinds of modules."""
    technology = values["technology"]
    table = Table(title=f"one tile of {values['config']['name']}: area in {technology['unit']} ({technology['title']}; "
                        f"{', '.join(technology['libraries'][:1])}{' and more' if len(technology['libraries']) > 1 else ''})",
                  title_justify="left", box=None, padding=(0, 2, 0, 0))
    table.add_column("block")
    for column in ("instances", "cells", "combinational", "sequential", "share of cells", "SRAM", "SRAM bits"):
        table.add_column(column, justify="right")
    whole = values["totals"]["cell_area"]

    def row(name: str, instances: str, part: Mapping[str, Any], style: str = "") -> None:
        table.add_row(name, instances, f"{part['cells']:,}", _shown(part["cell_area"] - part["sequential_area"]),
                      _shown(part["sequential_area"]), f"{part['cell_area'] / whole:.1%}",
                      _shown(part["sram_area"]) if part["sram_bits"] else "",
                      f"{part['sram_bits']:,}" if part["sram_bits"] else "",
                      style=style)

    for name, group in values["groups"].items():
        row(name, "", group, "bold")
        if len(group["blocks"]) > 1:
            for kind, block in group["blocks"].items():
                row(f"  {kind}", str(block["instances"]), block)
    table.add_section()
    row("total", "", values["totals"], "bold")
    return table


def memory_table(values: Mapping[str, Any]) -> Table:
    """Memories and what they are made of."""
    synthetic = ", SYNTHETIC" if values["technology"]["srams_synthetic"] else ""
    table = Table(title=f"memories ({values['technology']['srams']}{synthetic})", title_justify="left", box=None,
                  padding=(0, 2, 0, 0))
    for column in ("block", "memory", "made of"):
        table.add_column(column)
    for column in ("instances", "area", "access ps", "read pJ"):
        table.add_column(column, justify="right")
    for memory in values["memories"]:
        made_of = (memory["macros"] or "?") if memory["made_of"] == "macros" else (
            f"flip-flops (macros: {_shown(memory['area_as_macros'])})")
        table.add_row(memory["block"], f"{memory['depth']}x{memory['width']} {memory['ports']}", made_of,
                      str(memory["instances"]), _shown(memory["area"]),
                      "" if memory["access_ps"] is None else f"{memory['access_ps']:,.0f}",
                      "" if memory["read_pj"] is None else f"{memory['read_pj']:,.1f}")
    for memory in values["memories_in_blocks"]:
        table.add_row(memory["block"], f"{memory['depth']}x{memory['width']}", memory["made_of"], "", "", "", "")
    return table


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print the report."""
    parts: list[RenderableType] = [area_table(values), "", memory_table(values), ""]
    totals = values["totals"]
    if totals["memory_cell_bits"]:
        parts.append(f"{totals['memory_cell_bits']:,} bits of memory are flip-flops: "
                     f"{_shown(totals['memory_cell_area'])} of the cells")
    parts.append(f"{', '.join(OVERHEAD)}: {values['overhead_share']:.1%} of the cells")
    parts.append(f"{', '.join(FORMING)}: {values['forming_share']:.1%} of the cells")
    parts += values["technology"]["notes"]
    for part in parts:
        console.print(part, highlight=False)
