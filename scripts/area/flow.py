"""The way from Verilog to mapped cells: which files Yosys gets, and what it is told."""

import hashlib
import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from trajectile.hw.design import Design
from trajectile.hw.lib import yosys
from trajectile.scripts.area.library_text import library_text
from trajectile.scripts.area.memories import Choice
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.files import write_text

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


def write_inputs(made: Design, folder: Path, technology: Technology, choices: Mapping[str, Choice], period_ps: float | None
                 ) -> dict[str, str]:
    """Write what Yosys reads into ``folder``, with a period also what the run for speed reads; text by file name."""
    folder.mkdir(parents=True, exist_ok=True)
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
    texts["synth.ys"] = script
    for name, text in texts.items():
        write_text(folder / name, text)
    return texts


def _run_once(texts: Mapping[str, str], more: str, folder: Path) -> str:
    """Run ``synth.ys`` and more script, and ``fast.ys``; unless the folder has the outcome of the very same texts.

    Returns:
        the log of the last of the two.
    """
    log = folder / ("fast.log" if "fast.ys" in texts else "synth.log")
    parts = [yosys.wheel(), more, *(part for item in sorted(texts.items()) for part in item)]
    digest, mark = hashlib.sha256(chr(0).join(parts).encode()).hexdigest(), folder / "done"
    if mark.is_file() and mark.read_text(encoding="utf-8") == digest:
        return log.read_text(encoding="utf-8")
    saved = folder / "synthesized"
    for path in (mark, saved):
        path.unlink(missing_ok=True)
    with ThreadPoolExecutor(1) as pool:
        area = pool.submit(yosys.run, texts["synth.ys"] + more, folder, "synth")
        while "fast.ys" in texts and not saved.exists() and not area.done():
            sleep(0.1)
        if saved.exists():
            yosys.run(texts["fast.ys"], folder, "fast")
        area.result()
    write_text(mark, digest)
    return log.read_text(encoding="utf-8")


def map_tile(made: Design, folder: Path, technology: Technology, choices: Mapping[str, Choice],
             period_ps: float | None = None, more: str = "") -> Mapped:
    """Synthesize the tile of a design. A folder keeps its outcome: with the same inputs nothing is run again.

    Args:
        made: the design.
        folder: for scripts, libraries, logs and results.
        technology: cells, and with ``period_ps`` their delays.
        choices: for each SRAM module what it is made of.
        period_ps: clock period that the run for speed aims at; None for area alone.
        more: script that comes after.

    Raises:
        YosysError: if Yosys fails.
    """
    log = _run_once(write_inputs(made, folder, technology, choices, period_ps), more, folder)
    return Mapped(_counts(folder / "stat.json"), _abc_delays(log) if period_ps else {})
