"""Widths and depths that several blocks share, derived once from the configuration."""

from amaranth.hdl import unsigned
from amaranth.lib import data
from amaranth.utils import bits_for

from trajectile.hw.formats import ACTIVATION_BITS, INPUT_SHIFT_BITS
from trajectile.sw_model.config import DDR_ADDRESS_BITS, Config, ceil_div


class Widths:
    """Numbers that follow from one :class:`~trajectile.sw_model.config.Config`.

    With ``timing_only`` they are those of the build that keeps the controllers and drops the payload.
    """

    def __init__(self, config: Config, *, timing_only: bool = False):
        self.config = config
        self.timing_only = timing_only
        tile = config.tile
        #: how expert and token buffer are protected; a timing-only build has neither
        self.protect = "none" if timing_only else tile.protect
        #: a tile's number
        self.tile_bits = bits_for(config.array.tiles - 1)
        self.expert_bits = bits_for(config.layer.experts - 1)
        self.index_bits = bits_for(tile.slices - 1)
        self.slot_bits = bits_for(tile.slots - 1)
        #: tiles after this one that may be stops of a slice
        self.ahead_bits = config.array.tiles - 1
        self.word_bits = 8 * tile.word_bytes
        #: a weight word is written in whole lanes
        self.lane_width = 8 * config.lane_bytes
        self.word_addr_bits = bits_for(config.slice_words - 1)
        #: DDR beats and flits of a slice's first word: if its parameters are one word, no more than they take
        self.first_word_beats = config.parameter_beats - (config.parameter_words - 1) * config.word_beats
        self.first_word_flits = config.parameter_flits - (config.parameter_words - 1) * config.word_flits
        self.row_bits = bits_for(config.channel_slices - 1)
        self.token_bits = bits_for(tile.lane_tokens - 1)
        self.rank_bits = bits_for(config.layer.top_k - 1)
        #: nodes of a lane's token lists: one for each choice of each of its tokens
        self.node_depth = tile.lane_tokens * config.layer.top_k
        self.node_bits = bits_for(self.node_depth - 1)
        #: passes of one expert on a tile
        self.pass_bits = config.count_bits
        #: tokens of a batch in a tile
        self.batch_token_bits = bits_for(tile.tokens)
        self.address_bits = DDR_ADDRESS_BITS
        self.beat_bits = 8 * config.ddr.bytes_per_cycle
        #: the io port
        self.io_bits = 8 * config.io.bytes_per_cycle
        #: CONTROL.RESET keeps the array in reset two cycles longer than this, or more, so that what a tile sent before
        #: reaches the far end while that is still in reset
        self.reset_hold_cycles = config.link.latency_cycles
        #: activations of a weight word's inputs as the token buffer has them: int8 and a shift for each block
        self.activations_layout = data.ArrayLayout(data.StructLayout({
            "values": unsigned(ACTIVATION_BITS * tile.word_inputs), "shift": unsigned(INPUT_SHIFT_BITS)}), tile.word_scales)
        self.activation_bits = self.activations_layout.size
        #: bits of an accumulator, and of those of one lane together
        self.sum_bits = config.sum_bits
        self.totals_bits = config.sum_bits * tile.mac_n
        self.activation_depth = tile.lane_tokens * config.gate_up_chunks
        self.result_bits = 32 * tile.mac_n
        #: results of a token lie in two banks, even and odd groups, so its words are padded to an even number
        self.result_stride = 2 * ceil_div(config.down_groups, 2)
        self.result_depth = tile.lane_tokens * self.result_stride

    @property
    def lane_bits(self) -> int:
        """Width of a lane number."""
        return bits_for(self.config.tile.mac_t - 1)
