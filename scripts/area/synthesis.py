"""What a tile of a configuration takes: area, on request speed and the energy of a batch."""

from functools import partial
from pathlib import Path
from typing import Any

from trajectile.hw.design import Design, design
from trajectile.hw.lib.yosys import YosysError, YosysMissing
from trajectile.scripts.area import opensta, power, speed, tile_report
from trajectile.scripts.area import technology as technologies
from trajectile.scripts.area.outside import Outside
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import ToolError, UserError
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.counters import Counters


def synthesize(config: Config, folder: Path, technology: Technology | None = None, *, registers: int | None = None,
               clock_mhz: float | None = None, counters: Counters | None = None, outside: Outside | None = None,
               made: Design | None = None, sta: bool = False) -> dict[str, Any]:
    """What one tile of a configuration takes: :func:`trajectile.scripts.area.tile_report.area_of`, and on request speed
    and power.

    Args:
        config: the accelerator.
        folder: where scripts and logs go.
        technology: cells and SRAM macros; IHP SG13G2 by default.
        registers: memories of at most so many bits become flip-flops; None: those that are smaller so.
        clock_mhz: map once more for this clock, and estimate the speed.
        counters: what a batch did; with ``clock_mhz`` also estimate its energy.
        outside: energies outside of the tiles.
        made: the generated design, where somebody has it.
        sta: with ``clock_mhz`` also let OpenSTA check the tile under its constraints, at this clock.

    Raises:
        UserError: if Yosys cannot use the libraries of the user, or they have no delays or energies.
        ToolError: if Yosys fails with the project's own, or is not installed; or OpenSTA, where it is wanted.
    """
    technology = technology or technologies.load()
    technologies.check(technology)
    if sta:
        opensta.require()
    if clock_mhz and technology.loads is None:
        raise UserError("a speed or power estimate needs delays and energies; legal: --technology sg13g2 or asap7, with "
                        "--liberty for the full libraries of its cells")
    made, period = made or design(config), clock_mhz and 1e6 / clock_mhz
    try:
        values, mapped, choices = tile_report.area_of(config, made, folder, technology, registers=registers, period_ps=period)
    except YosysError as error:
        raise failed(error, technology, folder) from error
    if period:
        check = partial(opensta.check, made, technology, folder / "sta", period) if sta else None
        values["speed"] = speed.speed_of(made, mapped, technology, choices, period, check)
    if clock_mhz and counters:
        values["power"] = power.power_of(config, made, mapped, technology, choices, counters, clock_mhz,
                                         outside or Outside())
    return values


def failed(error: YosysError, technology: Technology, folder: Path) -> UserError:
    """What to say when Yosys fails: a user's libraries are to blame before the project's are."""
    if technology.own or isinstance(error, YosysMissing):
        return ToolError(str(error))
    said = [line for line in str(error).splitlines() if "ERROR" in line or "error" in line]
    return UserError(f"--liberty = {', '.join(technology.sources)} is not legal; legal values: cells that a design can be "
                     f"mapped to (Yosys: {said[-1].strip() if said else 'failed'}; log in {folder})")
