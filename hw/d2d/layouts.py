"""What travels between tiles: ports, slice packets, control lanes, frames."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.formats import CLIP_BITS, EXPONENT_BITS
from trajectile.sw_model.config import Config


class Port(enum.Enum, shape=3):
    """Ports of a tile's router."""

    NORTH = 0  #: the tile above
    EAST = 1  #: the tile to the right
    SOUTH = 2  #: the tile below
    WEST = 3  #: the tile to the left
    LOCAL = 4  #: this tile


#: flits of records that may be on their way to a tile: its queue has room for so many (a power of two)
RECORD_CREDITS = 16
#: the ports with a link
NEIGHBOURS = (Port.NORTH, Port.EAST, Port.SOUTH, Port.WEST)


class FrameKind(enum.Enum, shape=2):
    """What a frame of the link layer is; neither all zeros nor all ones is a frame."""

    NOTHING = 0  #: no frame: the port has no neighbour, is in reset, is down, or the PHY lost the frame
    IDLE = 1  #: no lane carries anything; ``seq`` is the number of the next DATA frame
    DATA = 2  #: some lane carries something; ``seq`` counts these frames


class LinkState(enum.Enum, shape=2):
    """How far a link has come, as the sender of a frame sees it; only where tiles have clocks of their own."""

    NEW = 0  #: the tile comes out of ``rst`` and knows no epoch yet; the rest of the frame means nothing
    CLOSED = 1  #: nothing has been heard in this epoch, or the tile is in reset
    HEARD = 2  #: the far end has been heard in this epoch
    OPEN = 3  #: the far end has heard this one in this epoch: DATA may go


#: bits of the number of a reset: parts of an array that do not hear each other may be reset so often apart that half a turn
#: is not reached, and still agree upon which of them is the last
EPOCH_BITS = 8


class FlitKind(enum.Enum, shape=2):
    """What a flit is part of, where tokens travel too (docs/dataflows.md)."""

    SLICE = 0  #: a slice's packet
    RECORD = 1  #: token records; ``head``: their number, else a beat, with ``tail`` if it came with an error
    SUMS = 2  #: sums of a token; ``head``: its closing word, else a piece of a group


class LinkLayouts(BatchLayouts):
    """Layouts of what a link carries. With ``timing_only`` a flit is no wider than its header."""

    def __init__(self, config: Config, *, timing_only: bool = False):
        super().__init__(config, timing_only=timing_only)
        #: which slice, of which batch, and its stops ahead: bit i is the tile i + 1 further along the ring
        self.slice_layout = data.StructLayout({
            "expert": unsigned(self.expert_bits),
            "index": unsigned(self.index_bits),
            "batch": unsigned(1),
            "ahead": unsigned(self.ahead_bits),
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
        shares = config.array.shares
        #: the word that closes a token's sums: its clips, the results' unit, and whether that is known
        self.closing_layout = data.StructLayout({
            "clips": unsigned(CLIP_BITS), "unit": signed(EXPONENT_BITS), "known": unsigned(1)})
        self.payload_bits = max(
            0 if timing_only else 8 * config.payload_bytes, self.header_layout.size,
            *((self.io_bits, self.batch_token_bits, self.closing_layout.size) if shares else ()))
        #: one beat of a link; the header travels in the low bits of the payload
        self.flit_layout = data.StructLayout({
            **({"kind": FlitKind} if shares else {}),
            "head": unsigned(1),
            "tail": unsigned(1),
            "payload": unsigned(self.payload_bits),
        })
        #: an item of token records between tiles: a section's header (``head``) with its number of tokens, or a beat of the
        #: io port, with ``error`` if it came with one
        self.record_item_layout = data.StructLayout({
            "head": unsigned(1), "error": unsigned(1), "payload": unsigned(max(self.io_bits, self.batch_token_bits))})
        #: bits of a flit's payload that matter if it is one of sums, or of records
        self.sum_payload_bits = min(self.payload_bits, max(self.result_bits, self.closing_layout.size))
        self.record_payload_bits = self.record_item_layout["payload"].width
        #: what a tile allows the ring-previous one (control lane, back): a flit of records more; its sums
        self.permit_layout = data.StructLayout({"record": unsigned(1), "sums": unsigned(1)})
        #: all lanes of a link in one cycle
        self.lanes_layout = data.StructLayout({
            "flit_valid": unsigned(1),
            "flit": self.flit_layout,
            "request_valid": unsigned(1),
            "request": self.request_layout,
            "grant_valid": unsigned(1),
            "grant": self.grant_layout,
            "count_valid": unsigned(1),
            "count": self.count_layout,
            **({"permit_valid": unsigned(1), "permit": self.permit_layout} if shares else {}),
            "credit": unsigned(1),
        })
        #: tiles that a wave of readiness passes before everybody is known to be ready
        self.ready_hops = config.array.rows + config.array.cols - 1
        #: what each frame says of its tile, where tiles have clocks of their own (docs/clocks.md)
        self.news_layout = data.StructLayout({
            "state": LinkState,
            "epoch": unsigned(EPOCH_BITS),
            "halt": unsigned(1),
            "ready": unsigned(bits_for(self.ready_hops)),
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
            **({"news": self.news_layout} if config.array.independent else {}),
            "lanes": self.lanes_layout,
        })
        self.frame_bits = self.frame_layout.size
