"""The sender: a header flit, exactly the slice's payload flits in order, a tail; it reads the slot it was given."""

from amaranth.hdl import Mux, Signal

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d.sender import SliceSender

#: five words, three of parameters and two of weights, of two flits and two DDR beats of 16 bits
SIZE = {"layer__d_model": 2, "layer__d_ff": 1, "layer__experts": 2, "layer__top_k": 1, "tile__mac_k": 2, "tile__mac_n": 2,
        "tile__mac_t": 1, "tile__slices": 1, "tile__slots": 2, "tile__weights": "int4", "link__beat_bytes": 2,
        "ddr__bytes_per_cycle": 2}
#: three words, the first of one flit and one beat
SHORT = SIZE | {"parameter_bytes": 2}


class SenderSpec(Spec):
    """Any slices, out of their slots or cut-through; the router stalls and flits arrive as they like."""

    changes: dict = SHORT
    #: how much later a slot's words come, and go to the link
    read_later, sent_later = 0, 0

    def build(self) -> None:
        m, params = self.m, tiny(**self.changes)
        config = params.config
        flits, pieces, words = config.slice_flits, config.word_flits, config.slice_words
        first = flits - (words - 1) * pieces  # flits of the first word
        m.submodules.dut = dut = SliceSender(params)
        start, cut, slot = self.free(1, "start"), self.free(1, "cut"), self.free(params.slot_bits, "slot")
        slice_, to_slot = self.free(params.slice_layout, "slice"), self.free(params.slot_bits, "to_slot")
        ready = self.free(1, "ready")
        copy, arriving = self.free(1, "copy"), self.free(params.payload_bits, "arriving")
        arrived = self.free(1, "arrived")
        read_data = self.free(params.word_bits, "read_data")
        m.d.comb += [
            dut.send.start.eq(start), dut.send.cut.eq(cut), dut.send.slot.eq(slot), dut.send.slice.eq(slice_),
            dut.send.to_slot.eq(to_slot), dut.flits.ready.eq(ready), dut.arriving.copy.eq(copy),
            dut.arriving.payload.eq(arriving), dut.arriving.last.eq(arrived),
            dut.read.data.eq(read_data),
        ]
        # The job, from the cycle of its start on, and how many flits of it have gone.
        busy, was_cut, was_slot = Signal(), Signal(), Signal(params.slot_bits)
        was_header, count = Signal(params.header_layout), Signal(range(flits + 2))
        job, job_cut = self.wire(busy | start, "job"), self.wire(Mux(start, cut, was_cut), "job_cut")
        job_slot = Mux(start, slot, was_slot)
        number = Signal(range(flits + 2))
        header = Signal(params.header_layout)
        m.d.comb += [number.eq(count), header.eq(was_header)]
        with m.If(start):
            m.d.comb += [number.eq(0), header.slot.eq(to_slot), header.expert.eq(slice_.expert),
                         header.index.eq(slice_.index)]
        out = dut.flits
        goes = self.wire(out.valid & ready, "goes")
        last = self.wire(goes & (number == flits), "last")
        with m.If(job):
            m.d.sync += [busy.eq(~last), was_cut.eq(job_cut), was_slot.eq(job_slot), was_header.eq(header),
                         count.eq(number + goes)]
        self.assume(~start | ~busy)
        # The SRAM shows a word until the next read.
        reads, address = dut.read.en, dut.read.addr
        for stage in range(self.read_later):
            reads, address = self.past(reads, f"read_{stage}"), self.past(address, f"address_{stage}")
        self.assume(self.past(reads, "read") | (read_data == self.past(read_data, "read_data_was")))
        # Cut-through: how many of its payload flits came before this cycle; whether one of them did not go on at once.
        copied, here, over = Signal(range(flits + 1)), Signal(), Signal()
        with m.If(start):
            m.d.sync += [copied.eq(0), here.eq(0), over.eq(0)]
        with m.Elif(busy & job_cut):
            m.d.sync += copied.eq(copied + copy)
            with m.If(copy & ~(goes & (number != 0))):
                m.d.sync += over.eq(1)
            with m.If(arrived):
                m.d.sync += here.eq(1)
        self.assume(~copy | (busy & job_cut & (copied != flits)))
        self.assume(~busy | ~job_cut | (arrived == (copy & (copied == flits - 1))))

        self.claim("packet", "ready tells whether a slice can be started", dut.send.ready == ~busy)
        self.claim("packet", "nothing goes out without a slice", job, when=out.valid)
        self.claim("packet", "first the header", out.payload.head & (out.payload.payload == header.as_value()),
                   when=out.valid & (number == 0))
        self.claim("packet", "then the payload, and no more than the slice has", ~out.payload.head & (number <= flits),
                   when=out.valid & (number != 0))
        self.claim("packet", "tail on the last flit only", out.payload.tail == (number == flits), when=out.valid)
        self.claim("packet", "what is offered stays until it is taken, or overtaken",
                   out.valid & (out.payload.as_value() == self.past(out.payload.as_value(), "out_before")),
                   when=self.past(out.valid & ~ready & ((number == 0) | ~job_cut | over), "waited"))
        self.claim("packet", "sent, and which", (dut.send.done == last) & ((dut.send.done_slot == job_slot) | ~dut.send.done))
        first_goes = 2 + self.sent_later
        since = Signal(range(first_goes + 1))
        m.d.sync += since.eq(Mux(start, 1, Mux(since == first_goes, first_goes, since + 1)))
        self.claim("packet", "header in the cycle of start", out.valid, when=job & (number == 0))
        self.claim("packet", "out of a slot from the first word on no gap before the tail", out.valid,
                   when=busy & (since >= first_goes) & ~job_cut)
        self.reach(last & job_cut & ~over)
        self.reach(last & over)
        self.reach(last & ~job_cut)

        # One word is followed.
        word, contents = self.constant(range(words), "word"), self.constant(8 * config.tile.word_bytes, "contents")
        shown = Signal()
        with m.If(reads):
            m.d.sync += shown.eq(address == word)
        self.assume(~shown | (read_data == contents))
        bits = 8 * config.flit_bytes
        for piece in range(pieces):
            has, place = (word != 0) | (piece < first), word * pieces + piece - Mux(word == 0, 0, pieces - first)
            self.assume(~copy | (copied != place) | ~has | (arriving == contents.word_select(piece, bits)))
            self.claim("order", "each piece of it at its place", out.payload.payload == contents.word_select(piece, bits),
                       when=out.valid & (number == place + 1) & has)
        self.claim("order", "no flit goes out before it has come", copied + copy >= number,
                   when=out.valid & busy & job_cut & (number != 0))
        self.claim("order", "one that comes goes out in the same cycle if it may", out.valid & (number == copied + 1),
                   when=copy & ~over & (number != 0))
        since_here = Signal(range(first_goes + 1))
        m.d.sync += since_here.eq(Mux(busy & here & over, Mux(since_here == first_goes, first_goes, since_here + 1), 0))
        self.claim("order", "when all of an overtaken slice is there, the rest goes without a gap", out.valid,
                   when=busy & over & (since_here >= first_goes))
        self.claim("slot", "only the slice's own slot is read, when all of it is there",
                   busy & (~job_cut | here) & (dut.read.slot == job_slot) & (dut.read.addr < words), when=dut.read.en)


class WholeSenderSpec(SenderSpec):
    """The same where all words are whole."""

    changes = SIZE


class QueueSenderSpec(SenderSpec):
    """The same out of slots with registers, whose words wait in a queue."""

    changes = SHORT | {"tile__register_slots": True}
    read_later, sent_later = 1, 2


class NarrowSenderSpec(QueueSenderSpec):
    """The same where a word is one flit."""

    changes = SIZE | {"tile__register_slots": True, "link__beat_bytes": 4}


_SIZE = "3 words of 2 flits of 16 bits, the first of one"
_WHOLE = "5 words of 2 flits of 16 bits"
_NARROW = "5 words of a flit of 32 bits"
_ASSUMES = "started only when idle (engine-send); cut-through flits come in whole packets (receiver-copy)"


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    others = {"name": f"sender-{group}", "spec": SenderSpec, "size": _SIZE} | others
    return Proof(block="SliceSender", group=group, says=says, assumes=_ASSUMES, mutants=mutants, **others)


PROOFS = (
    _proof("packet", "a header, exactly the slice's flits, tail on the last and only there; held until taken",
           "sender-one-flit-short", "sender-tail-early", "sender-header-changes", "sender-header-once", reach_bound=40),
    _proof("packet", "the same where all words are whole", "sender-one-flit-short", name="sender-packet-whole",
           spec=WholeSenderSpec, size=_WHOLE, reach_bound=60),
    _proof("packet", "the same with a queue of words, which a full link never empties", "queue-shallow",
           name="sender-packet-queue", spec=QueueSenderSpec, reach_bound=60),
    _proof("packet", "the same where a word is one flit", "queue-shallow", name="sender-packet-narrow", spec=NarrowSenderSpec,
           size=_NARROW, reach_bound=60),
    _proof("order", "payload is the slot's words, in order, out of the slot or as they arrive, also when the link stalls",
           "sender-skips-a-word", "sender-overtaken-unnoticed", "sender-overtaken-by-header",
           "sender-resumes-from-start", "sender-pieces-turned", "sender-first-word-whole"),
    _proof("order", "the same where all words are whole", "sender-pieces-turned", name="sender-order-whole",
           spec=WholeSenderSpec, size=_WHOLE),
    _proof("order", "the same with a queue of words", "queue-place-kept", name="sender-order-queue", spec=QueueSenderSpec),
    _proof("order", "the same where a word is one flit, and a slice has more words than places", "queue-overflows",
           "queue-place-kept", name="sender-order-narrow", spec=NarrowSenderSpec, size=_NARROW),
    _proof("slot", "reads only the slot of the slice that it sends, and only when all of it is there",
           "sender-reads-on-cut", "sender-resumes-early"),
    _proof("slot", "the same with a queue of words", "sender-reads-on-cut", name="sender-slot-queue", spec=QueueSenderSpec),
)
