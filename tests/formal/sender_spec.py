"""The sender: a header flit, exactly the slice's payload flits in order, a tail; it reads the slot it was given."""

from amaranth.hdl import Mux, Signal

from hw.d2d.sender import SliceSender
from tests.formal.spec import Proof, Spec, tiny

#: three words of two 8-bit flits
SIZE = {"layer__d_model": 2, "layer__d_ff": 1, "layer__experts": 2, "layer__top_k": 1, "tile__mac_k": 1, "tile__mac_n": 2,
        "tile__mac_t": 1, "tile__slices": 1, "tile__slots": 2, "link__beat_bytes": 1, "ddr__bytes_per_cycle": 1}


class SenderSpec(Spec):
    """Any slices, out of their slots or cut-through; the router and the receiver stall as they like."""

    def build(self) -> None:
        m, params = self.m, tiny(**SIZE)
        config = params.config
        flits, pieces, words = config.slice_flits, config.word_flits, config.slice_words
        m.submodules.dut = dut = SliceSender(params)
        start, cut, slot = self.free(1, "start"), self.free(1, "cut"), self.free(params.slot_bits, "slot")
        slice_, to_tile = self.free(params.slice_layout, "slice"), self.free(params.tile_bits, "to_tile")
        to_slot, ready = self.free(params.slot_bits, "to_slot"), self.free(1, "ready")
        copy, last_flits = self.free(1, "copy"), [self.free(params.payload_bits, f"last_{number}") for number in range(2)]
        arrived, other = self.free(1, "arrived"), self.free(1, "other")
        read_data = self.free(params.word_bits, "read_data")
        m.d.comb += [
            dut.start.eq(start), dut.cut.eq(cut), dut.slot.eq(slot), dut.slice.eq(slice_), dut.to_tile.eq(to_tile),
            dut.to_slot.eq(to_slot), dut.flits.ready.eq(ready), dut.copy.eq(copy), dut.arrived.eq(arrived),
            dut.other.eq(other),
            *(dut.last[number].eq(flit) for number, flit in enumerate(last_flits)), dut.read.data.eq(read_data),
        ]
        # The job, and how many flits of it have gone.
        busy, job_cut, job_slot = Signal(), Signal(), Signal(params.slot_bits)
        header, number = Signal(params.header_layout), Signal(range(flits + 2))
        out = dut.flits
        goes = self.wire(out.valid & ready, "goes")
        last = self.wire(goes & (number == flits), "last")
        with m.If(start):
            m.d.sync += [
                busy.eq(1), job_cut.eq(cut), job_slot.eq(slot), number.eq(0), header.dst.eq(to_tile), header.slot.eq(to_slot),
                header.expert.eq(slice_.expert), header.index.eq(slice_.index),
            ]
        with m.Elif(goes):
            m.d.sync += [number.eq(number + 1), busy.eq(~last)]
        self.assume(~start | ~busy)
        # The SRAM shows a word until the next read, the receiver its last two flits until another comes.
        newest, before, data_before = (self.past(value, f"{name}_was") for name, value in (
            ("newest", last_flits[0]), ("before", last_flits[1]), ("read_data", read_data)))
        self.assume(self.past(dut.read.en, "read") | (read_data == data_before))
        self.assume(Mux(self.past(copy | other, "came"), last_flits[1] == newest,
                        (last_flits[0] == newest) & (last_flits[1] == before)))
        # Cut-through: how many of its payload flits have come; whether two were still to go when another came.
        copied, here = Signal(range(flits + 1)), Signal()
        gone = Mux(number == 0, 0, number - 1)
        overtaken, over_before, pushed = Signal(), Signal(), Signal()
        over = self.wire(busy & job_cut & (overtaken | pushed | (copied >= gone + 3)), "over")
        with m.If(start):
            m.d.sync += [copied.eq(0), overtaken.eq(0), here.eq(0), over_before.eq(0), pushed.eq(0)]
        with m.Else():
            m.d.sync += [copied.eq(copied + (copy & busy & job_cut)), overtaken.eq(over), over_before.eq(over)]
            with m.If(arrived):
                m.d.sync += here.eq(1)
            with m.If(other):
                m.d.sync += pushed.eq(1)
        self.assume(~other | ~busy | ~job_cut | here)
        self.assume(~copy | (busy & job_cut & (copied != flits)))
        self.assume(~busy | ~job_cut | (arrived == self.past(copy & (copied == flits - 1), "ended")))

        self.claim("packet", "idle tells whether a slice can be started", dut.idle == ~busy)
        self.claim("packet", "nothing goes out without a slice", busy, when=out.valid)
        self.claim("packet", "first the header", out.payload.head & (out.payload.payload == header.as_value()),
                   when=out.valid & (number == 0))
        self.claim("packet", "then the payload, and no more than the slice has", ~out.payload.head & (number <= flits),
                   when=out.valid & (number != 0))
        self.claim("packet", "tail on the last flit only", out.payload.tail == (number == flits), when=out.valid)
        self.claim("packet", "what is offered stays until it is taken, or overtaken",
                   out.valid & (out.payload.as_value() == self.past(out.payload.as_value(), "out_before")),
                   when=self.past(out.valid & ~ready, "waited") & ((number == 0) | ~over | over_before))
        self.claim("packet", "sent, and which", (dut.sent == last) & ((dut.sent_slot == job_slot) | ~dut.sent))
        since = Signal(2)
        m.d.sync += since.eq(Mux(start, 1, Mux(since == 3, 3, since + 1)))
        self.claim("packet", "header two cycles after start, and out of a slot no gap before the tail", out.valid,
                   when=busy & (since >= 2) & (~job_cut | (number == 0)))
        self.reach(last & job_cut & ~over)
        self.reach(last & over)
        self.reach(last & ~job_cut)

        # One word is followed.
        word, contents = self.constant(range(words), "word"), self.constant(8 * config.tile.word_bytes, "contents")
        shown = Signal()
        with m.If(dut.read.en):
            m.d.sync += shown.eq(dut.read.addr == word)
        self.assume(~shown | (read_data == contents))
        for piece in range(pieces):
            place = word * pieces + piece
            for age, flit in enumerate(last_flits):
                self.assume(pushed | (copied != place + 1 + age) | (flit == contents.word_select(piece, 8)))
            self.claim("order", "each piece of it at its place", out.payload.payload == contents.word_select(piece, 8),
                       when=out.valid & (number == place + 1))
        self.claim("order", "no flit goes out before it has come", copied >= number, when=out.valid & job_cut & (number != 0))
        has = self.wire(busy & job_cut & ~over & (number != 0) & (copied >= number), "has")
        self.claim("order", "one that has come goes out two cycles later if it may", out.valid,
                   when=has & self.past(has & ~out.valid, "behind"))
        since_here = Signal(2)
        m.d.sync += since_here.eq(Mux(here & over, Mux(since_here == 3, 3, since_here + 1), 0))
        self.claim("order", "when all of an overtaken slice is there, the rest goes without a gap", out.valid,
                   when=over & (since_here >= 2))
        self.claim("slot", "only the slice's own slot is read, when all of it is there",
                   busy & (~job_cut | here) & (dut.read.slot == job_slot) & (dut.read.addr < words), when=dut.read.en)


_SIZE = "3 words, 6 flits of 8 bits"
_ASSUMES = "started only when idle (engine-send); cut-through flits come in whole packets (receiver-copy)"


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    return Proof(name=f"sender-{group}", block="SliceSender", spec=SenderSpec, group=group, says=says, size=_SIZE,
                 assumes=_ASSUMES, mutants=mutants, **others)


PROOFS = (
    _proof("packet", "a header, exactly the slice's flits, tail on the last and only there; held until taken",
           "sender-one-flit-short", "sender-tail-early", "sender-header-changes", reach_bound=40),
    _proof("order", "payload is the slot's words, in order, out of the slot or as they arrive, also when the link stalls",
           "sender-skips-a-word", "sender-overtaken-unnoticed", "sender-next-unnoticed",
           "sender-resumes-from-start", "sender-pieces-turned"),
    _proof("slot", "reads only the slot of the slice that it sends, and only when all of it is there",
           "sender-reads-on-cut", "sender-resumes-early"),
)
