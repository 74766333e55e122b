"""Batches for the firmware: what it is handed in the DRAM, and what tiles have written there against the golden model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajectile.scripts.board import layout
from trajectile.scripts.errors import ToolError
from trajectile.scripts.flow.outcomes import Golden, written_batch
from trajectile.sw_model.batch.results import read_results, tile_region, unit_of
from trajectile.sw_model.config import BF16_BYTES, INT32_BYTES, Config, ceil_div
from trajectile.sw_model.config.topology import ring_next, ring_prev, route
from trajectile.sw_model.numerics.image import channel_image
from trajectile.sw_model.numerics.integer import QuantisedBatch, QuantisedLayer, integer_layer
from trajectile.sw_model.schedule.scheduler import ORDERS, Schedule
from trajectile.tb.io_log import Written
from trajectile.tb.job import Descriptor
from trajectile.tb.program import results_bytes
from trajectile.tb.scoreboard import Verdict
from trajectile.tb.top import layer_pitch

#: first word of a job
MAGIC = 0x424F4A54
#: most cycles of a batch before the tiles give it up
WATCHDOG = 50_000_000


@dataclass(frozen=True)
class BoardJob:
    """A batch that the firmware is to run a number of times, and what it must give."""

    config: Config
    plan: Schedule
    batch: QuantisedBatch
    layer: QuantisedLayer
    batches: int = 2
    bf16: bool = False

    @property
    def golden(self) -> Golden:
        """What it must give."""
        return Golden(self.plan, integer_layer(self.config, self.layer, self.batch), self.layer)

    def descriptors(self, number: int) -> list[Descriptor]:
        """What the firmware queues for the batch of that number."""
        tiles = self.config.array.tiles
        return [Descriptor(
            tokens=len(tile.records), order=ORDERS.index(self.plan.order), bf16=self.bf16, tag=number % 256, layer=0,
            records=layout.RECORDS + at * layout.TILE_BYTES,
            results=layout.RESULTS + (number % 2 * tiles + at) * layout.TILE_BYTES, shared=self.plan.dataflow == "shared")
            for at, tile in enumerate(self.plan.tiles)]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def places(config: Config) -> bytes:
    """Where each tile is in the ring, and its routes: ``struct place`` of the firmware."""
    words = [word for tile in range(config.array.tiles)
             for word in (ring_next(config.array, tile), ring_prev(config.array, tile), *route(config.array, tile))]
    return np.array(words, dtype="<u4").tobytes()


def _token(job: BoardJob, token: int, y: np.ndarray, unit: int, clips: int) -> bytes:
    """A token as the driver takes it, and its results: ``struct token`` of the firmware."""
    batch = job.batch
    ids = np.where(batch.topk_ids[token] < 0, 0xFFFF, batch.topk_ids[token]).astype("<u2")
    bits = y.astype(np.uint32) << 16 if job.bf16 else y.astype("<i4").view(np.uint32)
    return b"".join(map(_padded, (
        int(batch.exponent[token]).to_bytes(4, "little", signed=True), ids.tobytes(),
        batch.weight[token].astype("<u2").tobytes(),
        batch.shift[token].astype(np.uint8).tobytes(), batch.x[token].tobytes(), bits.astype("<u4").tobytes(),
        unit.to_bytes(4, "little", signed=True), clips.to_bytes(4, "little"))))


def packed(job: BoardJob) -> bytes:
    """``struct job`` of the firmware: choices, activations and expected results of all tokens."""
    config, plan, golden = job.config, job.plan, job.golden
    assert golden.results is not None
    head = [MAGIC, job.batches, ORDERS.index(plan.order), int(job.bf16), int(plan.dataflow == "shared"), WATCHDOG,
            *(len(tile.records) for tile in plan.tiles)]
    tokens = b""
    for tile in range(config.array.tiles):
        unit = unit_of(plan, tile, job.layer)
        held = plan.tiles[tile].records
        region = tile_region(plan, tile, golden.results, unit, as_bf16=job.bf16)
        expected = read_results(config, region, len(held), as_bf16=job.bf16)
        for number, token in enumerate(held):
            tokens += _token(job, token, expected.y[number], int(expected.unit[number]), int(expected.clips[number]))
    return np.array(head, dtype="<u4").tobytes() + places(config) + tokens


def channels(config: Config, layers: Sequence[QuantisedLayer]) -> list[tuple[int, bytes]]:
    """Where in the DRAM what lies of some layers: a piece for each DDR channel and layer."""
    return [(layout.channel_base(config, channel) + number * layer_pitch(config),
             channel_image(config, layer, channel).tobytes())
            for number, layer in enumerate(layers) for channel in range(config.array.channels)]


def pieces(job: BoardJob) -> list[tuple[int, bytes]]:
    """Everything that has to be in the DRAM before the firmware runs the job: address and bytes."""
    return [(layout.JOB, packed(job)), *channels(job.config, [job.layer])]


def written(config: Config, descriptors: Sequence[Descriptor], regions: Sequence[bytes]) -> list[Written]:
    """What each tile has written, from its region of the DRAM."""
    beat = config.io.bytes_per_cycle
    return [Written({descriptor.results + at: region[at:at + beat] for at in range(0, len(region), beat)})
            for descriptor, region in zip(descriptors, regions, strict=True)]


def region_bytes(config: Config, descriptor: Descriptor) -> int:
    """Bytes of a completion record with the results behind it."""
    size = config.result_bytes(BF16_BYTES if descriptor.bf16 else INT32_BYTES)
    beat = config.io.bytes_per_cycle
    whole = config.completion_bytes + descriptor.tokens * size
    assert whole <= results_bytes(config, config.tile.tokens, bf16=False)
    return ceil_div(whole, beat) * beat


def verdict(golden: Golden, descriptors: Sequence[Descriptor], regions: Sequence[bytes]) -> tuple[Verdict, int]:
    """Completion records and results of a batch against the golden model, bit for bit; and its cycles."""
    config = golden.plan.config
    try:
        found, records, _ = written_batch(config, golden, descriptors, written(config, descriptors, regions), None)
    except ToolError as error:  # a completion record that is none
        return Verdict(False, str(error)), 0
    return found, max(record.cycles for record in records)
