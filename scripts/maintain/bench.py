"""How fast the models are: ``make bench``. Wall-clock figures, of this machine at this moment."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from trajectile.scripts.flow import workload
from trajectile.scripts.flow.simulation import simulate
from trajectile.sw_model import config as configuration
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate as play

TOKENS = 256


def best(work: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of some runs."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return float(np.min(found))


def main() -> None:
    """Print three speeds: scheduler, timeline model, control RTL."""
    console = Console(highlight=False)
    for preset in ("paper", "qwen3-30b-a3b"):
        config = configuration.load(preset)
        load = workload.load(config, tokens=TOKENS, gate_only=True)
        plan = schedule(config, load.topk_ids)
        scheduler, timeline = best(partial(schedule, config, load.topk_ids)), best(partial(play, plan, record=False))
        console.print(f"{preset}, {TOKENS} tokens: scheduler {scheduler:.3f} s, timeline model {timeline:.3f} s")
        done = simulate(config, load, folder=Path("build/run/bench"), simulator="native", timing_only=True)
        seconds = done.wall_seconds
        console.print(f"  control RTL: {done.first.cycles:,} cycles, {done.first.events.message}; built in "
                      f"{seconds['build']:.1f} s, {done.first.cycles / seconds['run']:,.0f} cycles per second, "
                      "comparison included")


if __name__ == "__main__":
    main()
