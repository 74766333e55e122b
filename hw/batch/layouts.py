"""What a host queues, what a tile makes of it: descriptors, list entries, words of the count exchange, load entries."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum
from amaranth.utils import bits_for, exact_log2

from trajectile.hw.formats import CHOICE_WEIGHT, EXPONENT_BITS
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import COUNTS_PER_WORD, Config

#: layers begin with a page of this many address bits
PAGE_BITS = 12
#: bits of what a host calls a batch, and of a cycle count
TAG_BITS, STAMP_BITS = 8, 32
#: expert number of no choice in a token record
NO_EXPERT = 0xFFFF
#: counters in a completion record: the first of ``COUNTERS`` (``hw/host/regmap.py``)
RECORD_COUNTERS = 9
#: what a tile writes when it is done with a batch: 16 words of 32 bits
COMPLETION_LAYOUT = data.StructLayout({
    "tag": unsigned(TAG_BITS),
    "valid": unsigned(1),
    "failed": unsigned(1),
    "zero": unsigned(6),
    "tokens": unsigned(16),
    "errors": unsigned(32),  # fatal ones as in ERROR, those of records from RECORD_ERROR_LOW on (hw/host/codes.py)
    "cycles": unsigned(STAMP_BITS),  # from the doorbell to this record
    "first_load": unsigned(STAMP_BITS),  # from the doorbell; 0: none
    "streaming": unsigned(STAMP_BITS),  # from the first load to the last release
    "counters": data.ArrayLayout(unsigned(32), RECORD_COUNTERS),
    "unit": signed(8),
    "zero_high": unsigned(24),
    "again": unsigned(32),  # word 0 once more: whoever sees both, sees what is between them
})


class Order(enum.Enum, shape=2):
    """In which order the experts of a batch are loaded (docs/scheduling.md)."""

    INDEX = 0  #: as numbered
    PAIRED = 1  #: most passes, fewest, second most, second fewest, ...
    BALANCED = 2  #: each tile's compute stays closest to its pace


class BatchLayouts(Widths):
    """Layouts of everything that has to do with the forming of a batch."""

    def __init__(self, config: Config, *, timing_only: bool = False):
        super().__init__(config, timing_only=timing_only)
        tile = config.tile
        #: bits of an io address that are zero, and those that are not
        self.io_low_bits = exact_log2(config.io.bytes_per_cycle)
        self.io_address_bits = self.address_bits - self.io_low_bits
        #: beats of the largest region that the io port reads or writes
        self.region_bits = bits_for(max(
            tile.tokens * max(config.record_bytes, config.result_bytes(4)), config.completion_bytes)
            // config.io.bytes_per_cycle)
        #: what a host queues
        self.descriptor_layout = data.StructLayout({
            "layer": unsigned(self.address_bits - PAGE_BITS),
            "records": unsigned(self.io_address_bits),
            "results": unsigned(self.io_address_bits),
            "tokens": unsigned(self.batch_token_bits),
            "order": Order,
            "bf16": unsigned(1),
            **({"shared": unsigned(1)} if config.array.shares else {}),
            "tag": unsigned(TAG_BITS),
            "rung": unsigned(STAMP_BITS),
        })
        #: a token's place in the token buffer
        self.place_layout = data.StructLayout({"lane": unsigned(self.lane_bits), "token": unsigned(self.token_bits)})
        #: where things lie in a batch that all tiles hold: the first token of this tile and of the ring-previous one, the
        #: last token of all; tokens of all tiles, and of the ring-previous one
        self.share_layout = data.StructLayout({
            "own": self.place_layout, "previous": self.place_layout, "last": self.place_layout,
            "total": unsigned(self.batch_token_bits), "before": unsigned(self.batch_token_bits)})
        #: an entry of a token list as the MAC sequencer sees it, by lane
        self.token_layout = data.StructLayout({
            "valid": unsigned(1),
            "token": unsigned(self.token_bits),
            **({} if timing_only else {"weight": CHOICE_WEIGHT, "exponent": signed(EXPONENT_BITS)}),
        })
        #: one token a lane
        self.pass_layout = data.ArrayLayout(self.token_layout, tile.mac_t)
        #: head of a token list of a lane: its length and first node
        self.list_head_layout = data.StructLayout({
            "count": unsigned(config.count_bits), "node": unsigned(self.node_bits)})
        #: node of a token list
        self.node_layout = data.StructLayout({
            "token": unsigned(self.token_bits),
            **({} if timing_only else {"weight": CHOICE_WEIGHT, "exponent": signed(EXPONENT_BITS)}),
            "following": unsigned(self.node_bits),
            "last": unsigned(1),
        })
        #: what hosts must have told all tiles alike
        self.agreed_layout = data.StructLayout({
            "order": Order,
            "tag": unsigned(TAG_BITS),
            **({"shared": unsigned(1)} if config.array.shares else {}),
        })
        #: payload of a word of the count exchange: passes of four experts, or, in the first one, what is agreed
        self.count_word_bits = max(COUNTS_PER_WORD * config.count_bits, self.agreed_layout.size)
        #: which of the tiles before it came from (0: the ring-previous one), and the word
        self.count_layout = data.StructLayout({
            "hops": unsigned(bits_for(config.array.tiles - 1)),
            "word": unsigned(self.count_word_bits),
        })
        #: passes of the experts of a word on all tiles: those of this tile, of the ring-next one, and so on along the ring
        self.counts_layout = data.ArrayLayout(
            data.ArrayLayout(unsigned(config.count_bits), COUNTS_PER_WORD), config.array.tiles)
        #: number of a word of the exchange, without the one that begins it
        self.word_number_bits = bits_for(config.count_words - 1)
        #: an expert to be loaded, and where it has tokens: bit 0 is this tile, bit 1 the ring-next one, and so on
        self.pick_layout = data.StructLayout({
            "expert": unsigned(self.expert_bits),
            "stops": unsigned(config.array.tiles),
            "batch": unsigned(1),
            **({"shared": unsigned(1)} if config.array.shares else {}),
            "last": unsigned(1),
        })
        #: a slice to be loaded: what, from where, whether it has tokens here, which tiles further along have
        self.load_layout = data.StructLayout({
            "expert": unsigned(self.expert_bits),
            "index": unsigned(self.index_bits),
            "row": unsigned(self.row_bits),
            "batch": unsigned(1),
            "here": unsigned(1),
            "ahead": unsigned(self.ahead_bits),
        })
        #: slices that arrive in a batch
        self.arrival_bits = bits_for(config.layer.experts * tile.slices)
