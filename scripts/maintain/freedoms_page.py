"""What loading a slice into any tile and groups of tiles per expert would be worth: a table of docs/paper.md.

``python -m trajectile.scripts.maintain.freedoms_page FOLDER``: the folder has the gate traces as for ``cycles_page``.
Timeline model and EP's model only; minutes.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.flow.comparison import window_offsets
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.cycles_page import FLAME, QWEN
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model import baselines
from trajectile.sw_model.config import Config, load
from trajectile.sw_model.freedoms import in_groups, loaded_anywhere
from trajectile.sw_model.gates import traces
from trajectile.sw_model.gates.workloads import Trace
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate

PAGE, PART = "paper.md", "freedoms"
ORDER, WINDOWS = "balanced", 2
#: trace, its layer, preset, overrides, batch sizes
CASES = ((FLAME, 5, "deepseek-moe-16b", (), (16, 64, 256)),
         (FLAME, 5, "deepseek-moe-16b", ("tile.slots=3",), (16, 64, 256)),
         (FLAME, 5, "deepseek-moe-16b", ("link.beat_bytes=90", "ddr.bytes_per_cycle=64"), (16, 64, 256)),
         (QWEN, 12, "qwen1.5-moe-a2.7b", (), (16, 64, 256)))
#: what is measured, beside the array as it is
NAMES = ("any tile, DDR even", "any tile, short ways", "groups of 2", "EP", "tokens travel")


def measured(config: Config, trace: Trace, layer: int, tokens: int) -> dict[str, tuple[float, float]]:
    """Cycles and flits of each, over those of the array as it is; means over windows."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    for offset in window_offsets(trace, tokens, WINDOWS):
        ids = trace.window(layer, offset, tokens).topk_ids
        plan = schedule(config, ids, ORDER)
        ours = simulate(plan, record=False)
        ep = baselines.simulate_ep(config, ids, baselines.index_homes(config))
        groups = [simulate(part, record=False) for part in in_groups(config, ids, 2, ORDER)]
        even, short = (simulate(loaded_anywhere(plan, lead), record=False) for lead in (4, config.tile.slices))
        travel = simulate(schedule(config, ids, ORDER, dataflow="shared"), record=False)
        for name, cycles, flits in (
                ("any tile, DDR even", even.cycles, sum(even.flits)),
                ("any tile, short ways", short.cycles, sum(short.flits)),
                ("groups of 2", max(one.cycles for one in groups), sum(sum(one.flits) for one in groups)),
                ("EP", ep.cycles, ep.flits), ("tokens travel", travel.cycles, sum(travel.flits))):
            found[name].append((cycles / ours.cycles, flits / sum(ours.flits)))
    return {name: (fmean(one[0] for one in values), fmean(one[1] for one in values)) for name, values in found.items()}


def rows(folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each case and batch size."""
    for file, layer, preset, overrides, sizes in CASES:
        config = load(preset, list(overrides))
        trace = traces.load_trace(folder / file, config.layer.experts, layer=layer)
        for tokens in sizes:
            found = measured(config, trace, layer, tokens)
            yield (preset, ", ".join(f"`{one}`" for one in overrides), f"{tokens:,}",
                   *(f"{cycles:.3f}, {flits:.0%}" for cycles, flits in (found[name] for name in NAMES)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(prog="python -m trajectile.scripts.maintain.freedoms_page", description=__doc__)
    parser.add_argument("traces", metavar="FOLDER", type=Path, help="with the gate traces")
    folder = parser.parse_args(arguments).traces
    pages.write_part(PAGE, PART, "\n".join(table_rows(("layer", "", "tokens", *NAMES), rows(folder))))
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
