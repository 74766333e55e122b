"""The reduction: every sum is written once and in time, no bank is read and written at once, words go in turn."""

from typing import ClassVar

from amaranth.hdl import Cat, Mux, Signal, Value

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.reduction import RingReduction

#: tokens of a tile, in one lane, so that a token's place is its number; two outputs
SIZE = {"array__dataflows": "both", "tile__mac_k": 4, "tile__mac_n": 2, "tile__mac_t": 1, "tile__tokens": 3,
        "layer__d_ff": 2, "layer__experts": 2, "layer__top_k": 1, "tile__slices": 1, "tile__slots": 2,
        "ddr__bytes_per_cycle": 1}


class ReductionSpec(Spec):
    """Any shared batches, one after the other; sums come after the permit, at any pace, and the link takes what it likes."""

    #: groups of a token, flits of a group
    shape: ClassVar[tuple[int, int]] = (2, 2)

    def build(self) -> None:
        m, (groups, flits) = self.m, self.shape
        params = tiny(**SIZE, layer__d_model=2 * groups, io__bytes_per_cycle=8 // flits, link__beat_bytes=8 // flits)
        assert (params.config.down_groups, params.config.sum_flits) == self.shape
        m.submodules.dut = dut = RingReduction(params)
        reduce, read, put = dut.reduce, dut.read, dut.put
        ports = {"start": reduce.start, "batch": reduce.batch, "tokens": reduce.tokens, "permitted": dut.permitted,
                 "ready": dut.flits.ready, "comes": dut.arrival.valid, "results": read.results, "clips": read.clips,
                 "known": put.known}
        for name, port in ports.items():
            m.d.comb += port.eq(self.free(port.shape(), name))
        share, flit, unit = (self.free(port.shape(), name) for name, port in (
            ("share", reduce.share), ("flit", dut.arrival.payload), ("unit", dut.unit)))
        m.d.comb += [reduce.share.eq(share), dut.arrival.payload.eq(flit), dut.unit.eq(unit)]

        # -- the batch ------------------------------------------------------------------------------------------------
        total, tokens, before, own = share.total, reduce.tokens, share.before, share.own.token
        active, first_cycle = Signal(), Signal()
        m.d.sync += [active.eq(reduce.start | (active & ~reduce.summed)), first_cycle.eq(reduce.start)]
        place_bits = len(own)
        self.assume(~reduce.start | ~active)
        self.assume((total <= params.config.tile.tokens) & (tokens + before <= total) & (own + tokens <= total))
        self.assume(Cat(share.own.lane, share.previous.lane, share.last.lane) == 0)
        self.assume((total == 0) | (share.last.token == total - 1))
        # this tile's tokens are behind those of the ring-previous one, or the first of all
        behind = share.previous.token + before
        self.assume((behind == own) | ((own == 0) & (behind == total)))
        last = Signal(place_bits)
        with m.If(reduce.start):
            m.d.sync += last.eq(share.last.token)

        def walk(name: str, first: Value, count: Value, step: Value) -> tuple[Signal, Signal, Signal]:
            """Token, its word, and tokens left."""
            token = Signal(place_bits, name=f"{name}_token")
            word = Signal(range(groups + 1), name=f"{name}_word")
            left = Signal(params.batch_token_bits, name=f"{name}_left")
            with m.If(reduce.start):
                m.d.sync += [token.eq(Mux(first == 0, share.last.token, first - 1)), word.eq(0), left.eq(count)]
            with m.Elif(step):
                m.d.sync += word.eq(Mux(word == groups, 0, word + 1))
                with m.If(word == groups):
                    m.d.sync += [token.eq(Mux(token == 0, last, token - 1)), left.eq(left - 1)]
            return token, word, left

        # -- what comes -----------------------------------------------------------------------------------------------
        arrives, sends = Signal(), Signal()
        came, came_word, came_left = walk("came", share.previous.token, total - before, arrives)
        piece = Signal(range(max(flits, 2)))
        sums = self.wire(dut.arrival.valid, "sums")
        said, said_head = self.free(1, "next_valid"), self.free(1, "next_head")
        m.d.comb += [dut.arrival.next_valid.eq(said), dut.arrival.next_head.eq(said_head)]
        self.assume(sums == self.past(said, "said"))
        self.assume(~sums | (flit.head == self.past(said_head, "said_head")))
        self.assume(~sums | ((came_left != 0) & ~first_cycle & (flit.head == (came_word == groups))))
        m.d.comb += arrives.eq(sums & ((came_word == groups) | (piece == flits - 1)))
        with m.If(sums):
            m.d.sync += piece.eq(Mux(arrives, 0, piece + 1))
        self.claim("come", "the ring-previous tile is permitted once, if anything comes",
                   dut.permit_sums == self.past(reduce.start & (total != before), "permits"))
        self.claim("come", "a word that comes is added to what is here",
                   read.read & ~read.written & (read.token == came) & (read.lane == 0)
                   & Mux(came_word == groups, read.of_clips, ~read.of_clips & (read.group_index == came_word)), when=arrives)

        # A word that is looked at: it comes, what is here comes, its sum waits for at most a cycle.
        mark, mark_word = self.constant(place_bits, "mark"), self.constant(range(groups + 1), "mark_word")
        self.assume(mark_word <= groups)
        closing = mark_word == groups
        bank = Mux(closing, 2, mark_word[0])
        marked = self.wire(arrives & (came == mark) & (came_word == mark_word), "marked")
        adds, due, late = Signal(), Signal(), Signal()
        value, expected = Signal(32), Signal(32)
        # of a group the output that is in the last flit's low bits, or, of a whole group, the first one
        output = flits - 1 if flits > 1 else 0
        m.d.sync += [adds.eq(marked), value.eq(Mux(closing, flit.payload[:16], flit.payload[:32]))]
        here = Mux(closing, read.clips, read.results.word_select(output, 32))
        exact = self.wire(value + here, "exact")
        writes = self.wire(put.write.bit_select(bank, 1) & (put.places[bank].token == mark)
                           & (closing | (put.row[bank[0]] == mark_word >> 1)), "writes")
        shown = Mux(closing, put.words.clips, Mux(mark_word[0], put.words.odd.word_select(output, 32),
                                                  put.words.even.word_select(output, 32)))
        m.d.sync += [due.eq(adds | (due & ~writes)), late.eq(due & ~writes)]
        with m.If(adds):
            m.d.sync += expected.eq(Mux(closing & (exact > 2**16 - 1), 2**16 - 1, exact[:32]))
        self.claim("come", "it is written when its sum is there, or a cycle later", ~late | writes)
        self.claim("come", "and once", due, when=writes)
        self.claim("sum", "with what was here and what came, added up", shown == expected, when=writes)
        self.claim("sum", "a count of clips stops at its end", put.words.clips == 2**16 - 1,
                   when=writes & closing & self.past(adds & (exact >= 2**16 - 1), "most"))

        # -- ports ----------------------------------------------------------------------------------------------------
        read_bank = self.wire(Mux(read.of_clips, 4, Mux(read.group_index[0], 2, 1)), "read_bank")
        self.claim("banks", "no bank is read and written in one cycle", (put.write & read_bank) == 0, when=read.read)
        self.claim("banks", "nothing is read or written but for a batch",
                   active & (read.batch == self._held(reduce.start, reduce.batch)), when=read.read | put.write.any())

        # -- what goes ------------------------------------------------------------------------------------------------
        reads, goes = self.wire(read.read & ~arrives, "reads"), self.wire(dut.flits.valid & dut.flits.ready, "goes")
        going, going_word, going_left = walk("going", own, total - tokens, sends)
        permit = Signal()
        partial = Signal(params.batch_token_bits)  # tokens of which nothing comes
        written = Signal(range(params.config.tile.tokens * (groups + 1) + 1))  # words of the others, not sent
        passes = self.wire(partial == 0, "passes")
        # A word stands at the read port until its first flit goes, or another is read; then its other flits go.
        stands, rest = Signal(), Signal(range(max(flits, 2)))
        m.d.comb += sends.eq(goes & (rest == 0))
        m.d.sync += stands.eq(reads | (stands & ~sends & ~arrives))
        with m.If(sends):
            m.d.sync += rest.eq(Mux(going_word == groups, 0, flits - 1))
        with m.Elif(goes):
            m.d.sync += rest.eq(rest - 1)
        ends = sends & (going_word == groups) & (going_left == 1)
        # The far end permits once for each batch of which it gets anything, at the earliest when it has all of the last such
        # one. So a permit may come while a batch goes on of which the far end gets nothing: it is kept for the next.
        m.d.sync += permit.eq(dut.permitted | (permit & ~ends))
        self.assume(~dut.permitted | ~permit)
        with m.If(reduce.start):
            m.d.sync += [partial.eq(before), written.eq(0)]
        with m.Else():
            m.d.sync += written.eq(written + sum(put.write) - (sends & passes))
            with m.If(sends & (going_word == groups) & ~passes):
                m.d.sync += partial.eq(partial - 1)
        self.claim("go", "a word is read to go if the far end has permitted it, if it is next, and all of it has been added",
                   permit & (going_left != 0) & (~passes | (written != 0)), when=reads)
        self.claim("go", "it is what is next",
                   (read.written == passes) & (read.token == going) & (read.lane == 0)
                   & Mux(going_word == groups, read.of_clips, ~read.of_clips & (read.group_index == going_word)), when=reads)
        self.claim("go", "nothing is read while a word stands there whose flit may still go", ~stands, when=reads)
        self.claim("go", "a flit is offered while the word stands at the read port, then its others are",
                   dut.flits.valid == (stands | (rest != 0)))
        self.claim("go", "a closing word is marked", dut.flits.payload.head == (going_word == groups),
                   when=dut.flits.valid & (rest == 0))
        self.claim("go", "and nothing else is", ~dut.flits.payload.head, when=dut.flits.valid & (rest != 0))
        # what it is: clips, or the first of the outputs, or, of the others, what the last one was when the first flit went
        later = self._held(sends, read.results.word_select(output, 32))
        leaves = dut.flits.payload.payload
        self.claim("flit", "as it stands there", Mux(going_word == groups, leaves[:16] == read.clips,
                                                     leaves[:32] == read.results[:32]), when=stands & (rest == 0))
        self.claim("flit", "the last one as it stood there", leaves[:32] == later, when=rest == 1)
        self.claim("go", "the end is told when all has gone and all is written, and only then",
                   (came_left == 0) & (going_left == 0) & (rest == 0) & ~stands & ~due & ~adds & active,
                   when=reduce.summed)
        self.reach(arrives & stands & ~goes)
        self.reach(reduce.summed & (total == 0))
        self.reach(reduce.start & (total == 3) & (tokens == 1) & (before == 1) & ~active & permit)
        self.reach(ends & passes)
        self.reach(reduce.summed & permit & (going_left == 0) & self._held(reduce.start, total == tokens) & (last != 0))
        if flits == 1:  # then the next but one word may come two cycles later, for the same bank
            self.reach(late)

    def _held(self, when: Value, value: Value) -> Signal:
        """What it was when it was looked at last."""
        held = Signal(len(Value.cast(value)), name=f"held_{len(self._holds)}")
        self._holds.append(held)
        with self.m.If(when):
            self.m.d.sync += held.eq(value)
        return held

    def __init__(self, group: str):
        super().__init__(group)
        self._holds: list[Signal] = []


class OneFlitSpec(ReductionSpec):
    """The same with groups of one flit, so that words come in each cycle, and an odd number of them."""

    shape = (3, 1)


_ASSUMES = ("one batch at a time; places as the records gave them; sums come after the permit, in the order in which they "
            "go; a permit comes when the one before was used up, maybe long before the batch that it is for (batch control, "
            "searched)")
PROOFS = (
    Proof(name="sums-come", block="RingReduction", spec=ReductionSpec, group="come", size="3 tokens, 2 groups of 2 flits",
          assumes=_ASSUMES, says="a word that comes is added to this tile's own, and the sum is written once, two or three "
                                 "cycles after its last flit", mutants=("sums-do-not-wrap",), reach_bound=60),
    Proof(name="sums-come-fast", block="RingReduction", spec=OneFlitSpec, group="come", size="3 tokens, 3 groups of 1 flit",
          assumes=_ASSUMES, says="the same where a word may come in each cycle", mutants=("sums-do-not-wrap",),
          reach_bound=60),
    Proof(name="sums-banks", block="RingReduction", spec=OneFlitSpec, group="banks", size="3 tokens, 3 groups of 1 flit",
          assumes=_ASSUMES, says="no bank of results is read and written in one cycle",
          mutants=("sums-written-while-read", "sums-read-while-written")),
    Proof(name="sums-go", block="RingReduction", spec=ReductionSpec, group="go", size="3 tokens, 2 groups of 2 flits",
          assumes=_ASSUMES, says="words go in turn, when the far end has permitted it and all has been added; `summed` when "
                                 "all has gone and is written",
          mutants=("sums-not-permitted", "sums-permitted-for-ever", "sums-not-waited-for", "sums-counted-late",
                   "sums-overtaken", "sums-skipped",
                   "sums-stand-for-ever", "sums-early", "sums-put-in-vain")),
    Proof(name="sums-flits", block="RingReduction", spec=ReductionSpec, group="flit", size="3 tokens, 2 groups of 2 flits",
          assumes=_ASSUMES, says="the flits of a word are what stood at the read port when the first went",
          mutants=("sums-others-early",)),
    Proof(name="sums-added", block="RingReduction", spec=ReductionSpec, group="sum", size="3 tokens, 2 groups of 2 flits",
          assumes=_ASSUMES, says="a sum is that of what came and what was here; counts of clips stop at their end",
          bound=20, mutants=("sums-clips-wrap",)),
)
