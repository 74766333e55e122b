"""What a tile's memories hold, by purpose: what a second batch in flight costs (docs/batch.md)."""

from dataclasses import dataclass

from trajectile.sw_model.config.accelerator import COUNTS_PER_WORD, INT32_BYTES, Config
from trajectile.sw_model.config.sections import ceil_div

#: bits of the shift of a block of activations, of a count of clips, of the weight of a choice, of a token's exponent
_SHIFT_BITS, _CLIP_BITS, _CHOICE_BITS, _EXPONENT_BITS = 2, 16, 16, 8
#: a node says whether it is the last of its list
_LAST_BITS = 1
#: what counts of two exchanges take, one of which may come in while the other is in use
_COUNT_BANKS = 2


@dataclass(frozen=True)
class TileMemory:
    """Bits of a tile's memories, without check bits (``tile.protect``)."""

    #: slots of the expert buffer
    slots: int
    #: activations of all tokens with the shifts of their blocks
    activations: int
    #: int32 results of all tokens
    results: int
    #: counts of clips of all tokens
    clips: int
    #: heads and nodes of the token lists
    lists: int
    #: passes of all experts on all tiles, of two batches
    counts: int

    @property
    def tokens(self) -> int:
        """Everything that belongs to tokens."""
        return self.activations + self.results + self.clips + self.lists

    @property
    def total(self) -> int:
        """All of it."""
        return self.slots + self.tokens + self.counts


def _number_bits(values: int) -> int:
    """Bits of a number of one of so many things; at least one."""
    return max((values - 1).bit_length(), 1)


def tile_memory(config: Config) -> TileMemory:
    """Memories of a tile; those of tokens are there once for each batch in flight."""
    tile, layer = config.tile, config.layer
    places = tile.batches * tile.mac_t * tile.lane_tokens
    node_bits = _number_bits(tile.lane_tokens * layer.top_k)
    node = _number_bits(tile.lane_tokens) + _CHOICE_BITS + _EXPONENT_BITS + node_bits + _LAST_BITS
    heads = tile.batches * tile.mac_t * layer.experts * (config.count_bits + node_bits)
    return TileMemory(
        slots=tile.slots * 8 * config.slice_bytes,
        activations=places * config.gate_up_chunks * (8 * tile.mac_k + _SHIFT_BITS * tile.word_scales),
        # a token's groups lie in two banks, so there is an even number of them
        results=places * 2 * ceil_div(config.down_groups, 2) * 8 * INT32_BYTES * tile.mac_n,
        clips=places * _CLIP_BITS,
        lists=heads + places * layer.top_k * node,
        counts=_COUNT_BANKS * config.count_words * COUNTS_PER_WORD * config.array.tiles * config.count_bits)
