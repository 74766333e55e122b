"""Where a bench lays the token records of a batch, and where the tiles write its results; what a host queues for that."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trajectile.sw_model.batch.records import record_region
from trajectile.sw_model.config import BF16_BYTES, INT32_BYTES, Config, ceil_div
from trajectile.sw_model.numerics.image import write_hex
from trajectile.sw_model.numerics.integer import QuantisedBatch
from trajectile.sw_model.schedule.scheduler import ORDERS, Schedule
from trajectile.tb.job import Descriptor
from trajectile.tb.top import IO_BATCHES, records_pitch

#: results lie above 4 GiB, so that every bit of an address is used by some batch
RESULTS_BASE = 3 << 32
PAGE_BYTES = 4096


def results_bytes(config: Config, tokens: int, *, bf16: bool) -> int:
    """Bytes that a tile writes for a batch: its completion record and the results of so many tokens."""
    return config.completion_bytes + tokens * config.result_bytes(BF16_BYTES if bf16 else INT32_BYTES)


def descriptors(plan: Schedule, number: int, *, bf16: bool = False) -> list[Descriptor]:
    """What the host queues in each tile for the batch of that number.

    Results begin a beat before a page ends, so that bursts of every kind occur.
    """
    config = plan.config
    pitch = ceil_div(results_bytes(config, config.tile.tokens, bf16=False), PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES
    return [Descriptor(
        tokens=len(tile.records), order=ORDERS.index(plan.order), bf16=bf16, tag=number % 256, layer=0,
        records=number * records_pitch(config),
        results=RESULTS_BASE + number * pitch + PAGE_BYTES - config.io.bytes_per_cycle, shared=plan.dataflow == "shared")
        for tile in plan.tiles]


def write_records(plans: Sequence[Schedule], batches: Sequence[QuantisedBatch], folder: Path) -> list[str]:
    """Write what each tile's io memory holds; returns the plusargs that name the files.

    Args:
        plans: of the batches, in order.
        batches: with their numbers; choices may be wrong, as far as records can hold them.
        folder: where the files go.

    Raises:
        ValueError: for more batches than the memories hold.
    """
    if len(plans) > IO_BATCHES:
        raise ValueError(f"{len(plans)} batches are not legal; legal values: 1 to {IO_BATCHES}")
    config, plusargs = plans[0].config, []
    pitch = records_pitch(config)
    for tile in range(config.array.tiles):
        memory = np.zeros(len(plans) * pitch, dtype=np.uint8)
        for number, (plan, batch) in enumerate(zip(plans, batches, strict=True)):
            region = record_region(config, batch, plan.tiles[tile].records)
            memory[number * pitch:][:len(region)] = region
        path = folder / f"io{tile}.hex"
        write_hex(path, memory, config.io.bytes_per_cycle)
        plusargs.append(f"+io{tile}={path.resolve()}")
    return plusargs
