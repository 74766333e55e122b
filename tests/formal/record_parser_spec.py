"""The parser of records: every beat once and in its time, every choice and word at its place, what is noted on the way."""

from amaranth.hdl import Array, Cat, Const, Mux, ResetInserter, Signal, Value

from tests.formal.record_order import RecordOrder
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.layouts import NO_EXPERT
from trajectile.hw.batch.record_parser import ITEM_BITS, RecordParser
from trajectile.hw.formats import EXPONENT_BITS, INPUT_SHIFT_BITS
from trajectile.sw_model.config import BLOCK_INPUTS

#: experts 0 to 2, two choices per token: with beats of 8 bytes a head has two, and the second choice is alone in its beat
CHOICES = {"layer__experts": 3, "layer__top_k": 2, "io__bytes_per_cycle": 8}


class RecordParserSpec(Spec):
    """Shared and spread batches of up to three tokens, in two lanes. A row has three words, two of them in a beat."""

    changes = {"array__dataflows": "both", "array__cols": 3, "tile__tokens": 3, "tile__mac_t": 2, "tile__mac_k": 4,
               "tile__mac_n": 2, "layer__d_model": 12}

    def build(self) -> None:
        m = self.m
        self.params = params = tiny(**CHOICES, **self.changes)
        self.config = config = params.config
        self.shares, beat_bytes = config.array.shares, config.io.bytes_per_cycle
        dut = RecordParser(params)
        self.dut = dut
        self.stop = self.free(1, "stop")
        m.submodules.dut = ResetInserter(self.stop)(dut)
        m.d.comb += dut.stop.eq(self.stop)
        self.order = order = RecordOrder(
            self, tiles=config.array.tiles if self.shares else 1, head_beats=config.head_bytes // beat_bytes,
            row_beats=config.row_bytes // beat_bytes, token_bits=params.batch_token_bits)
        self._begin()
        self._stream()
        order.step(start=self.start, shared=self.shared, tokens=self.tokens, taken=self.taken, listed=self.listed,
                   stop=self.stop)
        self._tokens()
        self._heads()
        self._rows()
        self._ends()
        if self.shares:
            self._share()

    def _begin(self) -> None:
        """Batch control begins when the batch before is done."""
        m, begin, region, params = self.m, self.dut.begin, self.dut.region, self.params
        self.start, self.tokens, batch, records = (self.free(shape, name) for shape, name in (
            (1, "start"), (params.batch_token_bits, "tokens"), (1, "batch"), (params.io_address_bits, "records")))
        self.shared = self.free(1, "shared") if self.shares else Const(0)
        m.d.comb += [begin.start.eq(self.start), begin.tokens.eq(self.tokens), begin.batch.eq(batch),
                     begin.records.eq(records)]
        if self.shares:
            m.d.comb += begin.shared.eq(self.shared)
        self.begun = self.past(self.start, "begun")
        self.assume(~self.start | (~self.order.active & ~self.begun & ~self.stop))
        self.assume(self.tokens <= self.config.tile.tokens)
        beats = self.config.record_bytes // self.config.io.bytes_per_cycle
        self.claim("walk", "exactly this tile's records are read", (region.start == (self.start & (self.tokens != 0)))
                   & (~region.start | ((region.address == records) & (region.beats == self.tokens * beats))))
        self.batch = Signal(name="of_batch")
        with m.If(self.start):
            m.d.sync += self.batch.eq(batch)

    def _stream(self) -> None:
        """What comes: in the order of the ring's items; it stays until it is taken."""
        m, order, beats, params = self.m, self.order, self.dut.beats, self.params
        self.valid, self.payload = self.free(1, "valid"), self.free(beats.payload.shape(), "payload")
        m.d.comb += [beats.valid.eq(self.valid), beats.payload.eq(self.payload)]
        payload, bits = self.payload, params.batch_token_bits
        self.data = payload.payload[:params.io_bits] if self.shares else payload.data
        self.listed = self.wire(self.data[:bits], "listed")
        self.taken = self.wire(self.valid & beats.ready, "taken")
        self.assume(~self.valid | order.active)
        waits = self.past(self.valid & ~beats.ready & ~self.stop, "waits")
        before = self.past(payload.as_value(), "payload_before")
        self.assume(~waits | (self.valid & (payload.as_value() == before)))
        self.ends = self.wire(order.ends_section(self.listed) & order.last_section, "ends_round")
        if self.shares:
            self.position = self.constant(params.tile_bits, "position")
            self.assume((self.position < order.tiles) & ~(order.header & payload.error))
            self.assume((payload.head == order.header) & (payload.last == self.ends))
            self.assume(payload.own == (~order.shared | (order.section == self.position)))
            self.assume(~order.shared | (payload.before == (order.following == self.position)))
            # a section has as many rows as heads
            lists = Array(Signal(bits, name=f"listed_{number}") for number in range(order.tiles))
            with m.If(self.taken & order.header & ~order.rows):
                m.d.sync += lists[order.section].eq(self.listed)
            self.assume(~(order.header & order.rows) | (self.listed == lists[order.section]))
        # the cycles in which the beat has stood there
        self.waited = Signal(range(8), name="waited")
        m.d.sync += self.waited.eq(Mux(self.valid & ~beats.ready & ~self.stop, self.waited + 1, 0))

    def at(self, rows: int, beat: int, cycle: int) -> Value:
        """So many cycles after a beat of a head, or of a row, has come."""
        order = self.order
        return (self.valid & ~order.header & (order.rows == rows) & (order.beat == beat) & (self.waited == cycle))

    def _tokens(self) -> None:
        """Which token it is; a header too many ends everything."""
        m, order, config = self.m, self.order, self.config
        most, lanes = config.tile.tokens, config.tile.mac_t
        self.seen = seen = Signal(range(most + 2), name="seen")  # tokens of the round that have ended
        self.ends_token = self.wire(self.taken & order.ends_token, "token_ends")
        with m.If(self.start | (self.taken & self.ends)):
            m.d.sync += seen.eq(0)
        with m.Elif(self.ends_token):
            m.d.sync += seen.eq(seen + 1)
        self.lane = self.wire(Array(number % lanes for number in range(most + 2))[seen], "lane_of_token")
        self.token = self.wire(Array(number // lanes for number in range(most + 2))[seen], "index_of_token")

    def _heads(self) -> None:
        m, dut, config = self.m, self.dut, self.config
        insert, begin, items = dut.insert, dut.begin, config.io.bytes_per_cycle * 8 // ITEM_BITS
        m.d.comb += insert.twice.eq(self.free(1, "answer"))
        exponent, spoilt = Signal(EXPONENT_BITS, name="exponent"), Signal(name="spoilt")
        with m.If(self.at(0, 0, 0)):
            m.d.sync += [exponent.eq(self.data[:EXPONENT_BITS]), spoilt.eq(self.payload.error)]
        inserts, bad, again, work = Const(0), Const(0), Const(0), []
        for beat in range(self.order.head_beats):
            cycle = 0
            for place in range(items):
                rank = beat * items + place - 1
                if rank < 0:
                    cycle += 1
                elif rank < config.layer.top_k:
                    item = self.data.word_select(place, ITEM_BITS)
                    first, second = self.at(0, beat, cycle), self.at(0, beat, cycle + 1)
                    legal = item[:16] < config.layer.experts
                    inserts |= first & legal & ~self.payload.error & ~spoilt & ~self.stop
                    bad |= first & ~legal & (item[:16] != NO_EXPERT) & ~self.payload.error
                    again |= second
                    for when in (first & insert.insert, second & self.past(insert.insert, "inserted")):
                        self.claim("choices", "its expert, weight, rank and exponent, for two cycles",
                                   (insert.expert == item[:16]) & (insert.weight.as_value() == item[16:])
                                   & (insert.rank == rank) & (insert.exponent == exponent), when=when)
                        self.claim("choices", "its token, of its batch", (insert.lane == self.lane)
                                   & (insert.token == self.token) & (insert.batch == self.batch), when=when)
                    cycle += 2
            work.append(cycle)
        self.claim("choices", "every good choice is put into its list once, and no other", insert.insert == inserts)
        self.claim("choices", "an expert that does not exist is reported, once", begin.bad_expert == bad)
        self.claim("choices", "so is one that is named twice",
                   begin.twice == (again & self.past(insert.insert, "put") & insert.twice))
        self.claim("walk", "a beat of a head is taken when its items are, at two cycles for a choice",
                   dut.beats.ready == (self.waited == Array(cycles - 1 for cycles in work)[self.order.beat]),
                   when=self.valid & ~self.order.header & ~self.order.rows)
        self.claim("walk", "a header at once", dut.beats.ready, when=self.valid & self.order.header)
        self.claim("walk", "an error is reported with the beat", begin.bad_response == (self.taken & self.payload.error))

    def _rows(self) -> None:
        m, dut, config, order = self.m, self.dut, self.config, self.order
        fill, mac_k, beat_bytes, chunks = dut.fill, config.tile.mac_k, config.io.bytes_per_cycle, config.gate_up_chunks
        shift_beats = config.shift_bytes // beat_bytes
        words, pieces = max(beat_bytes // mac_k, 1), max(mac_k // beat_bytes, 1)
        assert shift_beats == 1 and config.tile.word_scales == 1 and pieces <= 2
        blocks = -(-config.layer.d_model // BLOCK_INPUTS)
        shifts, before = Signal(INPUT_SHIFT_BITS * blocks, name="shifts"), Signal(self.params.io_bits, name="beat_before")
        with m.If(self.taken):
            m.d.sync += before.eq(self.data)
        with m.If(self.at(1, 0, 0)):
            m.d.sync += shifts.eq(self.data)
        writes, work = Const(0), [1] * order.row_beats
        for chunk in range(chunks):
            beat, cycle = shift_beats + chunk * pieces // words + pieces - 1, chunk % words
            work[beat] = cycle + 1
            now = self.at(1, beat, cycle)
            writes |= now & ~self.stop
            values = Cat(before, self.data) if pieces == 2 else self.data.word_select(cycle, 8 * mac_k)
            block = chunk * mac_k // BLOCK_INPUTS
            self.claim("rows", "a word's values, with the shift of its block", (fill.word[0].values == values)
                       & (fill.word[0].shift == shifts.word_select(block, INPUT_SHIFT_BITS)), when=now & fill.write)
            self.claim("rows", "its place: the token's words follow each other in its lane", (fill.lane == self.lane)
                       & (fill.index == self.token * chunks + chunk) & (fill.batch == self.batch), when=now & fill.write)
        self.claim("rows", "every word is written once, and nothing else", fill.write == writes)
        self.claim("walk", "a beat of a row is taken when its words are, one in a cycle",
                   dut.beats.ready == (self.waited == Array(cycles - 1 for cycles in work)[order.beat]),
                   when=self.valid & ~order.header & order.rows)

    def _ends(self) -> None:
        order, begin = self.order, self.dut.begin
        empty = self.wire(self.begun & ~order.active & ~self.past(self.stop, "stopped"), "is_empty")
        done = self.wire(self.taken & self.ends, "round_done")
        self.claim("walk", "lists are done with the last head, or there are none", begin.lists_done == (
            (done & ~order.rows) | empty))
        self.claim("walk", "rows are done with the last row", begin.rows_done == ((done & order.rows) | empty))
        self.reach(done & order.rows & (self.order.tokens == 2))
        self.reach(empty)

    def _share(self) -> None:
        m, order, begin, config = self.m, self.order, self.dut.begin, self.config
        share = begin.share
        head = self.wire(self.taken & order.header & ~order.rows, "header_of_heads")
        total, own, previous, before, last = (
            Signal(range(4 * config.tile.tokens), name=f"noted_{name}")
            for name in ("all", "own", "previous", "before", "last"))
        after = self.wire(Mux(head, total + self.listed, total), "total_after")
        too_many = self.wire(head & (after > config.tile.tokens), "too_many")
        self.claim("share", "more tokens than a tile holds are reported with the header", begin.too_many == too_many)
        self.assume(~self.past(too_many, "had_too_many") | self.stop)
        now = {"total": (total, after), "own": (own, Mux(head & self.payload.own, self.seen, own)),
               "previous": (previous, Mux(head & self.payload.before, self.seen, previous)),
               "before": (before, Mux(head & self.payload.before, self.listed, before)),
               "last": (last, Mux(self.ends_token & ~order.rows & order.shared, self.seen, last))}
        for kept, value in now.values():
            m.d.sync += kept.eq(Mux(self.start, 0, value))
        lanes = config.tile.mac_t
        when = begin.lists_done & ~too_many
        self.claim("share", "numbers of tokens", (share.total == after) & (share.before == now["before"][1]), when=when)
        for name in ("own", "previous", "last"):
            place = getattr(share, name)
            self.claim("share", f"place of {name}", place.lane + lanes * place.token == now[name][1], when=when)
        self.reach(begin.lists_done & order.shared & (order.section == 2) & (own == 1) & (self.position == 1))


class SpreadParserSpec(RecordParserSpec):
    """A build that does not share. A word takes two beats; its block's shift is one of two."""

    changes = {"array__dataflows": "spread", "tile__tokens": 3, "tile__mac_t": 1, "tile__mac_k": 16, "tile__mac_n": 2,
               "layer__d_model": 64}


_ASSUMES = "items come in the order of the ring, with what it says of them, and stay until they are taken (sections-once, " \
    "sections-order); a batch begins when the one before is done (batch control)"
_SPREAD_ASSUMES = "beats stay until they are taken; a batch begins when the one before is done (batch control)"
_SIZE = "three tiles, up to 3 tokens in two lanes, heads of 2 beats, rows of 3 words, two in a beat"
_SPREAD_SIZE = "up to 3 tokens, heads of 2 beats, rows of 4 words of two beats, shifts of two blocks"


def _proof(group: str, says: str, mutants: tuple[str, ...], *, spread: bool = False, **more: object) -> Proof:
    return Proof(name=f"parser-{group}" + "-spread" * spread, block="RecordParser", group=group, says=says, mutants=mutants,
                 spec=SpreadParserSpec if spread else RecordParserSpec, size=_SPREAD_SIZE if spread else _SIZE,
                 assumes=_SPREAD_ASSUMES if spread else _ASSUMES, **more)  # type: ignore[arg-type]


PROOFS = (
    _proof("walk", "this tile's records are read, and no others; every item is taken once, after as many cycles as its items "
           "or words take; lists and rows of a batch are done once each, with the last item of their round",
           ("records-choice-in-one-cycle", "records-lists-done-early", "sections-no-tokens", "parser-half-a-beat-more",
            "parser-responses-again"), reach_bound=60),
    _proof("choices", "every choice is put into its list once, of its token, whose number counts on from section to section, "
           "with its weight and the token's exponent, unless its expert does not exist or a beat of it came with an error",
           ("records-lane-by-lane", "records-no-expert-is-wrong", "records-illegal-expert", "records-spoilt-exponent",
            "records-after-a-stop", "parser-choice-with-error")),
    _proof("rows", "every word of activations is written once, where its token's words lie",
           ("records-rows-in-a-row", "records-filled-after-a-stop", "sections-last-empty")),
    _proof("share", "what batch control hears of a shared batch: how many tokens there are, where those of this tile and of "
           "the one before it begin, where the last one is; that there are too many", (
               "share-remembers", "share-of-spread", "share-counts-wrong", "share-too-few", "share-wraps")),
    _proof("walk", "the same in a build that does not share", ("records-choice-in-one-cycle", "records-lists-done-early"),
           spread=True, reach_bound=60),
    _proof("rows", "the same where a word takes several beats; each word has the shift of its block",
           ("records-shift-of-every-word", "records-beats-turned"), spread=True),
)
