"""What a batch takes by itself, in a queue with one or two in flight, and as half of a larger one: for docs/comparison.md.

``python -m trajectile.scripts.maintain.queue_page`` writes the tables.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import fmean

import numpy as np

from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.sw_model.gates.workloads import synthetic_gate
from trajectile.sw_model.schedule.scheduler import Schedule, roofline, schedule
from trajectile.sw_model.timeline.model import simulate

PAGE, PART, MERGED = "comparison.md", "queue", "queue merged"
PRESET, OVERRIDES = "qwen3-30b-a3b", ("tile.weights=mxfp4",)
#: tokens of a batch; batches of a queue; skew of the synthetic gate
TOKENS, BATCHES, SKEW = (1, 4, 16, 64, 256, 1024), 5, 0.2
#: tokens of batches that are played two at a time
HALVES = (1, 4, 16, 64, 256)


def plans_of(preset: str, overrides: Sequence[str], tokens: int, batches_in_flight: int) -> list[Schedule]:
    """Batches of the same size and different tokens."""
    config = load(preset, [*overrides, f"tile.batches={batches_in_flight}"])
    layer = config.layer
    return [schedule(config, synthetic_gate(layer.experts, layer.top_k, tokens, SKEW, np.random.default_rng(seed)).topk_ids)
            for seed in range(BATCHES)]


def queued(plans: Sequence[Schedule]) -> float:
    """Cycles over the roofline of all batches but the first: from its last completion record to that of the last one."""
    line = simulate(plans, record=False)
    complete = [max(tile.complete or 0 for tile in times) for times in line.batches]
    return (complete[-1] - complete[0]) / sum(roofline(plan).cycles for plan in plans[1:])


def row(preset: str, overrides: Sequence[str], tokens: int) -> tuple[str, ...]:
    """A row of the table."""
    one, two = (plans_of(preset, overrides, tokens, batches) for batches in (1, 2))
    line, bound = simulate(one[0], record=False), roofline(one[0]).cycles
    after = line.cycles - line.first_load_cycles - line.streaming_cycles
    return (f"{tokens:,}", f"{line.cycles:,}", f"{line.first_load_cycles:,}", f"{line.streaming_cycles:,}", f"{after:,}",
            f"{line.cycles / bound:.3f}", f"{queued(one):.4f}", f"{queued(two):.4f}")


def markdown(preset: str = PRESET, overrides: Sequence[str] = OVERRIDES, sizes: Sequence[int] = TOKENS) -> str:
    """The table."""
    def rows() -> Iterator[tuple[str, ...]]:
        for tokens in sizes:
            yield row(preset, overrides, tokens)
    return "\n".join(table_rows(("tokens", "cycles of one batch", "to the first DDR address", "streaming",
                                 "after the last release", "over the roofline", "in a queue",
                                 "in a queue, two in flight"), rows()))


def halves(preset: str, overrides: Sequence[str], tokens: int) -> tuple[str, ...]:
    """Cycles per token of batches of so many tokens, and of their tokens two batches at a time; experts of both."""
    plans = plans_of(preset, overrides, tokens, 2)
    both = [schedule(plans[0].config, np.concatenate([one.topk_ids, other.topk_ids])) for one, other in pairwise(plans)]

    def per_token(queue: Sequence[Schedule]) -> float:
        complete = [max(tile.complete or 0 for tile in times) for times in simulate(queue, record=False).batches]
        return (complete[-1] - complete[0]) / sum(plan.tokens for plan in queue[1:])
    half, whole = per_token(plans), per_token(both)
    experts = [fmean(len(plan.expert_order) for plan in queue) for queue in (plans, both)]
    return (f"{tokens:,}", f"{half:,.0f}", f"{experts[0]:.1f}", f"{whole:,.0f}", f"{experts[1]:.1f}", f"{half / whole:.2f}")


def merged(preset: str = PRESET, overrides: Sequence[str] = OVERRIDES, sizes: Sequence[int] = HALVES) -> str:
    """The table of batches that share their weights."""
    return "\n".join(table_rows((
        "tokens of a batch", "one batch after the other: cycles per token", "experts of a batch",
        "two batches as one: cycles per token", "experts of both", "times as fast"), (
            halves(preset, overrides, tokens) for tokens in sizes)))


if __name__ == "__main__":
    pages.write_part(PAGE, PART, markdown())
    pages.write_part(PAGE, MERGED, merged())
