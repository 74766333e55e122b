"""What bit errors cost: goodput of a link, and cycles of a batch, at some bit error rates, measured on the RTL."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from trajectile.hw.params import Params
from trajectile.scripts.flow.simulation import simulate
from trajectile.scripts.flow.workload import load
from trajectile.scripts.folders import private
from trajectile.sw_model.config import Config
from trajectile.sw_model.timeline.goodput import goodput
from trajectile.tb import link_bench
from trajectile.tb.faults import LinkFaults
from trajectile.tb.job import Run


def measure(config: Config, bers: Sequence[float], *, cycles: int, seeds: Sequence[int], folder: Path,
            say: Callable[[str], object] = str) -> list[dict[str, Any]]:
    """A row for each rate: what two link layers carried, with the prediction beside it.

    Raises:
        SimulationError: if Verilator is missing or fails.
    """
    say("generating and building the link bench")
    built = link_bench.build(config)
    bits, rows = Params(config).frame_bits, []
    for number, ber in enumerate(bers, 1):
        say(f"running rate {number} of {len(bers)}")
        with private(folder, keep_failed=True) as work:
            runs = [link_bench.measure(built, work, LinkFaults(ber=ber), cycles=cycles, seed=seed) for seed in seeds]
        least, most = goodput(config, ber, bits)
        rows.append({
            "ber": ber,
            "frames": sum(2 * run.cycles for run in runs),
            "frames_spoilt": sum(link.hurt for run in runs for link in run.injected),
            "crc_errors": sum(run.bad for run in runs), "replays": sum(run.replays for run in runs),
            "goodput": fmean(run.goodput for run in runs), "goodput_least": least, "goodput_most": most,
            "undetected": sum(run.undetected for run in runs),
            "down": sum(run.down for run in runs), "hung": sum(not run.ended for run in runs),
        })
    return rows


def batches(config: Config, bers: Sequence[float], *, tokens: int | None, seeds: Sequence[int], folder: Path,
            say: Callable[[str], object] = str) -> list[dict[str, Any]]:
    """For each rate what becomes of a batch: its cycles (mean of the seeds) and whether all results were exact.

    Raises:
        SimulationError: if the simulation fails.
        UserError: if the batch does not fit.
    """
    runs = [Run(seed, faults=(LinkFaults(ber=ber),)) for ber in bers for seed in seeds]
    say(f"building the array and running {len(runs)} batches")
    done = simulate(config, load(config, tokens=tokens), folder=folder, runs=runs)
    rows = []
    for number in range(len(bers)):
        mine = done.outcomes[number * len(seeds):(number + 1) * len(seeds)]
        rows.append({"batch_cycles": fmean(outcome.cycles for outcome in mine),
                     "batch_exact": all(bool(outcome.results) for outcome in mine),
                     "batch_failed": sum(bool(outcome.failed) for outcome in mine)})
    return rows
