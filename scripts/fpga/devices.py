"""The FPGAs that a design can be built for: Lattice ECP5, with their packages and speed grades."""

from dataclasses import dataclass

from trajectile.scripts.errors import UserError

_SMALL = ("CSFBGA285", "CABGA256", "CABGA381", "TQFP144")


@dataclass(frozen=True)
class Device:
    """An FPGA."""

    #: as --device has it
    name: str
    #: the option of nextpnr
    option: str
    packages: tuple[str, ...]
    #: speed grades, the slowest first
    speeds: tuple[int, ...] = (6, 7, 8)


_UM = ("CSFBGA285", "CABGA381")
#: those with SERDES (um, um5g) have the same logic; um5g exists in one speed grade, 8
DEVICES = {device.name: device for device in (
    Device("lfe5u-12f", "--12k", _SMALL), Device("lfe5u-25f", "--25k", _SMALL),
    Device("lfe5u-45f", "--45k", (*_SMALL, "CABGA554")),
    Device("lfe5u-85f", "--85k", ("CSFBGA285", "CABGA381", "CABGA554", "CABGA756")),
    Device("lfe5um-25f", "--um-25k", _UM), Device("lfe5um-45f", "--um-45k", (*_UM, "CABGA554")),
    Device("lfe5um-85f", "--um-85k", (*_UM, "CABGA554", "CABGA756")),
    Device("lfe5um5g-25f", "--um5g-25k", _UM, (8,)), Device("lfe5um5g-45f", "--um5g-45k", (*_UM, "CABGA554"), (8,)),
    Device("lfe5um5g-85f", "--um5g-85k", (*_UM, "CABGA554", "CABGA756"), (8,)),
)}
DEFAULT = "lfe5u-85f"
PACKAGE = "CABGA381"


@dataclass(frozen=True)
class Target:
    """A device in a package and a speed grade."""

    device: Device
    package: str
    speed: int

    def __str__(self) -> str:
        return f"{self.device.name.upper()}-{self.speed} in {self.package}"


def target(name: str, package: str | None = None, speed: int | None = None) -> Target:
    """What the options name; without a package CABGA381, without a speed grade the slowest one.

    Raises:
        UserError: for a device, package or speed grade that does not exist.
    """
    device = DEVICES.get(name.lower())
    if device is None:
        raise UserError(f"--device = {name} is not legal; legal values: {', '.join(DEVICES)}")
    package = (package or PACKAGE).upper()
    if package not in device.packages:
        raise UserError(f"--package = {package} is not legal for {device.name}; legal values: {', '.join(device.packages)}")
    speed = device.speeds[0] if speed is None else speed
    if speed not in device.speeds:
        raise UserError(f"--speed = {speed} is not legal for {device.name}; legal values: "
                        f"{', '.join(map(str, device.speeds))}")
    return Target(device, package, speed)
