"""Which dataflow a batch gets where the host leaves it open: the rule of ``auto`` (docs/dataflows.md).

A batch is *shared* if three things hold, and *spread* otherwise:

* the build shares (``array.dataflows``);
* every tile has room for all tokens of the batch;
* by the estimate below it takes at most 1 % longer. Since it moves few bytes from tile to tile, it is worth so much.

The estimate of either is a closed form of counts that a host has anyway: tokens, passes of each expert, slices of each tile.
A batch takes as long as the busiest of its DDR channels, MAC arrays, links and io ports, and what cannot happen meanwhile:
heads of records before the first load; the last slice's way round the ring of a spread batch, or the sums of a shared one;
and results.
"""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from trajectile.sw_model import latencies
from trajectile.sw_model.config import INT32_BYTES, Config
from trajectile.sw_model.config.topology import ring_next
from trajectile.sw_model.schedule.scheduler import DATAFLOWS, Schedule, ScheduleError, schedule

#: what a host can ask for
WISHES = (*DATAFLOWS, "auto")
#: a shared batch may take so much longer
SLACK = 1.01


@dataclass(frozen=True)
class Estimate:
    """Cycles of a batch by itself, by what they are for."""

    #: slices of the channel that has most; activations, then computing of the tile that has most; flits over the busiest ring
    #: edge; the way in and out of the tile that has most. The largest of them counts.
    ddr: int
    mac: int
    link: int
    io: int
    #: heads of records are read before the first load
    heads: int
    #: the last slice goes round the ring
    around: int
    #: the tiles add up their parts
    sums: int
    #: results and completion record are written
    results: int

    @property
    def cycles(self) -> int:
        """All together."""
        return max(self.ddr, self.mac, self.link, self.io) + self.heads + self.around + self.sums + self.results


def _compute(config: Config, passes: int) -> int:
    """Cycles from a slice's compute to that of the next one; none without passes."""
    # hidden values of the last pass come while down words of the pass before are read
    waits = max(latencies.swiglu_drain_cycles(config) - (config.down_words if passes > 1 else 0), 0)
    ends = latencies.compute_setup_cycles(config) + config.parameter_words + waits - latencies.compute_early_cycles(config)
    return ends + passes * config.pass_words if passes else 0


def estimate(plan: Schedule, *, result_bytes: int = INT32_BYTES) -> Estimate:
    """About how long a batch takes.

    Args:
        plan: the batch.
        result_bytes: of one result: 4 (int32) or 2 (bf16).
    """
    config, tiles, tokens = plan.config, plan.config.array.tiles, plan.tokens
    width, own = config.io.bytes_per_cycle, [len(tile.records) for tile in plan.tiles]
    # two cycles a word, or one a flit: a word is read, and its first flit goes
    least = latencies.SUM_OUT_CYCLES + 1
    groups = config.down_groups * max(least, config.sum_flits) + least
    if plan.shared:
        mac = max(sum(_compute(config, int(tile.passes[load.expert])) for load in tile.loads) for tile in plan.tiles)
        link = max((tokens - own[ring_next(config.array, tile)]) * (config.record_bytes // width)
                   + (tokens - own[tile]) * (config.down_groups * config.sum_flits + 1) for tile in range(tiles))
        read, around, sums = tokens, 0, (tokens - min(own)) * groups
        headers = tiles * latencies.SECTION_CYCLES
    else:
        mac = max(config.tile.slices * sum(_compute(config, int(passes)) for passes in tile.passes) for tile in plan.tiles)
        # A slice waits neither for its request nor for its grant where slots are free and another slice is being sent, and
        # for both where slots are scarce. Fitted to the cases of the tests: three quarters of that.
        link = max(tile.arrivals for tile in plan.tiles) * (
            1 + config.slice_flits + 3 * latencies.control_cycles(config, 1) // 2)
        # a stop sends a slice on when it has all of it; over other tiles it goes at once
        around = max((last.ahead.bit_count() * config.slice_flits + last.ahead.bit_length() * latencies.hop_cycles(config)
                      for last in (tile.loads[-1] for tile in plan.tiles if tile.loads)), default=0)
        read, sums, headers = max(own), 0, 0
    results = config.results_bytes(max(own), result_bytes) // width
    return Estimate(
        ddr=max(len(tile.loads) for tile in plan.tiles) * config.slice_beats,
        mac=mac + read * config.row_bytes // width if mac else 0, link=link,
        io=max(read * config.record_bytes // width, results),
        heads=config.io.latency_cycles + headers
        + read * (latencies.EXPONENT_CYCLES + latencies.CHOICE_CYCLES * config.layer.top_k),
        around=around, sums=sums, results=results)


def choose_dataflow(config: Config, topk_ids: NDArray[Any], order: str = "balanced", *,
                    result_bytes: int = INT32_BYTES) -> str:
    """The dataflow of a batch by the rule above, one of ``DATAFLOWS``.

    Args:
        config: the accelerator.
        topk_ids: chosen experts, [tokens, top_k]; -1 is no choice.
        order: one of ``ORDERS``.
        result_bytes: of one result: 4 (int32) or 2 (bf16).

    Raises:
        ScheduleError: if the batch does not fit the configuration at all.
    """
    return planned(config, topk_ids, order, "auto", result_bytes=result_bytes).dataflow


def planned(config: Config, topk_ids: NDArray[Any], order: str = "balanced", wish: str = "auto", *,
            result_bytes: int = INT32_BYTES, **more: Any) -> Schedule:
    """What the array makes of a batch in the dataflow that a host wishes for.

    Args:
        config: the accelerator.
        topk_ids: chosen experts, [tokens, top_k]; -1 is no choice.
        order: one of ``ORDERS``.
        wish: one of ``WISHES``.
        result_bytes: of one result, for ``auto``: 4 (int32) or 2 (bf16).
        more: as of :func:`~trajectile.sw_model.schedule.scheduler.schedule`.

    Raises:
        ScheduleError: if the batch does not fit the configuration, or there is no such dataflow.
    """
    if wish not in WISHES:
        raise ScheduleError(f"dataflow = {wish!r} is not legal; legal values: {', '.join(WISHES)}")
    if wish != "auto":
        return schedule(config, topk_ids, order, dataflow=wish, **more)
    spread = schedule(config, topk_ids, order, **more)
    if not config.array.shares or spread.tokens > config.tile.tokens:
        return spread
    shared = schedule(config, topk_ids, order, dataflow="shared", **more)
    longest = SLACK * estimate(spread, result_bytes=result_bytes).cycles
    return shared if estimate(shared, result_bytes=result_bytes).cycles <= longest else spread
