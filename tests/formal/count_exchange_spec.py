"""The count exchange: words go round once, unchanged, and everybody's counts can be read afterwards."""

from amaranth.hdl import Mux, Signal

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.count_exchange import CountExchange

#: three tiles in a line, two words of a bit for each expert, the second with three that do not exist
SIZE = {"array__rows": 1, "array__cols": 3, "array__ddr_tiles": (0,), "layer__experts": 5, "tile__tokens": 1,
        "tile__mac_t": 1, "array__dataflows": "both", "link__beat_bytes": 4}


class CountExchangeSpec(Spec):
    """The others send a header and their words, in order, as they like; a word of the next exchange comes when this one is
    complete. This tile begins when it likes.
    """

    def build(self) -> None:
        m = self.m
        params = tiny(**SIZE)
        config = params.config
        self.tiles, self.total = config.array.tiles, config.count_words + 1
        m.submodules.dut = self.dut = dut = CountExchange(params)
        for name in ("start", "batch", "order", "tag", "shared"):
            m.d.comb += getattr(dut, name).eq(self.free(len(getattr(dut, name)), name))
        come, word = self.free(1, "come"), self.free(params.count_layout, "word")
        m.d.comb += [dut.word_in.valid.eq(come), dut.word_in.payload.eq(word)]
        # What each has given of this exchange.
        given = [Signal(range(self.total + 1), name=f"given_{hops}") for hops in range(self.tiles - 1)]
        self.assume(word.hops < self.tiles - 1)
        self.number = Signal(range(self.total + 1))  # of the word that comes
        for hops, count in enumerate(given):
            mine = word.hops == hops
            self.assume(~(come & mine) | (count != self.total))
            with m.If(mine):
                m.d.comb += self.number.eq(count)
            with m.If(dut.formed.formed):
                m.d.sync += count.eq(0)
            with m.Elif(come & mine):
                m.d.sync += count.eq(count + 1)
        self.assume(~dut.formed.formed | ~come)  # nobody is so fast
        self.begun, self.own = Signal(), Signal(range(self.total + 1))
        self.assume(~dut.start | (~self.begun & ~dut.formed.formed))
        with m.If(dut.formed.formed):
            m.d.sync += [self.begun.eq(0), self.own.eq(0)]
        with m.Else():
            m.d.sync += [self.begun.eq(self.begun | dut.start), self.own.eq(self.own + dut.sent)]
        # The lists answer a cycle later, and hold; one expert is followed.
        self.expert, self.passes = self.constant(range(config.layer.experts), "expert"), self.constant(1, "passes")
        self.assume(self.expert < config.layer.experts)
        asked = Signal()
        with m.If(dut.passes.read):
            m.d.sync += asked.eq(dut.passes.expert == self.expert)
        answer = self.free(1, "answer")
        held = self.past(dut.passes.passes, "held_answer")
        self.assume(~asked | (answer == self.passes))
        self.assume(self.past(dut.passes.read, "was_read") | (answer == held))
        m.d.comb += dut.passes.passes.eq(answer)
        self.come, self.word, self.given = come, word, given
        {"lane": self._lane, "formed": self._formed, "counts": self._counts, "reach": self._reach}[self.group]()

    def _lane(self) -> None:
        """What goes to the ring-next tile."""
        dut, m = self.dut, self.m
        out = dut.word_out
        came = self.past(self.come, "came")
        hops, contents = self.past(self.word.hops, "hops"), self.past(self.word.word, "contents")
        onward = self.wire(came & (hops != self.tiles - 2), "onward")
        self.claim("lane", "a word that came goes on in the next cycle, unless it would come home",
                   out.valid & (out.payload.hops == hops + 1) & (out.payload.word == contents), when=onward)
        self.claim("lane", "nothing else goes but words of this tile", dut.sent & (out.payload.hops == 0),
                   when=out.valid & ~onward)
        self.claim("lane", "a word of this tile is on the lane", out.valid & ~came, when=dut.sent)
        self.claim("lane", "each word of this tile goes once", self.begun & (self.own != self.total), when=dut.sent)
        header = Signal(10)
        with m.If(dut.start):
            m.d.sync += header.eq(dut.order | (dut.tag << 2))
        self.claim("lane", "the first says order and tag", out.payload.word == header, when=dut.sent & (self.own == 0))
        self.claim("lane", "a count is in its place",
                   out.payload.word.bit_select(self.expert % 4, 1) == self.passes,
                   when=dut.sent & (self.own == self.expert // 4 + 1))
        self.claim("lane", "there are no more experts than there are", (out.payload.word >> 1) == 0,
                   when=dut.sent & (self.own == self.total - 1))
        waits = Signal(range(8))
        with m.If(self.begun & (self.own != self.total) & ~dut.sent & ~came):
            m.d.sync += waits.eq(waits + (waits != 7))
        with m.Elif(dut.sent):
            m.d.sync += waits.eq(0)
        self.claim("lane", "a word is not kept back while the lane is free", waits != 7)

    def _formed(self) -> None:
        """When everybody's words are here, and whether they agree."""
        dut, m = self.dut, self.m
        arrived = [self.past(count, f"arrived_{hops}") for hops, count in enumerate(self.given)]
        complete = self.wire((self.own == self.total) & (sum(arrived) == self.total * (self.tiles - 1)), "complete")
        self.claim("formed", "as soon as all words are here, once", dut.formed.formed == complete)
        began = Signal(1)
        batch = Signal(1)
        with m.If(dut.start):
            m.d.sync += [batch.eq(dut.batch), began.eq(1)]
        self.claim("formed", "it says which batch", dut.formed.batch == batch, when=dut.formed.formed)
        # The first header, of whomever, and one that differs from it.
        header = self.wire(Mux(dut.sent, self.own == 0, self.past(self.come & (self.number == 0), "header_came")), "header")
        contents = self.wire(Mux(dut.sent, dut.word_out.payload.word, self.past(self.word.word, "contents")), "contents_kept")
        known, first = Signal(), Signal(11)
        with m.If(dut.formed.formed):
            m.d.sync += known.eq(0)
        with m.Elif(header & ~known):
            m.d.sync += [known.eq(1), first.eq(contents)]
        self.claim("formed", "tiles that disagree are found", dut.disagree ==
                   self.past(header & known & (first != contents), "differs"))
        self.claim("formed", "order and dataflow are those of all",
                   (dut.formed.order.as_value() == first[:2]) & (dut.formed.shared == first[10]), when=dut.formed.formed)

    def _counts(self) -> None:
        """One word of one tile is followed, in one exchange, until the end of the next one."""
        dut, m = self.dut, self.m
        distance = self.constant(range(1, self.tiles), "distance")
        number = self.constant(range(self.total - 1), "number")
        self.assume(distance != 0)
        mark, seen, formed, after = self.free(1, "mark"), Signal(), Signal(), Signal()
        contents = Signal(4)
        with m.If(self.come & (self.word.hops == self.tiles - 1 - distance) & (self.number == number + 1) & mark & ~seen):
            m.d.sync += [seen.eq(1), contents.eq(self.word.word)]
        with m.If(dut.formed.formed & seen):
            m.d.sync += [formed.eq(1), after.eq(formed)]
        read = self.free(1, "read")
        at = self.free(range(self.total - 1), "at")
        self.assume(at < self.total - 1)
        self.assume(~read | ~(self.begun | dut.start))
        m.d.comb += [dut.formed.read.eq(read), dut.formed.number.eq(at)]
        readable = self.wire((dut.formed.formed & seen & ~formed) | (formed & ~after & ~dut.formed.formed), "readable")
        self.claim("counts", "a word of another tile is read as it came",
                   dut.formed.counts.as_value().word_select(distance, 4) == contents,
                   when=self.past(readable & read & (at == number), "was_followed"))
        ever = Signal()
        m.d.sync += ever.eq(ever | dut.formed.formed)
        self.claim("counts", "this tile's counts are those of its lists",
                   dut.formed.counts.as_value().bit_select(self.expert % 4, 1) == self.passes,
                   when=self.past((ever | dut.formed.formed) & read & (at == self.expert // 4), "was_own"))

    def _reach(self) -> None:
        """Two exchanges; a word of this tile that waits; tiles that disagree."""
        twice = Signal(2)
        self.m.d.sync += twice.eq(twice + (self.dut.formed.formed & (twice != 3)))
        self.reach(twice == 2)
        self.reach(self.dut.disagree)
        self.reach(self.dut.word_out.valid & (self.dut.word_out.payload.hops != 0) & self.begun & (self.own == 1))


_ASSUMES = ("the others send header and words in order, those of the next exchange when they have all words of this one; "
            "`start` once in each exchange, when the counts of the one before are not read any more (loads-arrivals); "
            "token lists answer a cycle later")


def _proof(group: str, says: str, *mutants: str, **others: object) -> Proof:
    others = {"size": "3 tiles, 5 experts, 2 words", "assumes": _ASSUMES} | others
    return Proof(name=f"exchange-{group}", block="CountExchange", spec=CountExchangeSpec, group=group, says=says,
                 mutants=mutants, **others)


PROOFS = (
    _proof("lane", "words of others go on in the next cycle, unchanged, once round; those of this tile each once, with the "
           "counts of its lists", "exchange-beyond-home", "exchange-own-over-other", "exchange-count-overwritten",
           reach_bound=40),
    _proof("formed", "`formed` when the last word of all tiles is here, once; a header that differs is found",
           "exchange-formed-without-own", "exchange-header-not-compared",
           "exchange-dataflow-not-compared"),
    _proof("counts", "a marked word of another tile, and the counts of this one, can be read as they came, until the next "
           "exchange begins", "exchange-banks-fixed", "exchange-lane-of-other"),
)
