"""What a batch takes by itself, and in a queue with one or two batches in flight, for docs/comparison.md.

``python -m trajectile.scripts.maintain.queue_page`` writes the table.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.sw_model.gates.workloads import synthetic_gate
from trajectile.sw_model.schedule.scheduler import Schedule, roofline, schedule
from trajectile.sw_model.timeline.model import simulate

PAGE, PART = "comparison.md", "queue"
PRESET, OVERRIDES = "qwen3-30b-a3b", ("tile.weights=mxfp4",)
#: tokens of a batch; batches of a queue; skew of the synthetic gate
TOKENS, BATCHES, SKEW = (1, 4, 16, 64, 256, 1024), 5, 0.2


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


if __name__ == "__main__":
    pages.write_part(PAGE, PART, markdown())
