"""The receiver: every flit of a packet goes to its place in the reserved slot, and on cut-through to the sender."""

from amaranth.hdl import Mux, Signal
from amaranth.lib import data

from hw.d2d.receiver import SliceReceiver
from tests.formal.sender_spec import SIZE
from tests.formal.spec import Proof, Spec, tiny


class ReceiverSpec(Spec):
    """Whole packets, one after the other, at any pace."""

    def build(self) -> None:
        m, params = self.m, tiny(**SIZE)
        config = params.config
        flits, pieces, words = config.slice_flits, config.word_flits, config.slice_words
        m.submodules.dut = dut = SliceReceiver(params)
        valid, flit = self.free(1, "valid"), self.free(params.flit_layout, "flit")
        cut = self.free(1, "cut")
        m.d.comb += [dut.valid.eq(valid), dut.flit.eq(flit), dut.cut.eq(cut)]
        number = Signal(range(flits + 1))  # 0: a header comes next
        with m.If(valid):
            m.d.sync += number.eq(Mux(number == flits, 0, number + 1))
        self.assume(~valid | ((flit.head == (number == 0)) & (flit.tail == (number == flits))))

        header = data.View(params.header_layout, flit.payload[:params.header_layout.size])
        is_header = self.wire(valid & (number == 0), "is_header")
        slot, cutting = Signal(params.slot_bits), Signal()
        with m.If(is_header):
            m.d.sync += [slot.eq(header.slot), cutting.eq(cut)]
        self.claim("write", "a header is told at once", dut.header == is_header)
        self.claim("write", "its slot", dut.header_slot == header.slot, when=is_header)

        # The write of a word belongs to the flit that was taken in the cycle before.
        payload = self.wire(valid & (number != 0), "payload")
        ends = self.past(payload & ((number - 1) % pieces == pieces - 1), "ends")
        where = self.past((number - 1) // pieces, "where")
        write_slot = self.past(slot, "write_slot")
        self.claim("write", "a word is written when its last piece has come", dut.write.en == ends)
        self.claim("write", "at its place in the reserved slot", (dut.write.slot == write_slot) & (dut.write.addr == where),
                   when=dut.write.en)
        done = self.past(valid & (number == flits), "done")
        self.claim("write", "arrived, once, with the last word",
                   (dut.arrived == done) & ((dut.arrived_slot == write_slot) | ~dut.arrived))
        word, piece = self.constant(range(words), "word"), self.constant(range(pieces), "piece")
        contents = self.constant(8, "contents")
        self.assume(~valid | (number != word * pieces + piece + 1) | (flit.payload == contents))
        self.claim("write", "its pieces in order, lowest first", dut.write.data.word_select(piece, 8) == contents,
                   when=dut.write.en & (dut.write.addr == word))

        cuts = self.wire(valid & (number != 0) & cutting, "cuts")
        self.claim("copy", "every payload flit is announced to the sender, if it is cut-through", dut.copy == cuts)
        self.claim("copy", "if it is not, it is announced as another's", dut.other == (payload & ~cuts))
        before = Signal(params.payload_bits)
        with m.If(payload):
            m.d.sync += before.eq(flit.payload)
        self.claim("copy", "the newest is shown from the next cycle on", dut.last[0] == before)
        self.claim("copy", "and the one before it", dut.last[1] == self.past(before, "before_that"),
                   when=self.past(payload, "came"))
        self.claim("copy", "until the next comes", dut.last[1] == self.past(dut.last[1], "kept"),
                   when=~self.past(payload, "came_before"))
        self.reach(done & cutting)
        self.reach(done & ~cutting)


_SIZE = "3 words, 6 flits of 8 bits"
_ASSUMES = "whole packets of a slice's length (router-once, sender-packet)"
PROOFS = (
    Proof(name="receiver-write", block="SliceReceiver", spec=ReceiverSpec, group="write", size=_SIZE, assumes=_ASSUMES,
          says="each word is written once, whole, at its place in the reserved slot; `arrived` once, with the last",
          mutants=("receiver-address-kept", "receiver-early", "receiver-slot-of-next"), reach_bound=40),
    Proof(name="receiver-copy", block="SliceReceiver", spec=ReceiverSpec, group="copy", size=_SIZE, assumes=_ASSUMES,
          says="on cut-through every payload flit is announced to the sender, once, and only then; the last two are shown",
          mutants=("receiver-copies-always", "receiver-newest-twice"), quick=True),
)
