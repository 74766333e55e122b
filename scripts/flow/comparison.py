"""Strategies against each other on the same hardware: streaming, EP, Hydra; over batch sizes and windows of a trace."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from trajectile.scripts.errors import UserError
from trajectile.scripts.files import whole
from trajectile.scripts.flow.experiments import STRATEGIES, Gate, Task, can_travel, config_text
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
             strategies: Sequence[str] = STRATEGIES, orders: Sequence[str] = ORDERS, dataflow: str = "spread",
             windows: int = 4) -> list[Task]:
    """All batches of a comparison.

    Args:
        configs: the accelerators.
        gate: where gate decisions come from.
        tokens: batch sizes.
        strategies: of :data:`~trajectile.scripts.flow.experiments.STRATEGIES`.
        orders: load orders of streaming; where tokens travel it is ``balanced``, the others have none.
        dataflow: of streaming (``fse``).
        windows: of the trace, for each batch size.

    Raises:
        UserError: for a trace that does not fit, or a batch that is too large for it or for the tiles. Batches whose tokens
            cannot travel are left out where others are left.
    """
    tasks: list[Task] = []
    for config in configs:
        trace = gate.read(config)
        for number in tokens:
            mine = playable(config, "--tokens", number, strategies, dataflow)
            for offset in window_offsets(trace, number, windows):
                for strategy in mine:
                    tasks += [Task(config_text(config), gate, offset, number, strategy, order, dataflow)
                              for order in orders_of(strategy, orders)]
    return not_empty(tasks, "--tokens", tokens, strategies)


def not_empty(tasks: list[Task], option: str, sizes: Sequence[int], strategies: Sequence[str]) -> list[Task]:
    """The tasks.

    Raises:
        UserError: if there is none, since none of these strategies can have a batch of any of these sizes.
    """
    if not tasks:
        raise UserError(f"--strategies = {','.join(strategies)} is not legal for {option} {','.join(map(str, sizes))}:"
                        " every tile holds all of them; legal values: up to tile.tokens, or other strategies")
    return tasks


def playable(config: Config, option: str, tokens: int, strategies: Sequence[str], dataflow: str) -> list[str]:
    """Of some strategies those that a batch of so many tokens can have.

    Args:
        config: the accelerator.
        option: that names the tokens.
        tokens: of the batch.
        strategies: of :data:`~trajectile.scripts.flow.experiments.STRATEGIES`.
        dataflow: of streaming (``fse``).

    Raises:
        UserError: if the tiles have no room for the tokens, or cannot do what the dataflow wants.
    """
    if dataflow == "shared" and not config.array.shares:
        raise UserError(f"--dataflow = shared is not legal for {config.name}; legal values: spread, or with --set "
                        "array.dataflows=both")
    if not 1 <= tokens <= config.token_capacity:
        raise UserError(f"{option} = {tokens} is not legal for {config.name}; legal values: 1 to {config.token_capacity}")
    if dataflow == "shared" and not can_travel(config, tokens):
        raise UserError(f"{option} = {tokens} is not legal for {config.name} with --dataflow shared; legal values: 1 to "
                        f"{config.tile.tokens} (tile.tokens: every tile holds all tokens)")
    return [strategy for strategy in strategies if strategy != "tokens-travel" or can_travel(config, tokens)]


def orders_of(strategy: str, orders: Sequence[str]) -> Sequence[str]:
    """Load orders with which a strategy is played: all of streaming; one where no slice moves; none of the others."""
    if strategy.startswith("fse"):
        return orders
    return ["balanced"] if strategy == "tokens-travel" else ["-"]


def means(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for each configuration, batch size, strategy and order: means over the windows, speedups in the same window."""
    cycles = {(r["config"], r["tokens"], r["offset"], r["strategy"]): r["cycles"] for r in rows if r["order"] == "-"}
    groups = defaultdict(list)
    for row in rows:
        groups[row["config"], row["tokens"], row["strategy"], row["order"]].append(row)
    table = []
    for (config, tokens, strategy, order), members in groups.items():
        entry = {"config": config, "tokens": tokens, "strategy": strategy, "order": order, "select": members[0]["select"],
                 "dataflow": ", ".join(sorted({row["dataflow"] for row in members})), "windows": len(members)}
        for key in ("active_experts", "cycles", "first_load_cycles", "streaming_cycles", "roofline", "over_roofline",
                    "over_refresh_roofline", "use_ddr", "use_mac", "use_d2d", "d2d_bytes", "d2d_uj"):
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
