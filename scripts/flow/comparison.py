"""Strategies against each other on the same hardware: streaming, EP, Hydra; over batch sizes and windows of a trace."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from trajectile.scripts.errors import UserError
from trajectile.scripts.files import whole
from trajectile.scripts.flow.experiments import STRATEGIES, Gate, Task, config_text
from trajectile.scripts.json_file import write_json
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.workloads import Trace
from trajectile.sw_model.schedule.scheduler import ORDERS

#: batch sizes, if none are given
DEFAULT_TOKENS = (1, 2, 4, 8, 16, 64, 256, 1024)


def window_offsets(trace: Trace, tokens: int, windows: int) -> list[int]:
    """First tokens of evenly spread windows in the second half of a trace; the first half is history for Hydra.

    Raises:
        UserError: if the trace is too short.
    """
    first, last = trace.tokens // 2, trace.tokens - tokens
    if last < first:
        raise UserError(f"--tokens = {tokens} is not legal for {trace.name}; legal values: 1 to {trace.tokens - first} "
                        "(half of the trace)")
    windows = min(windows, last - first + 1)
    return sorted({first + (last - first) * number // max(windows - 1, 1) for number in range(windows)})


def tasks_of(configs: Sequence[Config], gate: Gate, *, tokens: Sequence[int] = DEFAULT_TOKENS,
             strategies: Sequence[str] = STRATEGIES, orders: Sequence[str] = ORDERS, windows: int = 4) -> list[Task]:
    """All batches of a comparison.

    Args:
        configs: the accelerators.
        gate: where gate decisions come from.
        tokens: batch sizes.
        strategies: of :data:`~trajectile.scripts.flow.experiments.STRATEGIES`.
        orders: load orders of streaming; the others have none.
        windows: of the trace, for each batch size.

    Raises:
        UserError: for a trace that does not fit, or a batch that is too large for it or for the tiles.
    """
    tasks = []
    for config in configs:
        trace = gate.read(config)
        for number in tokens:
            if not 1 <= number <= config.token_capacity:
                raise UserError(f"--tokens = {number} is not legal for {config.name}; legal values: 1 to "
                                f"{config.token_capacity}")
            for offset in window_offsets(trace, number, windows):
                for strategy in strategies:
                    mine = orders if strategy.startswith("fse") else ["-"]
                    tasks += [Task(config_text(config), gate, offset, number, strategy, order) for order in mine]
    return tasks


def means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each configuration, batch size, strategy and order: means over the windows, speedups in the same window."""
    cycles = {(r["config"], r["tokens"], r["offset"], r["strategy"]): r["cycles"] for r in rows if r["order"] == "-"}
    groups = defaultdict(list)
    for row in rows:
        groups[row["config"], row["tokens"], row["strategy"], row["order"]].append(row)
    table = []
    for (config, tokens, strategy, order), members in groups.items():
        entry = {"config": config, "tokens": tokens, "strategy": strategy, "order": order, "select": members[0]["select"],
                 "windows": len(members)}
        for key in ("active_experts", "cycles", "first_load_cycles", "streaming_cycles", "roofline", "over_roofline",
                    "use_ddr", "use_mac", "use_d2d"):
            entry[key] = fmean(row[key] for row in members)
        entry["worst_over_roofline"] = max(row["over_roofline"] for row in members)
        entry["weight_bytes"] = members[0]["weight_bytes"]
        entry["token_bytes"] = max(row["token_bytes"] for row in members)
        for other in ("ep", "hydra"):
            ratios = [cycles[config, tokens, row["offset"], other] / row["cycles"] for row in members
                      if (config, tokens, row["offset"], other) in cycles]
            entry[f"speedup_over_{other}"] = fmean(ratios) if ratios else None
        table.append(entry)
    return table


def write(entries: Sequence[dict[str, Any]], folder: Path, stem: str) -> None:
    """CSV and JSON."""
    write_json(folder / f"{stem}.json", list(entries))
    with whole(folder / f"{stem}.csv") as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(entries[0]))
        writer.writeheader()
        writer.writerows(entries)
