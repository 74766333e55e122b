"""Token buffering: what deferring the tokens of the coldest experts gains, and how long they are held."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.experiments import Gate
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.buffering import deferral
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate


def measure(config: Config, batches: list[np.ndarray], slack: float, order: str) -> dict[str, Any]:
    """Throughput of a sequence of batches with some slack, and how long its tokens were held."""
    start, ends, held = 0, [], 0
    plan = deferral(batches, slack, config.layer.experts)
    for tokens, late in plan:
        ids = np.array([batches[batch][token] for batch, token in tokens]).reshape(len(tokens), -1)
        start += simulate(schedule(config, ids, order), record=False).cycles
        ends.append(start)
        held += late
    waits = [ends[number] - ends[batch] for number, (tokens, _) in enumerate(plan) for batch, _ in tokens if batch < number]
    total = sum(len(ids) for ids in batches)
    return {"slack": slack, "tokens": total, "cycles": start, "tokens_per_million_cycles": total / start * 1e6,
            "held_tokens": held, "mean_wait_cycles": float(np.mean(waits)) if waits else 0.0,
            "longest_wait_cycles": max(waits, default=0)}


def buffered(config: Config, gate: Gate, *, tokens: int = 16, batches: int = 16, slacks: Sequence[float] = (0, 0.1, 0.2, 0.3),
             order: str = "balanced") -> list[dict[str, Any]]:
    """An entry for each slack: what :func:`measure` says, and the gain over the first of them.

    Args:
        config: the accelerator.
        gate: where gate decisions come from.
        tokens: new tokens of a batch.
        batches: in a row; the last finishes everything.
        slacks: shares of a batch that may stay over, each 0 to 1.
        order: load order.

    Raises:
        UserError: if the trace has not that many tokens, or the tiles do not hold them.
    """
    if tokens < 1:
        raise UserError(f"--tokens = {tokens} is not legal; legal values: 1 or more")
    trace = gate.read(config)
    layer = int(trace.layers[0]) if gate.layer is None else gate.layer
    if tokens * batches > trace.tokens:
        raise UserError(f"--tokens {tokens} x --batches {batches} is not legal for {trace.name}; legal: together "
                        f"1 to {trace.tokens} tokens")
    if int(tokens * (1 + max(slacks))) > config.token_capacity:
        raise UserError(f"--tokens = {tokens} with slack {max(slacks)} is not legal; legal values: together up to "
                        f"{config.token_capacity}")
    windows = [trace.window(layer, number * tokens, tokens).topk_ids for number in range(batches)]
    entries = [measure(config, windows, slack, order) for slack in slacks]
    return [entry | {"gain": entries[0]["cycles"] / entry["cycles"]} for entry in entries]
