"""The sender: makes a packet of a slice and hands it to the router."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.lib.emit import Block
from hw.memory.expert_buffer import SlotRead
from hw.params import Params


class SliceSender(Block):
    """Sends a header flit and the slice's payload flits, out of its slot or, on cut-through, as the receiver gets them.

    Latency: ``start`` in cycle c, header flit in c+2, payload flit j in c+3+j, ``idle`` again the cycle after the tail.
    Throughput: one flit a cycle. Storage: one weight word, and one flit on the way from the receiver.
    """

    def __init__(self, params: Params):
        self.params = params
        super().__init__({
            "idle": Out(1),  #: a slice can be started
            "start": In(1),  #: send a slice
            "slot": In(params.slot_bits),  #: the slot it is in
            "slice": In(params.slice_layout),  #: which slice it is
            "to_tile": In(params.tile_bits),  #: the ring-next tile
            "to_slot": In(params.slot_bits),  #: the slot reserved there
            "cut": In(1),  #: it is just arriving: take its flits from ``copy``
            "copy": In(stream.Signature(params.payload_bits)),  #: payload flits from the receiver
            "flits": Out(stream.Signature(params.flit_layout)),  #: to the router
            "sent": Out(1),  #: the tail flit goes to the router in this cycle
            "sent_slot": Out(params.slot_bits),
            **({} if params.timing_only else {"read": Out(SlotRead(params))}),  #: from the expert buffer
        })

    def elaborate(self, platform: object) -> Module:
        """Three stages: word read (or flit taken over), flit source, flit out."""
        m = Module()
        params, config = self.params, self.params.config
        flits = self.flits
        busy = Signal()
        cutting = Signal()
        header = Signal(params.header_layout)
        header_due = Signal()
        header_ready = Signal()
        m.d.comb += [self.idle.eq(~busy), self.sent.eq(flits.valid & flits.ready & flits.payload.tail)]

        # The flit lane: header first, then payload out of `current`.
        pieces = config.word_flits
        current_valid = Signal()
        piece = Signal(bits_for(pieces - 1))
        left = Signal(range(config.slice_flits + 1))  # payload flits to go
        sends = flits.valid & flits.ready & ~header_due
        last_piece = cutting | (piece == pieces - 1)
        m.d.comb += [
            flits.valid.eq(Mux(header_due, header_ready, current_valid)),
            flits.payload.head.eq(header_due),
            flits.payload.tail.eq(~header_due & (left == 1)),
        ]
        with m.If(self.start):
            m.d.sync += [
                busy.eq(1), cutting.eq(self.cut), self.sent_slot.eq(self.slot),
                header.dst.eq(self.to_tile), header.slot.eq(self.to_slot),
                header.expert.eq(self.slice.expert), header.index.eq(self.slice.index),
                header_due.eq(1), header_ready.eq(0), left.eq(config.slice_flits), piece.eq(0),
            ]
        with m.Else():
            m.d.sync += header_ready.eq(busy)
            with m.If(header_due & flits.valid & flits.ready):
                m.d.sync += header_due.eq(0)
            with m.If(sends):
                m.d.sync += [left.eq(left - 1), piece.eq(Mux(last_piece, 0, piece + 1))]
            with m.If(self.sent):
                m.d.sync += busy.eq(0)

        # `next` stands before `current`: a word at the SRAM's output, or a flit that came from the receiver.
        next_valid = Signal()
        room = ~current_valid | (sends & last_piece)  # `current` takes a word or flit in this cycle
        refill = ~next_valid | room
        unread = Signal(range(config.slice_words + 1))
        reads = busy & ~cutting & (unread != 0) & refill
        m.d.comb += self.copy.ready.eq(cutting & refill)
        with m.If(self.start):
            m.d.sync += unread.eq(config.slice_words)
        with m.Elif(reads):
            m.d.sync += unread.eq(unread - 1)
        with m.If(refill):
            m.d.sync += next_valid.eq(reads | (self.copy.valid & cutting))
        with m.If(room):
            m.d.sync += current_valid.eq(next_valid)

        if params.timing_only:
            m.d.comb += flits.payload.payload.eq(header)
            return m
        flit_bits = 8 * config.flit_bytes
        current = Signal(flit_bits * pieces)
        copied = Signal(params.payload_bits)
        address = Signal(params.word_addr_bits)
        m.d.comb += [
            self.read.en.eq(reads), self.read.slot.eq(self.sent_slot), self.read.addr.eq(address),
            flits.payload.payload.eq(Mux(header_due, header.as_value(), current[:flit_bits])),
        ]
        with m.If(self.start):
            m.d.sync += address.eq(0)
        with m.Elif(reads):
            m.d.sync += address.eq(address + 1)
        with m.If(self.copy.valid & self.copy.ready):
            m.d.sync += copied.eq(self.copy.payload)
        with m.If(room):
            m.d.sync += current.eq(Mux(cutting, copied, self.read.data))
        with m.Elif(sends):
            m.d.sync += current.eq(current >> flit_bits)
        return m
