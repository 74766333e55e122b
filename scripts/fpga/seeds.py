"""One design placed and routed several times: placement begins at random, and how fast a clock comes of it is luck too."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trajectile.scripts.fpga import flow, nextpnr
from trajectile.scripts.fpga.flow import Routed


@dataclass(frozen=True)
class Tried:
    """What came of the seeds."""

    #: the fastest; of equals, and if none is routed, the first
    seed: int
    routed: Routed
    #: what each reached, in MHz; None if it was not routed, or has no path from register to register
    fmax_mhz: Mapping[int, float | None]


def place_and_route(netlist: Path, folder: Path, seeds: Sequence[int], told: Callable[[str], None] = lambda line: None,
                    **options: Any) -> Tried:
    """Place and route a netlist with each seed, as many at a time as there are processors.

    Args:
        netlist: folder of :func:`~trajectile.scripts.fpga.flow.synthesize`.
        folder: gets what the fastest has made; the others' logs and reports are in ``seed-N`` there, if there are several.
        seeds: to try.
        told: is told what is being done, when that changes.
        options: of :func:`~trajectile.scripts.fpga.flow.place_and_route`.

    Raises:
        UserError, ToolError: as that.
    """
    at = dict.fromkeys(seeds, "waiting")

    def tells(seed: int) -> Callable[[str], None]:
        def tell(line: str) -> None:
            now = nextpnr.phase(line)
            if now and now != at[seed]:
                at[seed] = now
                told(now if len(seeds) == 1 else ", ".join(f"seed {number}: {what}" for number, what in at.items()))
        return tell

    def run(seed: int) -> Routed:
        place = folder if len(seeds) == 1 else folder / f"seed-{seed}"
        place.mkdir(exist_ok=True)
        done = flow.place_and_route(netlist, place, **options, seed=seed, told=tells(seed))
        at[seed] = "done"
        return done

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(seeds, pool.map(run, seeds), strict=True))
    speeds = {seed: done.report.fmax_mhz if done.why_not is None else None for seed, done in found.items()}
    best = max(seeds, key=lambda seed: (found[seed].why_not is None, speeds[seed] or 0))
    return Tried(best, found[best] if len(seeds) == 1 else _keep(folder, best, found), speeds)


def _keep(folder: Path, best: int, found: Mapping[int, Routed]) -> Routed:
    """Have the files of one seed in the folder itself, and of the others what says how they came out."""
    for seed in found:
        place = folder / f"seed-{seed}"
        for path in sorted(place.iterdir()):
            if seed == best:
                path.replace(folder / path.name)
            elif path.suffix != ".log" and path.name != "report.json":
                path.unlink()
        if seed == best:
            place.rmdir()
    bitstream = found[best].bitstream
    return replace(found[best], bitstream=folder / bitstream.name if bitstream else None)
