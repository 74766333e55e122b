"""The ring of records: every item once, unchanged, from its source to the parser and the ring-next tile, in the order of the
sections.
"""

from amaranth.hdl import Mux, ResetInserter, Signal
from amaranth.lib import data

from tests.formal.record_order import RecordOrder
from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.batch.record_ring import RecordRing

#: bits of a beat: its contents only pass through, but as a header it says how many tokens there are
ITEM_BITS = 3
TILES = 3


class RecordRingSpec(Spec):
    """Any tile of a ring of three. It may be stopped at any time."""

    def build(self) -> None:
        m = self.m
        params = tiny(array__dataflows="both", array__cols=TILES, tile__tokens=3, layer__top_k=1, layer__d_model=8,
                      tile__mac_k=4, tile__mac_n=2, io__bytes_per_cycle=4)
        params.record_item_layout = data.StructLayout({"head": 1, "error": 1, "payload": ITEM_BITS})
        params.io_bits = ITEM_BITS
        config, width = params.config, params.config.io.bytes_per_cycle
        dut = RecordRing(params)
        stop = self.free(1, "stop")
        m.submodules.dut = ResetInserter(stop)(dut)
        order = RecordOrder(self, tiles=TILES, head_beats=config.head_bytes // width, row_beats=config.row_bytes // width,
                            token_bits=params.batch_token_bits)
        position = self.constant(params.tile_bits, "position")
        start, shared, tokens = (self.free(shape, name) for shape, name in (
            (1, "start"), (1, "shared"), (params.batch_token_bits, "tokens")))
        own, come = self.free(dut.own.payload.shape(), "own"), self.free(params.record_item_layout, "come")
        own_valid, come_valid, room, free = (
            self.free(1, name) for name in ("own_valid", "come_valid", "room", "parser_free"))
        m.d.comb += [
            dut.start.eq(start), dut.shared.eq(shared), dut.tokens.eq(tokens), dut.position.eq(position),
            dut.own.valid.eq(own_valid), dut.own.payload.eq(own), dut.come.valid.eq(come_valid), dut.come.payload.eq(come),
            dut.go.ready.eq(room), dut.items.ready.eq(free),
        ]
        item, go = dut.items.payload, dut.go.payload
        mine = self.wire(~order.shared | (order.section == position), "mine")
        ring_next = self.wire(Mux(position == TILES - 1, 0, position + 1), "ring_next")
        goes_on = self.wire(order.shared & (order.section != ring_next), "goes_on")
        offered = self.wire(Mux(mine, order.header | own_valid, come_valid), "offered")
        taken = self.wire(dut.items.valid & free, "taken")
        self.assume((position < TILES) & (~start | (~order.active & ~stop)))
        # the memory sends the beats of the region, once; after a stop the reader drops them
        asked = Signal(range(2**params.batch_token_bits * (config.record_bytes // width)), name="asked")
        with m.If(stop):
            m.d.sync += asked.eq(0)
        with m.Elif(start):
            m.d.sync += asked.eq(tokens * (config.record_bytes // width))
        with m.Else():
            m.d.sync += asked.eq(asked - (own_valid & dut.own.ready))
        self.assume(~own_valid | (asked != 0))
        order.step(start=start, shared=shared, tokens=tokens, taken=taken, listed=item.payload[:params.batch_token_bits],
                   stop=stop)

        self.claim("once", "offered when there is one, and room for it where it goes on, in the cycle",
                   dut.items.valid == (order.active & offered & (~goes_on | room)))
        self.claim("once", "a beat of this tile is taken when it goes to the parser",
                   (own_valid & dut.own.ready) == (taken & mine & ~order.header))
        self.claim("once", "an item of the others too", (come_valid & dut.come.ready) == (taken & ~mine))
        self.claim("once", "it goes on in the same cycle, unless the section is the ring-next tile's",
                   dut.go.valid == (taken & goes_on))
        self.claim("once", "only if there is room", room, when=dut.go.valid)
        self.claim("once", "as it came", (item.payload == come.payload) & (item.error == come.error)
                   & (item.head == come.head), when=dut.items.valid & ~mine)
        self.claim("once", "as it was read", (item.payload == own.data) & (item.error == own.error) & ~item.head,
                   when=dut.items.valid & mine & ~order.header)
        self.claim("once", "this tile's header has its tokens", (item.payload == order.tokens) & ~item.error & item.head,
                   when=dut.items.valid & mine & order.header)
        self.claim("once", "as the parser gets it", (go.payload == item.payload) & (go.error == item.error)
                   & (go.head == item.head), when=dut.go.valid)
        ends = order.ends_section(item.payload[:params.batch_token_bits])
        self.claim("order", "the parser hears whose section it is", (item.own == mine)
                   & (~order.shared | (item.before == (order.following == position))), when=dut.items.valid)
        self.claim("order", "and of the last item of heads, and of rows", item.last == (ends & order.last_section),
                   when=dut.items.valid)
        still = Mux(order.section == position, Mux(order.header, order.beats(order.tokens), order.left),
                    Mux(order.section < position, order.beats(order.tokens), 0))
        later = Mux(order.rows, 0, order.tokens * order.row_beats)
        self.claim("order", "every beat that is read is taken, in its section: so many are left",
                   asked == Mux(order.active, Mux(order.shared, still, order.left) + later, 0))
        self.claim("order", "nothing is taken before a batch and after it",
                   ~(dut.items.valid | dut.go.valid | (come_valid & dut.come.ready)), when=~order.active)
        self.claim("order", "what `ready` says depends on no item",
                   (dut.own.ready | dut.come.ready) == (free & (~goes_on | room) & ~(mine & order.header)), when=order.active)
        self.reach(order.rows & order.shared & (order.section == 2) & (order.left == 1) & taken & (position == 1))
        self.reach(~order.active & ~order.shared & (order.tokens == 2))


_SIZE = f"{TILES} tiles, sections of up to 3 tokens of 2 beats of heads and 3 of rows, items of {ITEM_BITS} bits"
_ASSUMES = ("the beats of the region are read, and after a stop none (io-read-beats); a batch begins when the one before is "
            "done (batch control)")
PROOFS = (
    Proof(name="sections-once", block="RecordRing", spec=RecordRingSpec, group="once", size=_SIZE, assumes=_ASSUMES,
          says="every item is taken once, from this tile's records or from the ring, and goes in that cycle, unchanged, to "
               "the parser and on to the ring-next tile, unless it is of that tile's section; it is offered as soon as there "
               "is room for it where it goes, and not before",
          mutants=("records-without-room", "records-wait-in-vain", "records-come-back", "ring-error-lost",
                   "ring-takes-unasked"), reach_bound=60),
    Proof(name="sections-order", block="RecordRing", spec=RecordRingSpec, group="order", size=_SIZE, assumes=_ASSUMES,
          says="sections come in the order of the ring, each once in a round, heads before rows; every beat that was read is "
               "taken in its section; the parser hears of the end of each round; a spread batch takes nothing from the ring; "
               "a stop at any time leaves nothing of the batch",
          mutants=("records-own-first", "records-third-round", "records-heads-only", "records-of-a-batch-to-come",
                   "records-one-round-of-spread", "sections-never-empty", "sections-one-list", "ring-rows-as-heads")),
)
