"""What lies where: registers of the tiles, the DRAM as the CPU and as the tiles see it."""

from trajectile.scripts.errors import UserError
from trajectile.sw_model.config import Config
from trajectile.tb.program import results_bytes
from trajectile.tb.top import layer_pitch

#: where the CPU finds the host ports, a page each; the upper half of its addresses is not cached
HOST_BASE, HOST_STRIDE = 0x9000_0000, 0x1000
#: where the CPU finds the DRAM; for the tiles' io ports it begins at 0
RAM_BASE = 0x4000_0000
#: in the DRAM: what the host hands to the firmware, and gets back; token records and results of the tiles; a model; layers
JOB, RECORDS, RESULTS, MODEL, LAYERS = 0x0, 0x10_0000, 0x18_0000, 0x20_0000, 0x40_0000
#: behind the model, what it keeps of the bytes that it has seen: so many at the most
SEEN, CONTEXT = 0x28_0000, 128
#: bytes for records or results of a tile; the results of two batches have room
TILE_BYTES = 0x8000
#: the same of a text, whose batches have one token: of each batch, and for results of each tile
TEXT_RECORD_BYTES, TEXT_RESULT_BYTES = 0x200, 0x400
#: bytes of a DDR channel
CHANNEL_BYTES = 0x40_0000
#: what a command to the DRAM reads or writes; an io port is as wide, and a DDR channel at most
WORD_BYTES = 16
#: tiles whose records and results have room
MOST_TILES = (RESULTS - RECORDS) // (2 * TILE_BYTES)


def channel_base(config: Config, channel: int) -> int:
    """Where a DDR channel begins in the DRAM."""
    return LAYERS + channel * CHANNEL_BYTES


def check(config: Config, layers: int = 1) -> None:
    """Whether a configuration has room in this memory.

    Raises:
        UserError: if not.
    """
    if config.array.tiles > MOST_TILES:
        raise UserError(f"array.rows x array.cols = {config.array.tiles} tiles is not legal on a board; legal values: "
                        f"2 to {MOST_TILES}")
    if config.array.independent:
        raise UserError("array.clocks = independent is not legal on a board; legal: common")
    if config.io.bytes_per_cycle != WORD_BYTES:
        raise UserError(f"io.bytes_per_cycle = {config.io.bytes_per_cycle} is not legal on a board; legal: {WORD_BYTES}, the "
                        "width of the DRAM's controller")
    if WORD_BYTES % config.ddr.bytes_per_cycle:
        raise UserError(f"ddr.bytes_per_cycle = {config.ddr.bytes_per_cycle} is not legal on a board; legal: 1, 2, 4, 8, 16")
    most = max(config.tile.tokens * config.record_bytes, results_bytes(config, config.tile.tokens, bf16=False))
    if most > TILE_BYTES:
        raise UserError(f"tile.tokens = {config.tile.tokens} is not legal on a board (records or results of a tile take "
                        f"{most:,} bytes); legal: at most {TILE_BYTES:,} bytes")
    if layers * layer_pitch(config) > CHANNEL_BYTES:
        raise UserError(f"layer.experts = {config.layer.experts} is not legal on a board (a DDR channel takes "
                        f"{layers * layer_pitch(config):,} bytes); legal: at most {CHANNEL_BYTES:,} bytes")
