"""The tour (docs/tour.md) and its pictures, from the simulator: ``python -m trajectile.scripts.maintain.tour`` writes
them again.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from trajectile.scripts.flow import workload
from trajectile.scripts.maintain.tour import pictures as tour_pictures
from trajectile.sw_model import config as configuration
from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import edge_path, ring, ring_next
from trajectile.sw_model.schedule.scheduler import Schedule, roofline, schedule
from trajectile.sw_model.timeline.completions import told
from trajectile.sw_model.timeline.compute import compute_cycles
from trajectile.sw_model.timeline.model import Timeline, simulate
from trajectile.sw_model.timeline.phases import phases
from trajectile.sw_model.timeline.stalls import DDR_REASONS, MAC_REASONS, ddr_account, mac_account, totals
from trajectile.sw_model.timeline.visits import Visit, journeys, visits

PRESET = "tour"
DOCS = Path(__file__).resolve().parents[3] / "docs"
TEMPLATE = Path(__file__).parent / "tour.md"


def batch() -> tuple[Schedule, Timeline]:
    """The batch of the tour: what ``trajectile simulate tour`` runs."""
    config = configuration.load(PRESET)
    plan = schedule(config, workload.load(config, gate_only=True).topk_ids)
    return plan, simulate(plan)


def _tells(config: Config, way: Sequence[Visit]) -> bool:
    """Whether a slice shows all five rules: it leaves its first tile before it is computed there, a rule 4 hop passes a tile
    cut-through, and the last tile computes it.
    """
    first, *others = way
    return (first.compute is not None and first.send is not None and first.send < first.compute
            and way[-1].compute is not None and any(visit.escape and visit.compute is not None for visit in others)
            and any(visit.compute is None and visit.cut for visit in others)
            and first.filled == first.begin + latencies.ADDRESS_CYCLES + config.ddr.latency_cycles
            + config.slice_beats - 1 + latencies.LOADED_CYCLES)


def _tokens(plan: Schedule) -> list[dict[str, Any]]:
    """Tokens of each tile, their experts, and the tile's way to the ring-next."""
    array = plan.config.array
    found = []
    for tile in range(array.tiles):
        tokens = [token for token in range(plan.tokens) if plan.placement[token, 0] == tile]
        found.append({"tokens": tokens, "experts": [plan.topk_ids[token].tolist() for token in tokens],
                      "next": ring_next(array, tile), "path": edge_path(array, tile)})
    return found


def _lists(plan: Schedule, tile: int) -> list[dict[str, Any]]:
    """Token lists of a tile that hold something: of each expert and lane its tokens, first the one that is met first."""
    mine = plan.tiles[tile]
    found = []
    for expert in np.flatnonzero(mine.passes).tolist():
        rows = mine.list_tokens[mine.first[expert]:mine.first[expert] + mine.passes[expert]]
        found.append({"expert": expert, "lanes": [[token for token in lane if token >= 0] for lane in rows.T.tolist()]})
    return found


def _scores(plan: Schedule) -> list[list[int]]:
    """How far each expert would take the tiles from their mean pace, in the first two picks of ``balanced``."""
    passes, active = np.asarray(plan.passes), len(plan.expert_order)
    pace = np.zeros((len(passes), 1), dtype=np.int64)
    found = []
    for picked in plan.expert_order[:2]:
        away = pace + active * passes - passes.sum(axis=1, keepdims=True)
        found.append(np.abs(away).sum(axis=0).tolist())
        pace = away[:, [picked]]
    return found


def story(plan: Schedule, line: Timeline) -> dict[str, Any]:
    """What the template needs.

    Raises:
        ValueError: if no slice of the batch shows all five rules: another batch is needed.
    """
    config = plan.config
    stays = visits(line.events)
    ways = journeys(stays)
    way = next((way for way in ways.values() if _tells(config, way)), None)
    if way is None:
        raise ValueError("no slice shows all five rules; change configs/tour.toml")
    first = way[0]
    times = line.batches[0][first.tile]
    between = [visit for visit in stays if visit.tile == first.tile and visit is not first and visit.compute is not None
               and (first.filled or 0) < (visit.computed or 0) and visit.compute < (first.compute or 0)]
    between.sort(key=lambda visit: visit.compute or 0)
    mac = [totals(spans, list(MAC_REASONS)) for spans in mac_account(config, line.events, line.cycles)]
    ddr = [totals(spans, list(DDR_REASONS)) for spans in ddr_account(config, line.events, line.cycles).values()]
    passes = {visit.tile: int(plan.tiles[visit.tile].passes[visit.expert]) for visit in way}
    return {
        "config": config, "plan": plan, "cycles": line.cycles, "streaming": line.streaming_cycles, "times": times,
        "picked": next(event for event in line.events if event.kind == "pick" and event.tile == first.tile),
        "lists": _lists(plan, first.tile), "scores": _scores(plan),
        "record": told(line, 0, first.tile), "formed": max(one.formed or 0 for one in line.batches[0]),
        "roof": roofline(plan), "events": line.events, "stays": stays,
        "tiles": _tokens(plan), "ring": ring(config.array), "way": way, "first": first, "between": between,
        "chosen": [token for token in range(plan.tokens) if first.expert in plan.topk_ids[token]],
        "one_pass": compute_cycles(config, 1) + 1, "setup": latencies.compute_setup_cycles(config),
        "drain": latencies.swiglu_drain_cycles(config) - 1,
        "control": latencies.control_cycles(config, 1), "header": latencies.header_cycles(config, 1),
        "passes": passes, "slices": len(ways), "hops": sum(visit.from_link for visit in stays),
        "escapes": sum(visit.escape for visit in stays), "cuts": sum(visit.cut for visit in stays),
        "mac": {reason: sum(tile[reason] for tile in mac) for reason in MAC_REASONS}, "mac_text": MAC_REASONS,
        "ddr": ddr, "ddr_text": DDR_REASONS, "tile_cycles": config.array.tiles * line.cycles,
    }


def files() -> dict[str, str]:
    """Texts of the page and its pictures, by their names in ``docs/``."""
    found = story(*batch())
    config, way = found["config"], found["way"]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                                     keep_trailing_newline=True)
    return {
        "tour.md": environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(found).replace(" \n", "\n"),
        "tour_path.svg": tour_pictures.path_picture(phases(config.array.tiles, found["events"]), config.array.tiles,
                                                    found["cycles"]),
        "tour_array.svg": tour_pictures.array_picture(config, found["tiles"], way),
        "tour_slice.svg": tour_pictures.slice_picture(way, found["cycles"]),
        "tour_batch.svg": tour_pictures.batch_picture(config, found["events"], found["stays"], found["cycles"], way[0].name),
    }


def main() -> int:
    """Write the files."""
    for name, text in files().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
