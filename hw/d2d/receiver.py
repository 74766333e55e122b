"""The receiver: puts an arriving slice into the slot that was reserved for it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.lib.emit import Block
from hw.memory.expert_buffer import SlotWrite
from hw.params import Params


class SliceReceiver(Block):
    """Assembles weight words of flits and writes them; on cut-through it also hands every flit to the sender.

    In the cycle in which a header flit stands at ``flits`` the rule engine answers with ``cut``; the header is taken in that
    cycle. Latency: a word is written in the cycle after its last flit; ``arrived`` goes with the last word.
    Throughput: one flit a cycle. Storage: one weight word.
    """

    def __init__(self, params: Params):
        self.params = params
        super().__init__({
            "flits": In(stream.Signature(params.flit_layout)),  #: from the router
            "header": Out(1),  #: a header flit is taken in this cycle
            "header_slot": Out(params.slot_bits),  #: the slot that was reserved for its slice
            "cut": In(1),  #: send the slice on as it arrives
            "copy": Out(stream.Signature(params.payload_bits)),  #: its payload flits, to the sender
            "arrived": Out(1),  #: the last word is written in this cycle
            "arrived_slot": Out(params.slot_bits),
            **({} if params.timing_only else {"write": Out(SlotWrite(params))}),  #: to the expert buffer
        })

    def elaborate(self, platform: object) -> Module:
        """Header, then payload."""
        m = Module()
        params, config = self.params, self.params.config
        flits = self.flits
        header = data.View(params.header_layout, flits.payload.payload[:params.header_layout.size])
        slot = Signal(params.slot_bits)
        cutting = Signal()
        payload = flits.valid & ~flits.payload.head
        m.d.comb += [
            self.header.eq(flits.valid & flits.payload.head),
            self.header_slot.eq(header.slot),
            self.copy.valid.eq(payload & cutting),
            self.copy.payload.eq(flits.payload.payload),
            flits.ready.eq(flits.payload.head | ~cutting | self.copy.ready),
        ]
        with m.If(self.header):
            m.d.sync += [slot.eq(header.slot), cutting.eq(self.cut)]

        taken = payload & flits.ready
        piece = Signal(bits_for(config.word_flits - 1))
        word = Signal(params.word_addr_bits)
        written = Signal()
        last = Signal()
        address = Signal(params.word_addr_bits)
        last_piece = piece == config.word_flits - 1
        m.d.sync += written.eq(taken & last_piece)
        with m.If(taken):
            m.d.sync += [piece.eq(Mux(last_piece, 0, piece + 1)), last.eq(flits.payload.tail)]
            with m.If(last_piece):
                m.d.sync += [address.eq(word), word.eq(Mux(flits.payload.tail, 0, word + 1))]
        m.d.comb += [self.arrived.eq(written & last), self.arrived_slot.eq(slot)]
        if not params.timing_only:
            flit_bits = 8 * config.flit_bytes
            shift = Signal(flit_bits * config.word_flits)
            with m.If(taken):
                m.d.sync += shift.eq(Cat(shift, flits.payload.payload[:flit_bits])[flit_bits:])
            m.d.comb += [
                self.write.en.eq(written), self.write.slot.eq(slot),
                self.write.addr.eq(address), self.write.data.eq(shift),
            ]
        return m
