"""How long a batch takes to form itself, for docs/scheduling.md: from the doorbell to the first DDR address.

``python -m trajectile.scripts.maintain.forming_page`` writes the table.
"""

from collections.abc import Iterator

import numpy as np

from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config, ceil_div, load
from trajectile.sw_model.config.topology import edge_hops, ring
from trajectile.sw_model.gates.workloads import synthetic_gate
from trajectile.sw_model.schedule.scheduler import roofline, schedule
from trajectile.sw_model.timeline.model import simulate

PAGE, PART = "scheduling.md", "forming"
#: presets and numbers of tokens that are shown
SHOWN = {"gpt-oss-20b": (1, 256), "qwen3-30b-a3b": (1, 16, 64, 256, 1024), "deepseek-v3": (1, 256)}
#: skew and seed of the synthetic gate
SKEW, SEED = 0.2, 1


def exchanged(config: Config, tokens: int) -> int:
    """Cycles from the doorbell to the counts of all tiles in the last tile, with so many tokens on each; at least one.

    The parts are those of docs/scheduling.md, in its order. It is exact where the io memory delivers as fast as heads are
    worked off, and no words of counts meet (:func:`meetings`).
    """
    tiles = config.array.tiles
    way = max(sum(latencies.control_cycles(config, edge_hops(config.array, tile))
                  for tile in (order * 2)[start:start + tiles - 1])
              for order in [ring(config.array)] for start in range(tiles))
    head = latencies.EXPONENT_CYCLES + latencies.CHOICE_CYCLES * config.layer.top_k
    return config.io.latency_cycles + tokens * head + latencies.COUNT_AGAIN_CYCLES * config.count_words + way + 5


def first_address(config: Config, tokens: int) -> int:
    """Cycles from the doorbell to the first DDR address in that tile, if its channel has the first slice."""
    return exchanged(config, tokens) + config.count_words + config.layer.experts + 6


def meetings(config: Config) -> int:
    """Cycles that words of counts can lose at the most because they meet: an own word waits for one of each other tile."""
    return (config.array.tiles - 1) * (1 + config.count_words)


def _rows() -> Iterator[tuple[object, ...]]:
    for name, sizes in SHOWN.items():
        config = load(name)
        for tokens in sizes:
            gate = synthetic_gate(config.layer.experts, config.layer.top_k, tokens, SKEW, np.random.default_rng(SEED))
            plan = schedule(config, gate.topk_ids)
            line = simulate(plan, record=False)
            times = line.batches[0]
            lists, formed = (max(getattr(tile, step) or 0 for tile in times) for step in ("lists", "formed"))
            yield (f"`{name}`", f"{tokens:,}", f"{lists:,}", f"{formed:,}", f"{line.first_load_cycles:,}",
                   f"{first_address(config, ceil_div(tokens, config.array.tiles)):,}",
                   f"{line.first_load_cycles / roofline(plan).cycles:.2%}")


def markdown() -> str:
    """The table."""
    return "\n".join(table_rows(("", "tokens", "all lists complete", "all counts everywhere", "first DDR address",
                                 "closed form", "of the roofline"), _rows()))


if __name__ == "__main__":
    pages.write_part(PAGE, PART, markdown())
