"""The tables of docs/area.md (and of area in docs/memory.md and docs/link.md), from syntheses of the presets.

What needs the full libraries of the technologies is written only with ``--pdk FOLDER``: the Liberty files
``sg13g2_stdcell_typ_*`` and ``asap7sc7p5t_*_RVT_TT_nldm_*`` are looked for in it. Syntheses whose inputs did not change since
the last run are taken from build/sim.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trajectile.scripts.area import bare_macs, technology
from trajectile.scripts.area.blocks import ORDER
from trajectile.scripts.area.synthesis import synthesize
from trajectile.scripts.command_line import terminal
from trajectile.scripts.flow import workload
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.area_check import PRESETS
from trajectile.scripts.plots import area as area_plots
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.counters import count
from trajectile.sw_model.timeline.model import simulate

FOLDER = Path("build/area")
#: with an area-only library in the repository and a full one beside it
FULL = {"sg13g2": "sg13g2_stdcell_typ_*.lib*", "asap7": "asap7sc7p5t_*_RVT_TT_nldm_*.lib*"}
#: configurations whose speed and energy are shown
ESTIMATES = (("demo", "sg13g2"), ("paper", "asap7"))
#: what is shown of the MAC array's own parameters: the override, "" for the preset as it is
ARRAYS = {("demo", "sg13g2"): ("", "tile.mac_part=4", "tile.multiplier=shared"),
          ("paper", "asap7"): ("", "tile.mac_part=16")}
#: formats of weights of which the largest preset's tile is shown
FORMATS = ((), ("tile.weights=mxfp4",), ("tile.weights=int4",), ("tile.weights=int4", "tile.scale_mantissa=3"))

Values = Mapping[str, Any]


def area(preset: str, name: str, *overrides: str) -> Values:
    """Area with the cells that come with the project."""
    folder = FOLDER / "-".join([preset, name, *overrides])
    with terminal.status(f"synthesizing {folder.name}"):
        return synthesize(load(preset, list(overrides)), folder, technology.load(name))


def timed(preset: str, name: str, pdk: Path, *overrides: str) -> Values:
    """Area and speed with the full libraries."""
    config, cells = load(preset, list(overrides)), technology.load(name, sorted(pdk.rglob(FULL[name])))
    folder = FOLDER / "-".join([preset, name, *overrides, "timed"])
    with terminal.status(f"synthesizing {folder.name}"):
        return synthesize(config, folder, cells, clock_mhz=technology.TECHNOLOGIES[name].clock_mhz)


def full(preset: str, name: str, pdk: Path, *overrides: str, estimates: bool) -> Values:
    """Area with the full libraries, and the estimates that need them."""
    config, cells = load(preset, list(overrides)), technology.load(name, sorted(pdk.rglob(FULL[name])))
    folder = FOLDER / "-".join([preset, name, *overrides, "full"])
    plan = schedule(config, workload.load(config, gate_only=True).topk_ids, "balanced")
    with terminal.status(f"synthesizing {folder.name}"):
        values = synthesize(
            config, folder, cells, clock_mhz=technology.TECHNOLOGIES[name].clock_mhz if estimates else None,
            counters=count(plan, simulate(plan, record=False)) if estimates else None)
        return values | {"bare_macs": bare_macs.compare(config, values, folder / "bare_macs", cells)}


def _number(value: float | None) -> str:
    return "?" if value is None else "" if not value else f"{value:,.0f}"


def totals(reports: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """One row per preset and technology."""
    yield from table_rows(
        ("command", "cells", "um2 of cells", "combinational", "sequential", "um2 of SRAM", "SRAM bits", "bits in flip-flops",
         "overhead"),
        ((f"`trajectile synthesize {preset} --technology {name}`", f"{t['cells']:,}", _number(t["cell_area"]),
          _number(t["cell_area"] - t["sequential_area"]), _number(t["sequential_area"]), _number(t["sram_area"]),
          f"{t['sram_bits']:,}", f"{t['memory_cell_bits']:,}", f"{values['overhead_share']:.1%}")
         for (preset, name), values in reports.items() for t in [values["totals"]]))


def blocks(reports: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """A table a technology: each part of the tile in every preset."""
    for name in FULL:
        mine = [values["groups"] for (_, other), values in reports.items() if other == name]
        presets = [preset for preset, other in reports if other == name]
        yield f"{technology.TECHNOLOGIES[name].title}, um2:\n"
        yield from table_rows(
            ("block", *(f"{preset} {what}" for preset in presets for what in ("cells", "SRAM"))),
            ((part, *(_number(groups.get(part, {}).get(key, 0.0)) for groups in mine for key in ("cell_area", "sram_area")))
             for part in ORDER if any(part in groups for groups in mine)))


def largest(reports: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """The modules of the largest preset's tile that take a hundredth of its cells or more."""
    preset = list(reports)[-1][0]
    found = {name: {kind: block for group in reports[preset, name]["groups"].values()
                    for kind, block in group["blocks"].items()} for name in FULL}
    whole = {name: reports[preset, name]["totals"]["cell_area"] for name in FULL}
    kinds = sorted((kind for kind in found["sg13g2"] if any(
        kind in found[name] and found[name][kind]["cell_area"] >= whole[name] / 100 for name in FULL)),
        key=lambda kind: -found["sg13g2"][kind]["cell_area"])
    yield f"`{preset}`:\n"
    yield from table_rows(("module", "instances", *(text for name in FULL for text in (f"{name} cells", "share"))), (
        (f"`{kind}`", found["sg13g2"][kind]["instances"],
         *(text for name in FULL for area in [found[name].get(kind, {}).get("cell_area", 0.0)]
           for text in (_number(area), f"{area / whole[name]:.1%}"))) for kind in kinds))


def memories(reports: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """What each memory of the largest preset's tile is made of, and the memories of all presets that are flip-flops."""
    preset = list(reports)[-1][0]
    for name in FULL:
        values = reports[preset, name]
        yield f"`{preset}`, {values['technology']['srams']}:\n"
        yield from table_rows(("block", "memory", "instances", "made of", "um2", "access ps", "read pJ"), (
            (m["block"], f"{m['depth']} x {m['width']} {m['ports']}", m["instances"],
             m["macros"] if m["made_of"] == "macros" else "flip-flops", _number(m["area"]), _number(m["access_ps"] or 0.0),
             "" if m["read_pj"] is None else f"{m['read_pj']:,.1f}") for m in values["memories"]))
    yield "In flip-flops:\n"
    yield from table_rows(("preset", "technology", "block", "memory", "instances", "um2 of cells", "um2 in macros"), (
        (preset, name, m["block"], f"{m['depth']} x {m['width']} {m['ports']}", m["instances"], _number(m["area"]),
         _number(m["area_as_macros"])) for (preset, name), values in reports.items() for m in values["memories"]
        if m["made_of"] == "flip-flops"))


def agreement(reports: Mapping[tuple[str, str], Values], complete: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """Area-only libraries against full ones."""
    yield from table_rows(("tile", "cells of the repository", "full Liberty", "difference"), (
        (f"{preset} {name}", _number(ours), _number(theirs), f"{ours / theirs - 1:+.2%}")
        for (preset, name), values in complete.items()
        for ours, theirs in [(reports[preset, name]["totals"]["cell_area"], values["totals"]["cell_area"])]))


def macs(complete: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """The MAC array against bare multiply-accumulators."""
    yield from table_rows(("tile", "products per cycle", "MAC array", "of as many bare multiply-accumulators",
                           "of as many bare dot products"), (
        (f"{preset} {name}", f"{bare['macs']:,}", _number(bare["array_area"]),
         f"{bare['over_macs']:.2f} (one: {bare['mac_area']:,.1f})",
         f"{bare['over_dots']:.2f} (one of {bare['dot_inputs']}: {bare['dot_area']:,.1f})")
        for (preset, name), values in complete.items() for bare in [values["bare_macs"]]))


def arrays(presets: Sequence[str], pdk: Path) -> Iterator[str]:
    """What the MAC array's parameters change."""
    def rows() -> Iterator[tuple[object, ...]]:
        for (preset, name), overrides in ARRAYS.items():
            if preset not in presets:
                continue
            for override in overrides:
                values = timed(preset, name, pdk, *([override] if override else []))
                modules, speed = values["groups"]["MAC array"]["blocks"], values["speed"]
                option = f" --set {override}" if override else ""
                yield (f"`trajectile synthesize {preset} --technology {name}{option}`", *(
                    _number(area) for area in (modules["mac_pe"]["cell_area"], modules["mac_array"]["cell_area"],
                                               values["totals"]["cell_area"], speed["blocks"]["mac_pe"]["ps"],
                                               speed["reached_mhz"])))
    yield from table_rows(("command", "`mac_pe`", "`mac_array`", "all cells", "ps into `mac_pe`", "MHz of the tile"), rows())


def formats(complete: Mapping[tuple[str, str], Values], pdk: Path) -> Iterator[str]:
    """What the format of the weights changes."""
    def rows() -> Iterator[tuple[object, ...]]:
        for overrides in FORMATS:
            values = full("paper", "asap7", pdk, *overrides, estimates=True) if overrides else complete["paper", "asap7"]
            bare, tile = values["bare_macs"], values["config"]["tile"]
            yield (tile["weights"], tile["scale_mantissa"], *map(_number, (
                values["totals"]["cell_area"], bare["array_area"], values["groups"]["expert buffer"]["sram_area"],
                values["speed"]["reached_mhz"])), f"{values['power']['uj_per_token']:,.1f}",
                f"{bare['over_dots']:.2f} (one: {bare['dot_area']:,.1f})")
    yield from table_rows(("weights", "scale mantissa", "cells", "MAC array", "SRAM of the expert buffer", "MHz",
                           "uJ per token", "MAC array of as many bare dot products"), rows())


def _estimated(complete: Mapping[tuple[str, str], Values]) -> list[tuple[str, str]]:
    return [key for key in ESTIMATES if key in complete]


def speeds(complete: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """The longest path into each block."""
    for preset, name in _estimated(complete):
        speed = complete[preset, name]["speed"]
        reached = "reached" if speed["reached_mhz"] >= speed["target_mhz"] else "not reached"
        loads = speed["loads"]
        yield (f"`{preset}` in {technology.TECHNOLOGIES[name].title}: **{speed['reached_mhz']:,.0f} MHz**; the target of "
               f"{speed['target_mhz']:,.0f} MHz is {reached}. Assumed: {loads['wire_ff_per_pin']} fF of wire per "
               f"pin; a net with more load than {loads['fanout']} inputs of {loads['buffer']} goes through a tree of them.\n")
        yield from table_rows(("into", "ps", "ABC, the block alone", "from", "to", "through"), (
            (f"`{block}`", _number(path["ps"]), _number(speed["abc_ps"].get(block, 0.0)), f"`{path['from']}`",
             f"`{path['to']}`", ", ".join(dict.fromkeys(step["block"] for step in path["through"])))
            for block, path in list(speed["blocks"].items())[:12]))


def energies(complete: Mapping[tuple[str, str], Values]) -> Iterator[str]:
    """The energy of a batch by part."""
    for preset, name in _estimated(complete):
        values = complete[preset, name]["power"]
        synthetic = " (synthetic)" if complete[preset, name]["technology"]["srams_synthetic"] else ""
        yield (f"`{preset}` in {technology.TECHNOLOGIES[name].title}, {values['tokens']} tokens, {values['cycles']:,} cycles "
               f"at {values['clock_mhz']:,.0f} MHz: **{values['uj_per_token']:,.2f} uJ per token**, "
               f"{values['watts']:,.2f} W, all tiles and links; SRAM energies of {values['sram_energies']}{synthetic}. uJ:\n")
        kinds = ("logic", "clock", "SRAM", "leakage", "bits")
        yield from table_rows(("part", *kinds, "share"), (
            (part, *(f"{row[kind]:,.2f}" if kind in row else "" for kind in kinds),
             f"{sum(row.values()) / values['energy_uj']:.1%}") for part, row in values["parts_uj"].items()))


def protection() -> Iterator[str]:
    """What codes in SRAM cost."""
    def rows() -> Iterator[tuple[object, ...]]:
        for preset in ("smoke", "demo"):
            base = area(preset, "sg13g2")["totals"]
            for kind in ("none", "parity", "secded"):
                now = base if kind == "none" else area(preset, "sg13g2", f"tile.protect={kind}")["totals"]
                option = "" if kind == "none" else f" --set tile.protect={kind}"
                yield (f"`trajectile synthesize {preset}{option}`", *(
                    f"{now[key]:,.0f}" + ("" if kind == "none" else f" ({now[key] / base[key] - 1:+.1%})")
                    for key in ("cell_area", "sram_area", "sram_bits", "memory_cell_bits")))
    yield from table_rows(("command", "cells", "SRAM macros", "SRAM bits", "bits in flip-flops"), rows())


def links() -> Iterator[str]:
    """What a link layer costs."""
    def rows() -> Iterator[tuple[object, ...]]:
        for preset in ("smoke", "demo"):
            for bits in (0, 16, 32):
                values = area(preset, "sg13g2", *([f"link.crc_bits={bits}"] if bits else []))
                link = values["groups"].get("link layer", {"cell_area": 0.0, "sram_area": 0.0})
                yield (preset, bits, _number(values["totals"]["cell_area"]), _number(link["cell_area"]),
                       _number(values["groups"]["host port"]["cell_area"]), _number(values["totals"]["sram_area"]),
                       _number(link["sram_area"]))
    yield from table_rows(("CONFIG", "N", "cells", "of these the link layer", "the host port", "SRAM macros",
                           "of these replay buffers"), rows())


def write(presets: Sequence[str], pdk: Path | None, more: Sequence[Callable[[], Iterator[str]]] = ()) -> list[str]:
    """Put the tables on their pages; returns the names of the parts written."""
    reports = {(preset, name): area(preset, name) for preset in presets for name in FULL}
    parts = {"totals": totals(reports), "blocks": blocks(reports), "largest": largest(reports), "memories": memories(reports)}
    area_plots.bars(list(reports.values()), pages.DOCS / "area_blocks.png")
    if pdk:
        complete = {(preset, name): full(preset, name, pdk, estimates=(preset, name) in ESTIMATES)
                    for preset, name in (*ESTIMATES, ("paper", "sg13g2")) if preset in presets}
        parts |= {"agreement": agreement(reports, complete), "macs": macs(complete), "speed": speeds(complete),
                  "energy": energies(complete), "arrays": arrays(presets, pdk)}
        if ("paper", "asap7") in complete:
            parts["formats"] = formats(complete, pdk)
    for name, lines in parts.items():
        pages.write_part("area.md", f"area {name}", "\n".join(lines))
    for rows in more:
        pages.write_part({"protection": "memory.md", "links": "link.md"}[rows.__name__], f"area {rows.__name__}",
                         "\n".join(rows()))
    return [*parts, *(rows.__name__ for rows in more)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="area_page", description=__doc__)
    parser.add_argument("--preset", action="append", choices=PRESETS, help=f"default: {', '.join(PRESETS)}")
    parser.add_argument("--pdk", metavar="FOLDER", type=Path, help="full libraries, for agreement, speed and energy")
    parser.add_argument("--options", action="store_true", help="also what memory protection and link layers cost")
    args = parser.parse_args(arguments)
    print("written:", ", ".join(write(args.preset or PRESETS, args.pdk, (protection, links) if args.options else ())))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
