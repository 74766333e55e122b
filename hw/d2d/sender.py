"""The sender: makes a packet of a slice and hands it to the router."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.lib.emit import Block
from hw.memory.expert_buffer import SlotRead
from hw.params import Params


class SliceSender(Block):
    """Sends a header flit and the slice's payload flits, out of its slot or, on cut-through, as the receiver gets them.

    On cut-through a flit goes out two cycles after it came. If the link holds it up, so that it is overtaken by the second
    after it or by the next slice, the rest of the slice is sent out of its slot, once all of it is there: nothing that
    arrives ever waits.

    Latency: ``start`` in cycle c, header flit in c+2, payload flit j in c+3+j, ``idle`` again the cycle after the tail.
    Throughput: one flit a cycle. Storage: none for payload: it stands at the SRAM's output, or with the receiver.
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
            "cut": In(1),  #: it is just arriving: take its flits from the receiver
            "copy": In(1),  #: a payload flit comes; in the next cycle it is ``last[0]``
            "other": In(1),  #: one of another slice comes instead
            "last": In(data.ArrayLayout(params.payload_bits, 2)),  #: the payload flits that came last, newest first
            "arrived": In(1),  #: the last word of a slice is written into its slot in this cycle
            "flits": Out(stream.Signature(params.flit_layout)),  #: to the router; a flit may give way to none (overtaken)
            "sent": Out(1),  #: the tail flit goes to the router in this cycle
            "sent_slot": Out(params.slot_bits),
            **({} if params.timing_only else {"read": Out(SlotRead(params))}),  #: from the expert buffer
        })

    def elaborate(self, platform: object) -> Module:
        """The packet, then where its payload comes from."""
        m = Module()
        params, config = self.params, self.params.config
        flits = self.flits
        busy = Signal()
        cutting = Signal()
        header = Signal(params.header_layout)
        header_due = Signal()
        header_ready = Signal()
        m.d.comb += [self.idle.eq(~busy), self.sent.eq(flits.valid & flits.ready & flits.payload.tail)]

        # The flit lane: header first, then payload.
        pieces = config.word_flits
        current = Signal()  # a flit can go
        piece = Signal(bits_for(pieces - 1))  # which of its word
        left = Signal(range(config.slice_flits + 1))  # payload flits to go
        sends = flits.valid & flits.ready & ~header_due
        last_piece = piece == pieces - 1
        m.d.comb += [
            flits.valid.eq(Mux(header_due, header_ready, current)),
            flits.payload.head.eq(header_due),
            flits.payload.tail.eq(~header_due & (left == 1)),
        ]
        with m.If(self.start):
            m.d.sync += [
                busy.eq(1), self.sent_slot.eq(self.slot),
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

        # Out of the slot: the word stands at the SRAM's output until its last flit has gone. `address` is the next to read.
        address = Signal(range(config.slice_words + 1))
        word_ends = sends & last_piece
        reads = busy & ~cutting & (address != config.slice_words) & (~current | word_ends)
        # Cut-through: `current` stands for the flit that can go, `following` for a newer one.
        following = Signal()
        moves = ~current | sends
        overtaken = Signal()  # in this cycle
        lost = Signal()  # before
        here = Signal()  # all of the slice is in its slot
        m.d.comb += overtaken.eq(cutting & self.copy & following & ~moves)
        with m.If(self.start):
            m.d.sync += [cutting.eq(self.cut), address.eq(0), lost.eq(0), here.eq(0)]
        with m.Elif(cutting):
            m.d.sync += address.eq(address + word_ends)
            with m.If(overtaken | lost | self.other):
                m.d.sync += [current.eq(0), following.eq(0), lost.eq(1)]
            with m.Elif(moves):
                m.d.sync += [current.eq(following), following.eq(self.copy)]
            with m.Elif(self.copy):
                m.d.sync += following.eq(1)
            with m.If(self.arrived):
                m.d.sync += here.eq(1)
            with m.If(lost & here):
                m.d.sync += cutting.eq(0)
        with m.Else():
            m.d.sync += address.eq(address + reads)
            with m.If(reads | word_ends):
                m.d.sync += current.eq(reads)

        if params.timing_only:
            m.d.comb += flits.payload.payload.eq(header)
            return m
        flit = Signal(params.payload_bits)
        m.d.comb += [
            self.read.en.eq(reads), self.read.slot.eq(self.sent_slot), self.read.addr.eq(address),
            flit.eq(Mux(cutting, Mux(following, self.last[1], self.last[0]),
                        self.read.data.word_select(piece, 8 * config.flit_bytes))),
            flits.payload.payload.eq(Mux(header_due, header.as_value(), flit)),
        ]
        return m
