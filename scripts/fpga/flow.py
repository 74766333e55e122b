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
from trajectile.scripts.fpga.families.family import Family
from trajectile.scripts.fpga.harness import NAME, PINS, Harness
from trajectile.scripts.fpga.nextpnr import Report
from trajectile.tb.cache import kept
from trajectile.tb.toolchain import workshop

#: Small products become sums first, so that they take no DSP block. Every block is synthesized once and the hierarchy
#: dissolved afterwards, so that each cell's name begins with its block. The netlist with its hierarchy is kept too, for
#: simulation. With ``flat`` it is dissolved first: optimisation crosses blocks, and names are only as good as what is left.
SCRIPT = """read_verilog design.v
hierarchy -top {top}
{mapping}write_verilog -noattr netlist.v
{dissolve}write_json netlist.json
"""
_MAPPING = """proc
{memories}opt_expr
wreduce t:$mul
techmap -map products.v t:$mul
{synthesis}"""
#: words of a small memory: SRAM of so many gets one without being told to
SMALL = 16
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


def script(family: Family, flat: bool = False, top: str = NAME, shallow: Sequence[str] = ()) -> str:
    """What Yosys is to do with ``design.v``, by default a wrapped design: see :func:`mapping`."""
    return SCRIPT.format(top=top, dissolve="" if flat else "flatten\nclean\n", mapping=mapping(family, flat, top, shallow))


def mapping(family: Family, flat: bool, top: str, shallow: Sequence[str]) -> str:
    """From modules that have been read to cells.

    Args:
        family: of the FPGA.
        flat: whether the hierarchy is dissolved before synthesis.
        top: module.
        shallow: modules whose memories become small memories, in place of block RAM.
    """
    return _MAPPING.format(memories="".join(f'setattr -set ram_style "distributed" {name}/m:*\n' for name in shallow),
                           synthesis=family.synthesis.format(top=top, flatten="" if flat else "-noflatten "))


def shallow_srams(made: Design, family: Family) -> list[str]:
    """Modules of a design whose memories become small memories because this says so."""
    return [name for name, (depth, *_) in made.srams.items() if SMALL < depth <= family.shallow]


def helpers(family: Family) -> dict[str, str]:
    """The files that this script reads beside ``design.v``, by name."""
    return {name: path.read_text(encoding="utf-8") for name, path in (("products.v", PRODUCTS), *family.files.items())}


def synthesize(made: Design, wrapped: Harness, family: Family, flat: bool = False) -> Path:
    """A folder with ``netlist.json``, the design in a family's cells: made now, or before from the very same Verilog.

    ``netlist.v`` is the same in Verilog; without ``flat`` with the hierarchy still in it.

    Raises:
        YosysError: if Yosys is missing or fails.
    """
    text = "\n".join([*made.files().values(), wrapped.text])
    commands = script(family, flat, shallow=shallow_srams(made, family))
    return synthesized({"design.v": text} | helpers(family), commands, family)


def synthesized(texts: Mapping[str, str], script: str, family: Family) -> Path:
    """A folder in which Yosys has run a script on some files, by their names: now, or before on the very same ones.

    Its ``netlist.json`` is as nextpnr gets it: with what the family changes in it.

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
            finish(place, family)

    changes = family.finisher.read_text(encoding="utf-8") if family.finisher else ""
    return kept("fpga", [yosys.wheel(), script, changes, *(part for item in texts.items() for part in item)], make)


def finish(folder: Path, family: Family) -> None:
    """Change ``netlist.json`` in a folder, which Yosys has written, as the family does it."""
    if family.finisher is None:
        return
    path = folder / "netlist.json"
    netlist = json.loads(path.read_text(encoding="utf-8"))
    if any([family.finish(module) for module in netlist["modules"].values()]):
        path.write_text(json.dumps(netlist), encoding="utf-8")


def place_and_route(netlist: Path, folder: Path, target: Target, *, seed: int, freq_mhz: float, placer: str | None = None,
                    pins: Path | None = None, written: str | None = None,
                    told: Callable[[str], None] = lambda line: None) -> Routed:
    """Place and route a netlist, and make the bitstream.

    Args:
        netlist: folder of :func:`synthesize`.
        folder: gets netlist, logs, report, configuration and bitstream.
        target: the FPGA.
        seed: of the placer.
        freq_mhz: what placer and router aim at.
        placer: one of those of nextpnr for this family; None for its usual one.
        pins: file with the places of the wrapper's pins, of the family's kind; without it they go anywhere, or where any may
            go.
        written: name of a file in the folder that gets the routed netlist (:mod:`trajectile.scripts.fpga.routed`); not for
            Gowin, where that is what the bitstream is made of.
        told: is told each line of nextpnr's log.

    Raises:
        UserError: if nextpnr does not take the file of pins.
        ToolError: if a tool is missing, or fails for another reason than that the design does not fit.
    """
    share(netlist, folder)
    options = ["--seed", str(seed), "--freq", f"{freq_mhz:g}", "--placer", placer or target.family.placers[0],
               *target.family.anywhere, *(["--write", written] if written else [])]
    places = pins.read_bytes() if pins else target.places.encode()
    if places:
        (folder / "pins").write_bytes(places)
    try:
        return implement(folder, target, options, pins="pins" if places else None, told=told)
    except NextpnrFailed as error:
        if pins and nextpnr.errors(error.log) and not nextpnr.read_used(error.log):  # pins are placed first
            raise UserError(f"--pins = {pins} is not legal ({nextpnr.errors(error.log)[0]}); legal values: a file "
                            f"({target.family.pins}) that places {', '.join(PINS)}") from None
        raise


class NextpnrFailed(ToolError):
    """nextpnr failed for another reason than that the design does not fit."""

    def __init__(self, message: str, log: str):
        super().__init__(message)
        self.log = log


def implement(folder: Path, target: Target, options: Sequence[str], *, name: str = "fpga", pins: str | None = None,
              pack: Sequence[str] = (), told: Callable[[str], None] = lambda line: None) -> Routed:
    """Place and route ``netlist.json`` of a folder, and make the bitstream; logs, report and results stay beside it.

    Args:
        folder: has the netlist, and what the options name.
        target: the FPGA.
        options: more of nextpnr.
        name: of the results, without an end.
        pins: name of the file of pins, if there is one.
        pack: options of what makes the bitstream.
        told: is told each line of nextpnr's log.

    Raises:
        NextpnrFailed: for another reason than that the design does not fit.
        ToolError: if a tool is missing, or if the bitstream cannot be made.
    """
    family = target.family
    nextpnr.check(family)
    bitstream = folder / f"{name}.{family.bitstream}"
    for old in (folder / "report.json", bitstream):
        old.unlink(missing_ok=True)
    code, log = nextpnr.run(
        family.nextpnr, [*family.arguments(target.device.part, target.package, target.speed, name, pins),
                         "--json", "netlist.json", "--report", "report.json", "--router", "router2", "--timing-allow-fail",
                         *options],
        folder, "nextpnr.log", told=told)
    if code:
        why = nextpnr.does_not_fit(log)
        if why is None:
            raise NextpnrFailed(f"nextpnr failed (log in {folder}):\n" + "\n".join(log.splitlines()[-15:]), log)
        return Routed(Report(nextpnr.read_used(log), None), why, None)
    report = nextpnr.read_report((folder / "report.json").read_text(encoding="utf-8"))
    code, log = nextpnr.run(*family.packs(target.device.part, name, pack), folder, "bitstream.log")
    if code:
        raise ToolError(f"no bitstream (log in {folder}):\n" + "\n".join(log.splitlines()[-15:]))
    return Routed(report, None, bitstream)


def cells(netlist: Path) -> dict[str, str]:
    """Kind of each cell of a netlist by its name, whose parts are joined with dots: ``tile.compute_unit.mac_array...``."""
    found = json.loads((netlist / "netlist.json").read_text(encoding="utf-8"))["modules"][NAME]["cells"]
    return {name: str(cell["type"]) for name, cell in found.items()}
