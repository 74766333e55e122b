"""The way from Verilog to mapped cells: which files Yosys gets, and what it is told."""

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from trajectile.hw.design import Design
from trajectile.hw.lib import yosys
from trajectile.hw.lib.yosys import YosysError
from trajectile.scripts.area.library_text import library_text
from trajectile.scripts.area.memories import Choice
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.folders import share
from trajectile.tb.cache import kept
from trajectile.tb.toolchain import workshop

#: SRAM modules made of macros are black boxes and the hierarchy stays, so every block is mapped once and found again.
SCRIPT = """read_verilog sram.v
blackbox {macros}
read_verilog tile.v
hierarchy -check -top {top}
synth -noabc -top {top}
{save}dfflibmap -liberty cells.lib
abc -script map.abc -liberty cells.lib
opt_clean -purge
check -mapped
tee -q -o stat.json stat -json -liberty cells.lib
"""
#: What ABC does with each block for the least area. Its default script spends minutes in sequential cleaning on our
#: multipliers, for a larger area.
MAPPING = "strash\ndc2\ndch\namap -m\n"
#: what the run for area leaves for the run for speed; the empty file says that it is whole
SAVE = "write_rtlil synthesized.il\ntee -q -o synthesized log whole\n"
#: once more, for speed, side by side with the mapping for area: cells with delays, sized for a clock
SPEED = """read_rtlil synthesized.il
rename -wire
dfflibmap -liberty timed.lib
abc -script fast.abc -constr loads.txt -D {period} -liberty timed.lib
opt_clean -purge
tee -q -o fast.json stat -json -liberty timed.lib
write_blif -gates -conn -cname -impltf fast.blif
"""
FAST_MAPPING = "strash\ndch\nmap -B 0.9 {D}\ntopo\nbuffer -c\ntopo\nupsize {D}\ndnsize {D}\nstime -p\n"


@dataclass(frozen=True)
class Mapped:
    """The mapped tile."""

    #: number of each kind of cell or instance by module
    modules: dict[str, dict[str, int]]
    #: delay that ABC gives each block by itself, in ps; without speed none
    abc_ps: dict[str, float]
    #: what Yosys read and wrote; nobody writes into it any more
    folder: Path


def _counts(path: Path) -> dict[str, dict[str, int]]:
    """Instances of each kind of cell by module."""
    log = json.loads(path.read_text(encoding="utf-8"))
    return {name.lstrip("\\"): {str(kind).lstrip("\\"): int(count) for kind, count in module["num_cells_by_type"].items()}
            for name, module in log["modules"].items()}


def _abc_delays(log: str) -> dict[str, float]:
    """ABC's last figure for each module. Runs of ABC go on side by side, but their logs come in the order of the modules."""
    modules = re.findall(r"Extracting gate netlist of module `\\(\w+)'", log)
    runs = re.split(r"ABC: \+ read_blif", log)[1:]
    found = {}
    for name, run in zip(modules[-len(runs):], runs, strict=False):
        if delays := re.findall(r"Delay = *([\d.]+) ps", run):
            found[name] = float(delays[-1])
    return found


def inputs(made: Design, technology: Technology, choices: Mapping[str, Choice], period_ps: float | None, more: str = ""
           ) -> dict[str, str]:
    """What Yosys reads, text by file name; with a period also what the run for speed reads, with ``more`` more script."""
    files = made.files()
    texts = {
        "sram.v": files["trajectile_sram.v"], "tile.v": files["trajectile_tile.v"], "map.abc": MAPPING,
        "cells.lib": library_text(technology.cells),
    }
    macros = [name for name in made.srams if not choices[name].registers]
    script = SCRIPT.format(top=made.tile, macros=" ".join(macros) or "none",
                           save=SAVE if period_ps else "")
    loads = technology.loads
    if period_ps and loads is None:
        raise ValueError(f"period_ps = {period_ps} is not legal for {technology.name}, whose cells have no timing; legal: 0")
    if period_ps and loads:
        texts |= {
            "timed.lib": library_text(technology.cells, loads), "fast.abc": FAST_MAPPING,
            "loads.txt": f"set_driving_cell {loads.buffer}\nset_load {technology.port_load_ff:.3f}\n",
        }
        texts["fast.ys"] = SPEED.format(period=f"{period_ps:.0f}")
    return texts | {"synth.ys": script + more}


def _run(texts: Mapping[str, str], folder: Path) -> None:
    """Write the texts into a folder, and run ``synth.ys`` there and, as soon as that has saved the design, ``fast.ys``."""
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    saved = folder / "synthesized"
    with ThreadPoolExecutor(1) as pool:
        area = pool.submit(yosys.run, texts["synth.ys"], folder, "synth")
        while "fast.ys" in texts and not saved.exists() and not area.done():
            sleep(0.1)
        if saved.exists():
            yosys.run(texts["fast.ys"], folder, "fast")
        area.result()


def run_once(texts: Mapping[str, str], target: Path | None = None) -> Path:
    """The folder in which Yosys has run on these texts: now, or before on the very same ones.

    Args:
        texts: of :func:`inputs`.
        target: gets copies of all files, also of those of a run that failed.

    Raises:
        YosysError: if Yosys fails.
    """
    def make(folder: Path) -> None:
        # Yosys hands paths to ABC, which takes none with a blank
        try:
            with workshop(folder) as place:
                _run(texts, place)
        except YosysError as error:
            if target:
                share(folder, target)
            raise YosysError(str(error).replace(str(place), str(folder))) from error

    folder = kept("area", [yosys.wheel(), *(part for item in sorted(texts.items()) for part in item)], make)
    if target:
        share(folder, target)
    return folder


def map_tile(made: Design, target: Path | None, technology: Technology, choices: Mapping[str, Choice],
             period_ps: float | None = None, more: str = "") -> Mapped:
    """Synthesize the tile of a design. The outcome is kept: with the same inputs nothing is run again.

    Args:
        made: the design.
        target: gets copies of scripts, libraries, logs and results.
        technology: cells, and with ``period_ps`` their delays.
        choices: for each SRAM module what it is made of.
        period_ps: clock period that the run for speed aims at; None for area alone.
        more: script that comes after.

    Raises:
        YosysError: if Yosys fails.
    """
    folder = run_once(inputs(made, technology, choices, period_ps, more), target)
    delays = _abc_delays((folder / "fast.log").read_text(encoding="utf-8", errors="replace")) if period_ps else {}
    return Mapped(_counts(folder / "stat.json"), delays, folder)
