"""The receiver: every flit of a packet goes to its place in the reserved slot, and on cut-through to the sender."""

from amaranth.hdl import Mux, Signal
from amaranth.lib import data

from tests.formal.sender_spec import SHORT, SIZE
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d.receiver import SliceReceiver


class ReceiverSpec(Spec):
    """Whole packets, one after the other, at any pace."""

    changes: dict = SHORT

    def build(self) -> None:
        m, params = self.m, tiny(**self.changes)
        config = params.config
        flits, pieces = config.slice_flits, config.word_flits
        missing = config.slice_words * pieces - flits  # flits that the first word has not
        m.submodules.dut = dut = SliceReceiver(params)
        comes, flit = self.free(1, "comes"), self.free(params.flit_layout, "flit")
        cut = self.free(1, "cut")
        valid = self.wire(comes, "valid")
        m.d.comb += [dut.slices.header.eq(valid & flit.head), dut.slices.payload.eq(valid & ~flit.head),
                     dut.slices.flit.eq(flit), dut.cut.eq(cut)]
        number = Signal(range(flits + 1))  # 0: a header comes next
        with m.If(valid):
            m.d.sync += number.eq(Mux(number == flits, 0, number + 1))
        self.assume(~valid | ((flit.head == (number == 0)) & (flit.tail == (number == flits))))

        header = data.View(params.header_layout, flit.payload[:params.header_layout.size])
        is_header = self.wire(valid & (number == 0), "is_header")
        slot, cutting = Signal(params.slot_bits), Signal()
        with m.If(is_header):
            m.d.sync += [slot.eq(header.slot), cutting.eq(cut)]
        self.claim("write", "a header is told at once", dut.receive.header == is_header)
        self.claim("write", "its slot", dut.receive.header_slot == header.slot, when=is_header)

        payload = self.wire(valid & (number != 0), "payload")
        place = number - 1 + Mux(number <= pieces - missing, 0, missing)
        self.claim("write", "every payload flit is written at once", dut.write.en == payload)
        self.claim("write", "at its place in the reserved slot",
                   (dut.write.slot == slot) & (dut.write.addr == place // pieces) & (dut.write.piece == place % pieces),
                   when=dut.write.en)
        self.claim("write", "as it came", dut.write.data == flit.payload, when=dut.write.en)
        done = self.wire(valid & (number == flits), "done")
        self.claim("write", "arrived, once, with the last",
                   (dut.receive.done == done) & ((dut.receive.done_slot == slot) | ~dut.receive.done))
        self.claim("copy", "every payload flit is announced to the sender, if it is cut-through, and only then",
                   dut.arriving.copy == (payload & cutting))
        self.claim("copy", "as it came, and the sender is told when it is the last",
                   (dut.arriving.payload == flit.payload) & (dut.arriving.last == done), when=dut.arriving.copy)
        self.reach(done & cutting)
        self.reach(done & ~cutting)


class WholeReceiverSpec(ReceiverSpec):
    """The same where all words are whole."""

    changes = SIZE


_SIZE = "3 words of 2 flits of 16 bits, the first of one"
_ASSUMES = "whole packets of a slice's length (router-once, sender-packet)"
PROOFS = (
    Proof(name="receiver-write", block="SliceReceiver", spec=ReceiverSpec, group="write", size=_SIZE, assumes=_ASSUMES,
          says="each flit is written once, at its place in the reserved slot; `arrived` once, with the last",
          mutants=("receiver-address-kept", "receiver-early", "receiver-slot-of-next", "receiver-words-short"),
          reach_bound=40),
    Proof(name="receiver-write-whole", block="SliceReceiver", spec=WholeReceiverSpec, group="write",
          size="5 words of 2 flits of 16 bits", assumes=_ASSUMES, says="the same where all words are whole",
          mutants=("receiver-address-kept",), reach_bound=50),
    Proof(name="receiver-copy", block="SliceReceiver", spec=ReceiverSpec, group="copy", size=_SIZE, assumes=_ASSUMES,
          says="on cut-through every payload flit is announced to the sender, as it came, once, and only then",
          mutants=("receiver-copies-always",), quick=True),
)
