"""What the host writes: table memories and their entries."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum
from amaranth.utils import bits_for

from trajectile.hw.formats import CHOICE_WEIGHT, CLIP_BITS, EXPONENT_BITS
from trajectile.hw.widths import Widths
from trajectile.sw_model.config import Config


class Table(enum.Enum, shape=3):
    """Table memories that the host reaches through the TABLE registers."""

    RULES = 0  #: one rule entry per expert
    LOADS = 1  #: the load list
    TOKENS = 2  #: the token lists: one entry per pass
    ACTIVATIONS = 3  #: activations of a lane: mac_k int8 and their shifts per word, address token * gate_up_chunks + chunk
    RESULTS = 4  #: int32 accumulators of a lane (read only): mac_n per word, address token * result_stride + group
    CLIPS = 5  #: counts of clips of a lane (read only): one per token


#: tables that the host reads; it writes the others
READ_ONLY = (Table.RESULTS, Table.CLIPS)


class TableLayouts(Widths):
    """Layouts of table entries, shapes of table memories."""

    def __init__(self, config: Config, *, timing_only: bool = False):
        super().__init__(config, timing_only=timing_only)
        tile = config.tile
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
        })
        #: one lane's part of a token list entry
        self.token_layout = data.StructLayout({
            "valid": unsigned(1),
            "token": unsigned(self.token_bits),
            "weight": CHOICE_WEIGHT,
            "exponent": signed(EXPONENT_BITS),
        })
        #: token list entry: one token a lane
        self.pass_layout = data.ArrayLayout(self.token_layout, tile.mac_t)

    def table_shape(self, table: Table) -> tuple[int, int]:
        """``(depth, width in bits)`` of a table memory (of one lane for ACTIVATIONS, RESULTS and CLIPS)."""
        return {
            Table.RULES: (self.config.layer.experts, self.rule_layout.size),
            Table.LOADS: (self.load_depth, self.load_layout.size),
            Table.TOKENS: (self.list_depth, self.pass_layout.size),
            Table.ACTIVATIONS: (self.activation_depth, self.activation_bits),
            Table.RESULTS: (self.result_depth, self.result_bits),
            Table.CLIPS: (self.config.tile.lane_tokens, CLIP_BITS),
        }[table]

    @property
    def table_index_bits(self) -> int:
        """Width of an index into the deepest table."""
        return max(bits_for(self.table_shape(table)[0] - 1) for table in Table)

    @property
    def table_write_bits(self) -> int:
        """Width of the widest table that the host writes."""
        return max(self.table_shape(table)[1] for table in Table if table not in READ_ONLY)
