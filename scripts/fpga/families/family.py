"""What differs from family to family between Verilog and bitstream."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

#: a tool as what Python is to run: ``-m module`` or ``-c text``, and first arguments
Program = tuple[str, ...]
#: a process of its own each: an error inside of a wheel's tool ends the process
_RUN = "import importlib, sys\nsys.exit(getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(sys.argv[3:]))\n"


@dataclass
class Use:
    """What something takes of the FPGA."""

    #: look-up tables, those that are carry chains and small memories among them
    lut: int = 0
    ff: int = 0
    #: block RAMs of 18 kbit
    bram: int = 0
    #: multipliers of 18 x 18, in a GW5A of 12 x 12; one of 9 x 9 counts for half of one
    dsp: float = 0

    def __add__(self, other: "Use") -> "Use":
        return Use(self.lut + other.lut, self.ff + other.ff, self.bram + other.bram, self.dsp + other.dsp)

    def __sub__(self, other: "Use") -> "Use":
        return Use(self.lut - other.lut, self.ff - other.ff, self.bram - other.bram, self.dsp - other.dsp)

    @property
    def numbers(self) -> dict[str, float]:
        """All of it by name; whole numbers as such."""
        return {name: int(value) if value == int(value) else value for name, value in asdict(self).items()}


def from_wheel(module: str, function: str) -> Program:
    """A tool of a wheel of YoWASP."""
    return "-c", _RUN, module, function


class Family(ABC):
    """Synthesis, place and route, bitstream of a family."""

    #: vendor and family
    name: str
    #: the wheel with nextpnr
    wheel: str
    #: function in it that runs nextpnr
    runs: str
    #: Yosys' commands from blocks to cells; ``{flatten}`` is ``-noflatten `` or nothing, ``{top}`` the top module
    synthesis: str
    #: SRAM of up to so many words becomes small memories, whatever its width: block RAMs would be nearly empty, their pins
    #: crowd the wires around them, and they answer late
    shallow: int
    #: files that these commands read, by name
    files: Mapping[str, Path] = {}
    #: file with what :meth:`finish` does, if it does anything: a netlist is kept by it too
    finisher: Path | None = None
    #: LUT sites and the like that a cell of the netlist takes, as far as it takes any
    cells: Mapping[str, Use]
    #: kinds of cells, as a regular expression: they follow a signal's name in a cell's name
    kinds: str
    #: kinds of sites in nextpnr's report, with what one of them counts for; the first is what there is of them all
    sites: Mapping[str, Mapping[str, float]]
    #: nextpnr's placers for it, the usual one first
    placers: tuple[str, ...]
    #: kind of the file that places pins
    pins: str
    #: options of nextpnr that let pins go anywhere that no file places
    anywhere: tuple[str, ...] = ()
    #: end of the bitstream's name
    bitstream: str

    @property
    def module(self) -> str:
        """Python's name of the wheel."""
        return self.wheel.replace("-", "_")

    @property
    def nextpnr(self) -> Program:
        """The program nextpnr for this family."""
        return from_wheel(self.module, self.runs)

    def finish(self, module: dict[str, Any]) -> bool:
        """Change a module of the netlist that Yosys has written as JSON; whether anything is another than before."""
        return False

    def use_of(self, kind: str) -> Use:
        """What a cell of the netlist takes."""
        return self.cells.get(kind, Use())

    def counted(self, used: Mapping[str, tuple[int, int]]) -> tuple[Use, Use]:
        """What is used and what is there, by nextpnr's table of sites."""
        def of(kind: str, which: int) -> int:
            return used.get(kind, (0, 0))[which]
        taken: dict[str, Any] = {name: sum(of(kind, 0) * share for kind, share in kinds.items())
                                 for name, kinds in self.sites.items()}
        return Use(**taken), Use(**{name: of(next(iter(kinds)), 1) for name, kinds in self.sites.items()})

    @abstractmethod
    def arguments(self, part: str, package: str, speed: int, name: str, pins: str | None) -> Sequence[str]:
        """Options of nextpnr: device, file of pins, and where the result goes.

        Args:
            part: what nextpnr calls the device.
            package: its package.
            speed: its speed grade.
            name: of the results, without an end.
            pins: name of the file of pins, if there is one.
        """

    @abstractmethod
    def packs(self, part: str, name: str, options: Sequence[str]) -> tuple[Program, Sequence[str]]:
        """The tool that makes the bitstream of nextpnr's result, and its arguments; it has more options in front."""

    def places(self, where: Mapping[str, str]) -> str:
        """A file of pins that puts ports where they are to be; empty where pins go anywhere without one."""
        return ""
