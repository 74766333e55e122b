"""The FPGAs that a design can be built for, with their packages and speed grades."""

from collections.abc import Mapping
from dataclasses import dataclass

from trajectile.scripts.errors import UserError
from trajectile.scripts.fpga.families.ecp5 import Ecp5
from trajectile.scripts.fpga.families.family import Family
from trajectile.scripts.fpga.families.gowin import Gowin
from trajectile.scripts.fpga.families.nexus import Nexus
from trajectile.scripts.fpga.harness import PINS

ECP5, NEXUS, GW2A, GW5A = Ecp5(), Nexus(), Gowin("gw2a"), Gowin("gw5a")
#: one for each wheel
FAMILIES = (ECP5, NEXUS, GW5A)


@dataclass(frozen=True)
class Device:
    """An FPGA."""

    #: as --device has it
    name: str
    family: Family
    #: as nextpnr calls it; of Gowin two names: what package and speed grade are put behind, and that of the chip
    part: str
    #: each with pins that any design may use; those of the wrapper where no file says other ones. None: any will do
    packages: Mapping[str, str | None]
    #: speed grades, the slowest first
    speeds: tuple[int, ...]
    #: what is meant where no package is said; None: the first one
    usual: str | None = None


def _ecp5(name: str, option: str, packages: str, speeds: tuple[int, ...] = (6, 7, 8)) -> Device:
    return Device(name, ECP5, option, dict.fromkeys(packages.split()), speeds, "CABGA381")


def _nexus(name: str, packages: Mapping[str, str]) -> Device:
    return Device(name, NEXUS, name.upper(), packages, (7, 8, 9))


_SMALL, _UM = "CSFBGA285 CABGA256 CABGA381 TQFP144", "CSFBGA285 CABGA381"
#: those with SERDES (um, um5g) have the same logic; um5g exists in one speed grade, 8
DEVICES = {device.name: device for device in (
    _ecp5("lfe5u-12f", "--12k", _SMALL), _ecp5("lfe5u-25f", "--25k", _SMALL),
    _ecp5("lfe5u-45f", "--45k", f"{_SMALL} CABGA554"),
    _ecp5("lfe5u-85f", "--85k", "CSFBGA285 CABGA381 CABGA554 CABGA756"),
    _ecp5("lfe5um-25f", "--um-25k", _UM), _ecp5("lfe5um-45f", "--um-45k", f"{_UM} CABGA554"),
    _ecp5("lfe5um-85f", "--um-85k", f"{_UM} CABGA554 CABGA756"),
    _ecp5("lfe5um5g-25f", "--um5g-25k", _UM, (8,)), _ecp5("lfe5um5g-45f", "--um5g-45k", f"{_UM} CABGA554", (8,)),
    _ecp5("lfe5um5g-85f", "--um5g-85k", f"{_UM} CABGA554 CABGA756", (8,)),
    _nexus("lifcl-40", {"BG400": "D3 D4 D5 D6", "BG256": "C12 C13 D4 D5", "MG289": "C13 D4 D5 D6", "MG121": "A2 A3 B1 B2",
                        "SG72": "41 42 43 44"}),
    _nexus("lifcl-17", {"BG256": "C12 C13 D11 D12", "MG121": "A2 A3 B1 B2", "UWG72": "A3 A4 A5 B1", "SG72": "41 42 43 44"}),
    _nexus("lfd2nx-40", {"BG256": "A2 A3 A4 A5", "BG196": "A2 A3 A4 A5", "MG121": "A2 A3 B1 B2"}),
    Device("gw2a-18", GW2A, "GW2A-LV18:GW2A-18", {"PG256": "C2 C4 C5 C6", "PG484": "C2 C3 C4 C5", "QN88": "10 11 13 15"},
           (7, 8, 9)),
    Device("gw2ar-18", GW2A, "GW2AR-LV18:GW2A-18C", {"QN88": "10 11 13 15", "EQ144": "10 11 12 13"}, (7, 8, 9)),
    Device("gw5a-25", GW5A, "GW5A-LV25:GW5A-25A", {"MG121N": "C2 C3 C10 C11", "UG324": "C2 C4 C5 C6"}, (1, 2)),
    Device("gw5ast-138", GW5A, "GW5AST-LV138:GW5AST-138C", {"PG484A": "C2 C13 D2 E2", "FPG676A": "C2 C3 C4 D3"}, (1, 2)),
)}
DEFAULT = "lfe5u-85f"


@dataclass(frozen=True)
class Target:
    """A device in a package and a speed grade."""

    device: Device
    package: str
    speed: int

    def __str__(self) -> str:
        return f"{self.device.name.upper()}-{self.speed} in {self.package}"

    @property
    def family(self) -> Family:
        """What tools are for it."""
        return self.device.family

    @property
    def places(self) -> str:
        """A file of pins for the wrapper; empty where nextpnr finds some by itself."""
        pins = self.device.packages[self.package]
        return self.family.places(dict(zip(PINS, pins.split(), strict=True))) if pins else ""


def target(name: str, package: str | None = None, speed: int | None = None) -> Target:
    """What the options name; without a package the device's usual one, without a speed grade the slowest one.

    Raises:
        UserError: for a device, package or speed grade that does not exist.
    """
    device = DEVICES.get(name.lower())
    if device is None:
        raise UserError(f"--device = {name} is not legal; legal values: {', '.join(DEVICES)}")
    package = (package or device.usual or next(iter(device.packages))).upper()
    if package not in device.packages:
        raise UserError(f"--package = {package} is not legal for {device.name}; legal values: {', '.join(device.packages)}")
    speed = device.speeds[0] if speed is None else speed
    if speed not in device.speeds:
        raise UserError(f"--speed = {speed} is not legal for {device.name}; legal values: "
                        f"{', '.join(map(str, device.speeds))}")
    return Target(device, package, speed)
