"""The record port: order, contents and credits, of what comes and of what goes."""

from amaranth.hdl import Signal
from amaranth.lib import data

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d import record_port
from trajectile.hw.d2d.layouts import FlitKind
from trajectile.hw.d2d.record_port import RecordPort

#: fewer than in the design, so that the proof is short; places and counts are made in the same way
RECORD_CREDITS = 4


class RecordPortSpec(Spec):
    """Items of three bits. Of those that come one is marked; the port does not look at payloads, so what holds for this one
    holds for all.
    """

    def build(self) -> None:
        params = tiny(array__dataflows="both")
        params.record_item_layout = data.StructLayout({"head": 1, "error": 1, "payload": 1})
        params.flit_layout = data.StructLayout({"kind": FlitKind, "head": 1, "tail": 1, "payload": 1})
        record_port.RECORD_CREDITS = RECORD_CREDITS
        self.m.submodules.dut = self.dut = RecordPort(params)
        self.params = params
        self._comes()
        self._goes()

    def _comes(self) -> None:
        m, dut, layout = self.m, self.dut, self.params.record_item_layout
        valid, flit, ready = self.free(1, "valid"), self.free(self.params.flit_layout, "flit"), self.free(1, "ready")
        m.d.comb += [dut.arrival.valid.eq(valid), dut.arrival.payload.eq(flit), dut.come.ready.eq(ready)]
        comes = self.wire(valid, "comes")
        leaves = self.wire(dut.come.valid & ready, "leaves")
        # The far end spends a credit on every flit of records.
        held = Signal(range(RECORD_CREDITS + 1), init=RECORD_CREDITS)
        self.assume(~comes | (held != 0))
        m.d.sync += held.eq(held - comes + dut.permit_record)
        inside = Signal(range(RECORD_CREDITS + 2))
        m.d.sync += inside.eq(inside + comes - leaves)
        self.claim("queue", "what is inside or held: as many as there is room", held + inside == RECORD_CREDITS)
        arrived = Signal(range(RECORD_CREDITS + 2))  # not in the cycle before
        m.d.sync += arrived.eq(inside - leaves)
        self.claim("queue", "an item stands at the head two cycles after it has come, if it is the first",
                   dut.come.valid == (arrived != 0))
        self.claim("queue", "a permit for each that is taken, at once", dut.permit_record == leaves)

        marked = self.wire(comes & flit.payload, "marked")
        seen, gone, item, ahead = Signal(), Signal(), Signal(layout), Signal(range(RECORD_CREDITS + 2))
        self.assume(~(marked & seen))
        first = self.wire(seen & ~gone & (ahead == 0), "first")
        with m.If(marked):
            m.d.sync += [seen.eq(1), item.head.eq(flit.head), item.error.eq(flit.tail), item.payload.eq(flit.payload),
                         ahead.eq(inside - leaves)]
        with m.Elif(seen & leaves):
            m.d.sync += [gone.eq(gone | first), ahead.eq(ahead - ~first)]
        self.claim("queue", "it leaves after those before it, unchanged",
                   dut.come.payload.as_value() == item.as_value(), when=leaves & first)
        self.claim("queue", "it leaves once", ~dut.come.payload.payload, when=leaves & ~first)
        before = self.past(dut.come.payload.as_value(), "head_before")
        self.claim("queue", "the head holds until it is taken", dut.come.valid & (dut.come.payload.as_value() == before),
                   when=self.past(dut.come.valid & ~ready, "waited"))
        self.reach(inside == RECORD_CREDITS)
        self.reach(gone)
        self.reach((held == RECORD_CREDITS) & gone)

    def _goes(self) -> None:
        m, dut, layout = self.m, self.dut, self.params.record_item_layout
        valid, given, ready = self.free(1, "go_valid"), self.free(layout, "given"), self.free(1, "flit_ready")
        permitted = self.free(1, "permitted")
        m.d.comb += [dut.go.valid.eq(valid), dut.go.payload.eq(given), dut.flits.ready.eq(ready), dut.permitted.eq(permitted)]
        taken, goes = self.wire(valid & dut.go.ready, "taken"), self.wire(dut.flits.valid & ready, "goes")
        under_way = Signal(range(RECORD_CREDITS + 2))
        self.assume(~permitted | (under_way != 0))
        m.d.sync += under_way.eq(under_way + goes - permitted)
        waits, item, second = Signal(range(3)), Signal(layout, name="waiting_item"), Signal(layout, name="second_item")
        m.d.sync += waits.eq(waits + taken - goes)
        with m.If(taken):
            m.d.sync += second.eq(given)
        with m.If((waits == 0) | (goes & (waits == 1))):
            m.d.sync += item.eq(given)
        with m.Elif(goes):
            m.d.sync += item.eq(second)
        flit = dut.flits.payload
        self.claim("out", "no flit without a credit, and no credit is lost: with one left an item is offered",
                   dut.flits.valid == ((waits != 0) & (under_way != RECORD_CREDITS)))
        self.claim("out", "as it was given", (flit.kind == FlitKind.RECORD) & (flit.head == item.head)
                   & (flit.tail == item.error) & (flit.payload == item.payload), when=dut.flits.valid)
        self.claim("out", "there is room for two items, whatever the link takes in the cycle", dut.go.ready == (waits < 2))
        self.reach((under_way == RECORD_CREDITS) & (waits == 2))
        self.reach(goes & taken)


_SIZE = f"{RECORD_CREDITS} credits, items of 3 bits"
PROOFS = (
    Proof(name="records-queue", block="RecordPort", spec=RecordPortSpec, group="queue", size=_SIZE,
          assumes="the far end spends a credit on every flit of records (records-out)",
          says="a marked item of records leaves once, unchanged, after all items before it, and is at the head as soon as "
               "it is the first; a permit goes back for each",
          mutants=("records-permit-early", "records-item-lost"), reach_bound=30),
    Proof(name="records-out", block="RecordPort", spec=RecordPortSpec, group="out", size=_SIZE,
          assumes="a permit comes back for a flit that was sent (records-queue)",
          says="every item is a flit, once, unchanged, and only with a credit; no credit is lost",
          mutants=("records-credit-unchecked", "records-credit-lost", "places-overwritten"), quick=True),
)
