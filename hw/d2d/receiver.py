"""The receiver: puts an arriving slice into the slot that was reserved for it."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from hw.lib.emit import Block
from hw.memory.expert_buffer import SlotWrite
from hw.params import Params


class SliceReceiver(Block):
    """Assembles weight words of flits and writes them; on cut-through the sender gets every flit too.

    It takes what comes: the slice has its slot. In the cycle in which a header flit stands at ``flit`` the rule engine
    answers with ``cut``.

    Latency: a word is written in the cycle after its last flit; ``arrived`` goes with the last word.
    Throughput: one flit a cycle. Storage: one weight word, or two flits if that is more.
    """

    def __init__(self, params: Params):
        self.params = params
        #: the flits that it keeps
        self.depth = max(2, params.config.word_flits)
        super().__init__({
            "valid": In(1),  #: a flit comes
            "flit": In(params.flit_layout),  #: from the router
            "header": Out(1),  #: it is a header flit
            "header_slot": Out(params.slot_bits),  #: the slot that was reserved for its slice
            "cut": In(1),  #: send the slice on as it arrives
            "copy": Out(1),  #: a payload flit of such a slice comes; in the next cycle it is ``last[0]``
            "other": Out(1),  #: one of another slice comes, and pushes the same on
            "last": Out(data.ArrayLayout(params.payload_bits, 2)),  #: the payload flits that came last, newest first
            "arrived": Out(1),  #: the last word is written in this cycle
            "arrived_slot": Out(params.slot_bits),
            **({} if params.timing_only else {"write": Out(SlotWrite(params))}),  #: to the expert buffer
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
            self.other.eq(payload & ~cutting),
        ]
        with m.If(self.header):
            m.d.sync += [slot.eq(header.slot), cutting.eq(self.cut)]

        piece = Signal(bits_for(config.word_flits - 1))
        word = Signal(params.word_addr_bits)
        written = Signal()
        last = Signal(name="last_flit")
        address = Signal(params.word_addr_bits)
        last_piece = piece == config.word_flits - 1
        m.d.sync += written.eq(payload & last_piece)
        with m.If(payload):
            m.d.sync += [piece.eq(Mux(last_piece, 0, piece + 1)), last.eq(self.flit.tail)]
            with m.If(last_piece):
                m.d.sync += [address.eq(word), word.eq(Mux(self.flit.tail, 0, word + 1))]
        m.d.comb += [self.arrived.eq(written & last), self.arrived_slot.eq(slot)]
        if not params.timing_only:
            # Contents need no reset: `written` and the sender know when there are any.
            kept = [Signal(params.payload_bits, name=f"kept_{number}", reset_less=True) for number in range(self.depth)]
            with m.If(payload):
                m.d.sync += [flit.eq(before) for flit, before in zip(kept, [self.flit.payload, *kept], strict=False)]
            m.d.comb += [
                *(self.last[number].eq(kept[number]) for number in range(2)),
                self.write.en.eq(written), self.write.slot.eq(slot), self.write.addr.eq(address),
                self.write.data.eq(Cat(flit[:8 * config.flit_bytes] for flit in reversed(kept[:config.word_flits]))),
            ]
        return m
