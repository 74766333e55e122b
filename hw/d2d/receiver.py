"""The receiver: puts an arriving slice into the slot that was reserved for it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.d2d.port import Arriving, SliceFlit
from trajectile.hw.lib.block import Block
from trajectile.hw.memory.expert_buffer import SlotWrite
from trajectile.hw.rules.ports import ReceivePort


class SliceReceiver(Block):
    """Writes every payload flit to its place in the slot. On cut-through the sender takes the flit in the same cycle.

    It takes every flit at once, because the slice has its slot. In the cycle in which a header flit is at ``slices``, the
    rule engine answers with ``cut``.

    Latency: a flit is written in the cycle in which it arrives (``latency_cycles`` = 0); ``receive.done`` comes with the
    last. Throughput: one flit per cycle. Storage: none for payload.
    """

    latency_cycles = 0

    slices: SliceFlit.Interface
    receive: ReceivePort.Interface
    cut: Signal
    arriving: Arriving.Interface
    write: SlotWrite.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "slices": In(SliceFlit(params)),  #: from the router
            "receive": In(ReceivePort(params)),  #: to the rule engine
            "cut": In(1),  #: send the slice on as it arrives
            "arriving": Out(Arriving(params)),  #: to the sender
            **({} if params.timing_only else  # to the expert buffer
               {"write": Out(SlotWrite(params, params.config.word_flits, params.config.flit_bytes))}),
        })

    def elaborate(self, platform: object) -> Module:
        """Header, then payload."""
        m = Module()
        params, config = self.params, self.params.config
        flit, payload, receive = self.slices.flit, self.slices.payload, self.receive
        header = data.View(params.header_layout, flit.payload[:params.header_layout.size])
        slot = Signal(params.slot_bits)
        cutting = Signal()
        m.d.comb += [
            receive.header.eq(self.slices.header),
            receive.header_slot.eq(header.slot),
            self.arriving.copy.eq(payload & cutting), self.arriving.payload.eq(flit.payload),
            self.arriving.last.eq(receive.done),
            receive.done.eq(payload & flit.tail), receive.done_slot.eq(slot),
        ]
        with m.If(receive.header):
            m.d.sync += [slot.eq(header.slot), cutting.eq(self.cut)]
        if params.timing_only:
            return m
        piece = Signal(bits_for(config.word_flits - 1))
        word = Signal(params.word_addr_bits)
        first = Signal(init=1)  # that word is the slice's first, which may have fewer flits
        last_piece = piece == Mux(first, params.first_word_flits - 1, config.word_flits - 1)
        with m.If(payload):
            m.d.sync += piece.eq(Mux(last_piece, 0, piece + 1))
            with m.If(last_piece):
                m.d.sync += [word.eq(Mux(flit.tail, 0, word + 1)), first.eq(flit.tail)]
        m.d.comb += [
            self.write.en.eq(payload), self.write.slot.eq(slot), self.write.addr.eq(word), self.write.piece.eq(piece),
            self.write.data.eq(flit.payload),
        ]
        return m
