"""The receiver: puts an arriving slice into the slot that was reserved for it."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.lib.block import Block
from trajectile.hw.memory.expert_buffer import SlotWrite
from trajectile.hw.params import Params


class SliceReceiver(Block):
    """Writes every payload flit to its place; on cut-through the sender takes it in the same cycle.

    It takes what comes: the slice has its slot. In the cycle in which a header flit stands at ``flit`` the rule engine
    answers with ``cut``.

    Latency: a flit is written in the cycle in which it comes (``latency_cycles`` = 0); ``arrived`` goes with the last.
    Throughput: one flit a cycle. Storage: none for payload.
    """

    latency_cycles = 0

    valid: Signal
    flit: data.View
    header: Signal
    header_slot: Signal
    cut: Signal
    copy: Signal
    arrived: Signal
    arrived_slot: Signal
    write: SlotWrite.Interface

    def __init__(self, params: Params):
        self.params = params
        super().__init__({
            "valid": In(1),  #: a flit comes
            "flit": In(params.flit_layout),  #: from the router
            "header": Out(1),  #: it is a header flit
            "header_slot": Out(params.slot_bits),  #: the slot that was reserved for its slice
            "cut": In(1),  #: send the slice on as it arrives
            "copy": Out(1),  #: it is a payload flit of such a slice
            "arrived": Out(1),  #: the last flit of a slice is written in this cycle
            "arrived_slot": Out(params.slot_bits),
            **({} if params.timing_only else  # to the expert buffer
               {"write": Out(SlotWrite(params, params.config.word_flits, params.config.flit_bytes))}),
        })

    def elaborate(self, platform: object) -> Module:
        """Header, then payload."""
        m = Module()
        params, config = self.params, self.params.config
        header = data.View(params.header_layout, self.flit.payload[:params.header_layout.size])
        slot = Signal(params.slot_bits)
        cutting = Signal()
        payload = Signal()
        m.d.comb += [
            self.header.eq(self.valid & self.flit.head), payload.eq(self.valid & ~self.flit.head),
            self.header_slot.eq(header.slot),
            self.copy.eq(payload & cutting),
            self.arrived.eq(payload & self.flit.tail), self.arrived_slot.eq(slot),
        ]
        with m.If(self.header):
            m.d.sync += [slot.eq(header.slot), cutting.eq(self.cut)]
        if params.timing_only:
            return m
        piece = Signal(bits_for(config.word_flits - 1))
        word = Signal(params.word_addr_bits)
        last_piece = piece == config.word_flits - 1
        with m.If(payload):
            m.d.sync += piece.eq(Mux(last_piece, 0, piece + 1))
            with m.If(last_piece):
                m.d.sync += word.eq(Mux(self.flit.tail, 0, word + 1))
        m.d.comb += [
            self.write.en.eq(payload), self.write.slot.eq(slot), self.write.addr.eq(word), self.write.piece.eq(piece),
            self.write.data.eq(self.flit.payload),
        ]
        return m
