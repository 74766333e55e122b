"""Widths and layouts that several blocks share, derived once from the configuration."""

from amaranth.hdl import unsigned
from amaranth.lib import data, enum
from amaranth.utils import bits_for

from trajectile.hw.formats import MULT_BITS, SHIFT_BITS
from trajectile.sw_model.config import DDR_ADDRESS_BITS, Config, ceil_div


class Port(enum.Enum, shape=3):
    """Ports of a tile's router."""

    NORTH = 0  #: the tile above
    EAST = 1  #: the tile to the right
    SOUTH = 2  #: the tile below
    WEST = 3  #: the tile to the left
    LOCAL = 4  #: this tile


#: the ports with a link
NEIGHBOURS = (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST)


class FrameKind(enum.Enum, shape=2):
    """What a frame of the link layer is; neither all zeros nor all ones is a frame."""

    NOTHING = 0  #: no frame: the port has no neighbour, is in reset, is down, or the PHY lost the frame
    IDLE = 1  #: no lane carries anything; ``seq`` is the number of the next DATA frame
    DATA = 2  #: some lane carries something; ``seq`` counts these frames


class Table(enum.Enum, shape=3):
    """Table memories that the host reaches through the TABLE registers."""

    RULES = 0  #: one rule entry per expert
    LOADS = 1  #: the load list
    TOKENS = 2  #: the token lists: one entry per pass
    ACTIVATIONS = 3  #: int8 activations of a lane: mac_k per word, address token * gate_up_chunks + chunk
    RESULTS = 4  #: int32 accumulators of a lane (read only): mac_n per word, address token * result_stride + group


class Params:
    """Layouts of packets and table entries for one :class:`~trajectile.sw_model.config.Config`.

    With ``timing_only`` a flit is no wider than its header: the build that keeps the controllers and drops the payload.
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
        #: stops left: at most one per tile
        self.left_bits = bits_for(config.array.tiles)
        self.word_bits = 8 * tile.word_bytes
        #: a weight word is written in whole lanes
        self.lane_width = 8 * config.lane_bytes
        self.word_addr_bits = bits_for(config.slice_words - 1)
        self.row_bits = bits_for(config.channel_slices - 1)
        self.token_bits = bits_for(tile.lane_tokens - 1)
        #: a tile never has more passes than token-expert pairs
        self.list_depth = tile.tokens * config.layer.top_k
        self.list_bits = bits_for(self.list_depth)
        #: passes of one expert: at most one per token of the fullest lane, or one per token of the tile
        self.pass_bits = bits_for(tile.tokens)
        self.load_depth = config.channel_slices
        self.load_bits = bits_for(self.load_depth)
        self.address_bits = DDR_ADDRESS_BITS
        self.beat_bits = 8 * config.ddr.bytes_per_cycle

        #: which slice, and how many stops it has left
        self.slice_layout = data.StructLayout({
            "expert": unsigned(self.expert_bits),
            "index": unsigned(self.index_bits),
            "left": unsigned(self.left_bits),
        })
        #: request for a slot at the ring-next tile (control lane)
        self.request_layout = data.StructLayout({"slice": self.slice_layout})
        #: the grant that answers it (control lane, back)
        self.grant_layout = data.StructLayout({"slot": unsigned(self.slot_bits)})
        #: header flit of a slice packet: the slot reserved for it at the ring-next tile, and which slice it is
        self.header_layout = data.StructLayout({
            "slot": unsigned(self.slot_bits),
            "expert": unsigned(self.expert_bits),
            "index": unsigned(self.index_bits),
        })
        #: CONTROL.RESET keeps the array in reset two cycles longer than this, or more, so that what a tile sent before
        #: reaches the far end while that is still in reset
        self.reset_hold_cycles = config.link.latency_cycles
        self.payload_bits = max(0 if timing_only else 8 * config.flit_bytes, self.header_layout.size)
        #: one beat of a link; the header travels in the low bits of the payload
        self.flit_layout = data.StructLayout({
            "head": unsigned(1),
            "tail": unsigned(1),
            "payload": unsigned(self.payload_bits),
        })
        #: all lanes of a link in one cycle
        self.lanes_layout = data.StructLayout({
            "flit_valid": unsigned(1),
            "flit": self.flit_layout,
            "request_valid": unsigned(1),
            "request": self.request_layout,
            "grant_valid": unsigned(1),
            "grant": self.grant_layout,
            "credit": unsigned(1),
        })
        #: sequence numbers tell the frames of a window that come again from those that come too early
        self.seq_bits = bits_for(2 * config.link_window - 1)
        #: what a link layer sends in a cycle (docs/link.md). The CRC is lowest: bit i of a frame is the coefficient of x^i.
        self.frame_layout = data.StructLayout({
            "crc": unsigned(config.link.crc_bits),
            "kind": FrameKind,
            "seq": unsigned(self.seq_bits),
            "ack": unsigned(self.seq_bits),
            "nak": unsigned(1),
            "lanes": self.lanes_layout,
        })
        self.frame_bits = self.frame_layout.size
        #: load list entry: what to fetch, from where, and what the slice has to do here
        self.load_layout = data.StructLayout({
            "expert": unsigned(self.expert_bits),
            "index": unsigned(self.index_bits),
            "row": unsigned(self.row_bits),
            "here": unsigned(1),
            "next": unsigned(1),
            "left": unsigned(self.left_bits),
        })
        #: largest values of a load list entry's fields; more would be no slice of this layer, or more stops than other tiles
        self.load_maxima = {
            "expert": config.layer.experts - 1, "index": tile.slices - 1, "row": config.channel_slices - 1,
            "left": config.array.tiles - 1,
        }
        #: largest token number in a token list
        self.token_maximum = tile.lane_tokens - 1
        #: rule table entry of an expert: is this tile a stop, is the ring-next tile one, and what to compute here
        self.rule_layout = data.StructLayout({
            "here": unsigned(1),
            "next": unsigned(1),
            "first": unsigned(self.list_bits),
            "passes": unsigned(self.pass_bits),
            "gate_mult": unsigned(MULT_BITS),
            "gate_shift": unsigned(SHIFT_BITS),
            "up_mult": unsigned(MULT_BITS),
            "up_shift": unsigned(SHIFT_BITS),
        })
        #: one lane's part of a token list entry
        self.token_layout = data.StructLayout({
            "valid": unsigned(1),
            "token": unsigned(self.token_bits),
            "mult": unsigned(MULT_BITS),
        })
        #: token list entry: one token a lane
        self.pass_layout = data.ArrayLayout(self.token_layout, tile.mac_t)
        self.activation_bits = 8 * tile.mac_k
        self.activation_depth = tile.lane_tokens * config.gate_up_chunks
        self.result_bits = 32 * tile.mac_n
        #: results of a token lie in two banks, even and odd groups, so its words are padded to an even number
        self.result_stride = 2 * ceil_div(config.down_groups, 2)
        self.result_depth = tile.lane_tokens * self.result_stride

    def table_shape(self, table: Table) -> tuple[int, int]:
        """``(depth, width in bits)`` of a table memory (of one lane for ACTIVATIONS and RESULTS)."""
        return {
            Table.RULES: (self.config.layer.experts, self.rule_layout.size),
            Table.LOADS: (self.load_depth, self.load_layout.size),
            Table.TOKENS: (self.list_depth, self.pass_layout.size),
            Table.ACTIVATIONS: (self.activation_depth, self.activation_bits),
            Table.RESULTS: (self.result_depth, self.result_bits),
        }[table]

    @property
    def table_index_bits(self) -> int:
        """Width of an index into the deepest table."""
        return max(bits_for(self.table_shape(table)[0] - 1) for table in Table)

    @property
    def table_write_bits(self) -> int:
        """Width of the widest table that the host writes."""
        return max(self.table_shape(table)[1] for table in Table if table is not Table.RESULTS)

    @property
    def lane_bits(self) -> int:
        """Width of a lane number."""
        return bits_for(self.config.tile.mac_t - 1)
