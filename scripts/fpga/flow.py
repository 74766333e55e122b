"""The way from Verilog to a bitstream: what Yosys and nextpnr get, and what they have made."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trajectile.hw.design import Design
from trajectile.hw.lib import yosys
from trajectile.hw.lib.yosys import YosysError
from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.folders import share
from trajectile.scripts.fpga import nextpnr
from trajectile.scripts.fpga.devices import Target
from trajectile.scripts.fpga.harness import NAME, PINS, Harness
from trajectile.scripts.fpga.nextpnr import Report
from trajectile.tb.cache import kept
from trajectile.tb.toolchain import workshop

#: Small products become sums first, so that they take no DSP block. Every block is synthesized once and the hierarchy
#: dissolved afterwards, so that each cell's name begins with its block. The netlist with its hierarchy is kept too, for
#: simulation. With ``flat`` it is dissolved first: optimisation crosses blocks, and names are only as good as what is left.
#: Where logic is mapped to look-up tables, a wire counts 1,000 ps, about what it takes once it is routed; ``synth_ecp5`` by
#: itself counts 300, and has more tables one after the other.
SCRIPT = """read_verilog design.v
hierarchy -top {top}
proc
opt_expr
wreduce t:$mul
techmap -map products.v t:$mul
synth_ecp5 {option}-top {top} -run :map_luts
abc9 -W 1000
clean
synth_ecp5 -run map_cells:
write_verilog -noattr netlist.v
{dissolve}write_json netlist.json
"""
#: nextpnr's placers, the usual one first: faster clocks; where its places leave no way for all wires, the other may
PLACERS = ("static", "heap")
#: of small products, for ``techmap``
PRODUCTS = Path(__file__).with_name("products.v")


@dataclass(frozen=True)
class Routed:
    """What place and route made of a design."""

    #: what nextpnr reports; of a design that was not routed: the sites it wants, and neither speed nor path
    report: Report
    #: why it was not routed; None if it was
    why_not: str | None
    #: the bitstream, if there is one
    bitstream: Path | None


def synthesize(made: Design, wrapped: Harness, flat: bool = False) -> Path:
    """A folder with ``netlist.json``, the design in cells of ECP5: made now, or before from the very same Verilog.

    ``netlist.v`` is the same in Verilog; without ``flat`` with the hierarchy still in it.

    Raises:
        YosysError: if Yosys is missing or fails.
    """
    texts = {"design.v": "\n".join([*made.files().values(), wrapped.text]),
             "products.v": PRODUCTS.read_text(encoding="utf-8")}
    return synthesized(texts, SCRIPT.format(
        option="" if flat else "-noflatten ", top=NAME, dissolve="" if flat else "flatten\nclean\n"))


def synthesized(texts: Mapping[str, str], script: str) -> Path:
    """A folder in which Yosys has run a script on some files, by their names: now, or before on the very same ones.

    Raises:
        YosysError: if Yosys is missing or fails.
    """
    def make(folder: Path) -> None:
        with workshop(folder) as place:  # Yosys hands paths to ABC, which takes none with a blank
            for name, text in texts.items():
                (place / name).write_text(text, encoding="utf-8")
            try:
                yosys.run(script, place, "synth")
            except YosysError as error:
                raise YosysError(str(error).replace(str(place), str(folder))) from error

    return kept("fpga", [yosys.wheel(), script, *(part for item in texts.items() for part in item)], make)


def place_and_route(netlist: Path, folder: Path, target: Target, *, seed: int, freq_mhz: float, placer: str = PLACERS[0],
                    pins: Path | None = None, written: str | None = None,
                    told: Callable[[str], None] = lambda line: None) -> Routed:
    """Place and route a netlist, and make the bitstream.

    Args:
        netlist: folder of :func:`synthesize`.
        folder: gets netlist, logs, report, configuration and bitstream.
        target: the FPGA.
        seed: of the placer.
        freq_mhz: what placer and router aim at.
        placer: one of ``PLACERS``.
        pins: LPF file with the places of the wrapper's pins; without it they go anywhere.
        written: name of a file in the folder that gets the routed netlist (:mod:`trajectile.scripts.fpga.routed`).
        told: is told each line of nextpnr's log.

    Raises:
        UserError: if nextpnr does not take the file of pins.
        ToolError: if a tool is missing, or fails for another reason than that the design does not fit.
    """
    share(netlist, folder)
    options = ["--seed", str(seed), "--freq", f"{freq_mhz:g}", "--placer", placer, "--lpf-allow-unconstrained",
               *(["--write", written] if written else [])]
    if pins:
        (folder / "pins.lpf").write_bytes(pins.read_bytes())
        options += ["--lpf", "pins.lpf"]
    try:
        return implement(folder, target, options, told=told)
    except NextpnrFailed as error:
        if pins and nextpnr.errors(error.log) and not nextpnr.read_used(error.log):  # pins are placed first
            raise UserError(f"--pins = {pins} is not legal ({nextpnr.errors(error.log)[0]}); legal values: an LPF file that "
                            f"places {', '.join(PINS)}") from None
        raise


class NextpnrFailed(ToolError):
    """nextpnr failed for another reason than that the design does not fit."""

    def __init__(self, message: str, log: str):
        super().__init__(message)
        self.log = log


def implement(folder: Path, target: Target, options: Sequence[str], *, name: str = "fpga", pack: Sequence[str] = (),
              told: Callable[[str], None] = lambda line: None) -> Routed:
    """Place and route ``netlist.json`` of a folder, and make the bitstream; logs, report and results stay beside it.

    Args:
        folder: has the netlist, and what the options name.
        target: the FPGA.
        options: more of nextpnr.
        name: of the results: ``fpga.config``, ``fpga.bit``.
        pack: options of ecppack.
        told: is told each line of nextpnr's log.

    Raises:
        NextpnrFailed: for another reason than that the design does not fit.
        ToolError: if a tool is missing, or if ecppack fails.
    """
    for old in ("report.json", f"{name}.config", f"{name}.bit"):
        (folder / old).unlink(missing_ok=True)
    code, log = nextpnr.run(
        [target.device.option, "--package", target.package, "--speed", str(target.speed), "--json", "netlist.json",
         "--textcfg", f"{name}.config", "--report", "report.json", "--router", "router2", "--timing-allow-fail", *options],
        folder, "nextpnr.log", told=told)
    if code:
        why = nextpnr.does_not_fit(log)
        if why is None:
            raise NextpnrFailed(f"nextpnr failed (log in {folder}):\n" + "\n".join(log.splitlines()[-15:]), log)
        return Routed(Report(nextpnr.read_used(log), None), why, None)
    report = nextpnr.read_report((folder / "report.json").read_text(encoding="utf-8"))
    code, log = nextpnr.run([*pack, f"{name}.config", f"{name}.bit"], folder, "ecppack.log", "run_ecppack")
    if code:
        raise ToolError(f"ecppack failed (log in {folder}):\n" + "\n".join(log.splitlines()[-15:]))
    return Routed(report, None, folder / f"{name}.bit")


def cells(netlist: Path) -> dict[str, str]:
    """Kind of each cell of a netlist by its name, whose parts are joined with dots: ``tile.compute_unit.mac_array...``."""
    found = json.loads((netlist / "netlist.json").read_text(encoding="utf-8"))["modules"][NAME]["cells"]
    return {name: str(cell["type"]) for name, cell in found.items()}
