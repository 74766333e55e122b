"""Everything a report shows, as values: computed from a batch's events, its schedule and the JSON of the other commands."""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from trajectile.scripts.errors import UserError
from trajectile.scripts.report.player import played
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import edge_path, ring_next
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.activity import RESOURCES, busy_between, busy_spans
from trajectile.sw_model.timeline.model import Event
from trajectile.sw_model.timeline.phases import PHASES, Phase, phases
from trajectile.sw_model.timeline.stalls import DDR_REASONS, MAC_REASONS, ddr_account, mac_account, over_time, totals
from trajectile.sw_model.timeline.visits import Visit, journeys, visits

#: parts of a batch in the charts over time
PARTS = 96
#: kinds of trajectories shown; the others are counted
TRAJECTORIES = 8
#: steps of a batch in a tile, in their order: kind of event, what it is
STEPS = {"doorbell": "doorbell", "lists": "all choices in their lists", "formed": "everybody's counts here",
         "load": "first load", "rows": "all activations here", "finished": "nothing left but results",
         "summed": "sums of all tiles added up", "written": "last beat of results", "complete": "completion record answered"}


def _over_time(config: Config, events: Sequence[Event], plan: Schedule, edges: Sequence[int]) -> dict[str, list[float]]:
    """Busy share of DDR channels, MAC arrays and ring links in each part, over all of them."""
    widths = np.diff(edges)
    shares = {name: np.zeros(len(widths)) for name in RESOURCES}
    stays = visits(events)
    for tile in range(config.array.tiles):
        spans = busy_spans(config, events, tile)
        mine = sorted((visit.compute, visit.expert) for visit in stays if visit.tile == tile and visit.compute is not None)
        # a slice's words, spread over its time in the MAC array: between passes that may wait for SwiGLU
        words = [float(config.parameter_words + plan.tiles[tile].passes[expert] * config.pass_words) for _, expert in mine]
        for name in RESOURCES:
            amounts = words if name == "MAC" else None
            users = config.array.channels if name == "DDR" else config.array.tiles
            shares[name] += busy_between(sorted(spans[name]), edges, amounts) / (widths * users)
    return {name: values.tolist() for name, values in shares.items()}


def _tiles(config: Config, stays: Sequence[Visit], plan: Schedule) -> list[dict[str, Any]]:
    """What happened at each tile, by counting its visits."""
    found = []
    for tile in range(config.array.tiles):
        mine = [visit for visit in stays if visit.tile == tile]
        found.append({
            "tokens": int((plan.placement[:, 0] == tile).sum()),
            "loaded": sum(not visit.from_link for visit in mine),
            "arrived": sum(visit.from_link for visit in mine),
            "computed": sum(visit.compute is not None for visit in mine),
            "sent": sum(visit.send is not None for visit in mine),
            "escapes": sum(visit.escape for visit in mine),
            "cut_through": sum(visit.cut for visit in mine),
            "next": ring_next(config.array, tile), "path": list(edge_path(config.array, tile)),
        })
    return found


def _steps(config: Config, events: Sequence[Event]) -> list[dict[str, int | None]]:
    """Cycle of each step in each tile; None where it did not occur."""
    found: list[dict[str, int | None]] = [dict.fromkeys(STEPS) for _ in range(config.array.tiles)]
    for event in events:
        if event.kind in STEPS and found[event.tile][event.kind] is None:
            found[event.tile][event.kind] = event.cycle
    return found


def _phase_spans(steps: Sequence[Phase], cycles: int) -> dict[str, tuple[int, int]]:
    """Cycles of the pictures of phases: all, until slices travel everywhere, from the first tile that has finished on."""
    slices = [one for one in steps if one.name == "slices"]
    if not slices:
        return {"all": (0, cycles)}
    begun, over = max(one.begin for one in slices), min(one.end for one in slices)
    return {"all": (0, cycles), "the beginning": (0, min(begun + max(begun // 8, 8), cycles)),
            "the end": (max(over - max((cycles - over) // 8, 8), 0), cycles)}


def _trajectories(stays: Sequence[Visit]) -> list[dict[str, Any]]:
    """Kinds of trajectories, the most frequent first: tiles in order, which of them are stops, how many slices."""
    kinds = Counter(tuple((visit.tile, visit.compute is not None) for visit in way) for way in journeys(stays).values())
    return [{"slices": count, "tiles": [tile for tile, _ in way], "stops": [tile for tile, stop in way if stop]}
            for way, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))]


def area_facts(config: Config, area: Mapping[str, Any] | None, cycles: int) -> dict[str, Any]:
    """Area by block and, if it was estimated for a batch of so many cycles, energy; from the JSON of ``synthesize``.

    Raises:
        UserError: if that is of another configuration.
    """
    if area is None:
        return {"area": None, "energy": None}
    try:
        theirs, ours = ({key: values[key] for key in ("layer", "array", "tile", "link", "ddr", "io")}
                        for values in (_plain(area["config"]), _plain(config.as_dict)))
        blocks = [{"name": name, "cell_area": group["cell_area"], "sram_area": group["sram_area"],
                   "sram_bits": group["sram_bits"]} for name, group in area["groups"].items()]
        total = {key: area["totals"][key] for key in ("cell_area", "sram_area", "sram_bits")}
        technology, power = {key: area["technology"][key] for key in ("title", "unit")}, area.get("power")
    except (KeyError, TypeError) as error:
        raise UserError(f"--area: {error} is missing; legal: JSON that trajectile synthesize --json wrote") from None
    if theirs != ours:
        raise UserError("--area is of another configuration; legal: JSON of trajectile synthesize with the same CONFIG and "
                        "--set")
    energy = None
    if power and power["cycles"] == cycles:
        energy = {"total": power["energy_uj"], "token": power["uj_per_token"], "watts": power["watts"],
                  "clock_mhz": power["clock_mhz"], "unknown": power["unknown"], "assumed": power["assumed"],
                  "parts": {part: sum(row.values()) for part, row in power["parts_uj"].items()}}
    return {"area": {"blocks": blocks, "total": total, **technology}, "energy": energy}


def _plain(values: Any) -> Any:
    """As JSON gives it back: lists for tuples."""
    if isinstance(values, dict):
        return {key: _plain(value) for key, value in values.items()}
    return list(values) if isinstance(values, tuple) else values


def facts(config: Config, plan: Schedule, events: Sequence[Event], run: Mapping[str, Any],
          area: Mapping[str, Any] | None, command: str) -> dict[str, Any]:
    """What the page shows.

    Args:
        config: the accelerator.
        plan: the batch's schedule.
        events: of the RTL.
        run: the summary of the simulation (``simulate --json``).
        area: what ``synthesize --json`` writes, if there is any.
        command: that gives the page again.

    Raises:
        UserError: if ``area`` is of something else.
    """
    cycles = run["cycles_rtl"]
    edges = [int(cycle) for cycle in np.unique(np.linspace(0, cycles, min(PARTS, max(cycles, 1)) + 1).astype(int))]
    if len(edges) < 2:
        edges = [0, 1]
    mac, ddr = mac_account(config, events, cycles), ddr_account(config, events, cycles)
    words = [counters["COUNT_WORD"] for counters in run["counters"]]
    stays = visits(events)
    steps = phases(config.array.tiles, events)
    trajectories, tiles = _trajectories(stays), _tiles(config, stays, plan)
    return {
        "run": {key: _plain(value) for key, value in run.items() if key not in ("wall_seconds", "files")},
        "command": command, "version": version("trajectile"),
        "bound": max(run["roofline"], key=lambda name: float(run["roofline"][name])),
        "over_roofline": cycles / max(run["roofline_cycles"], 1),
        "edges": edges,
        "step_names": {kind: name for kind, name in STEPS.items() if kind != "summed" or plan.shared},
        "steps": _steps(config, events),
        "phase_names": {name: text for name, text in PHASES.items() if name in {one.name for one in steps}},
        "phases": [one._asdict() for one in steps], "phase_spans": _phase_spans(steps, edges[-1]),
        "utilisation": _over_time(config, events, plan, edges),
        "mac": {
            "reasons": MAC_REASONS, "cycles": [totals(spans, list(MAC_REASONS)) for spans in mac], "words": words,
            "over_time": over_time(mac, list(MAC_REASONS), edges)},
        "ddr": {
            "reasons": DDR_REASONS, "tiles": list(ddr),
            "cycles": [totals(spans, list(DDR_REASONS)) for spans in ddr.values()],
        },
        "tiles": tiles,
        "player": played(config, stays, events, tiles, cycles) | {
            "phases": [[one.tile, one.name, one.begin, one.end] for one in steps]},
        "slices": len(journeys(stays)),
        "trajectories": trajectories[:TRAJECTORIES],
        "other_trajectories": {"kinds": len(trajectories[TRAJECTORIES:]),
                               "slices": sum(kind["slices"] for kind in trajectories[TRAJECTORIES:])},
        **area_facts(config, area, cycles),
    }
