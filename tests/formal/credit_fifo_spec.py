"""The router's FIFO: order, contents, credits."""

from amaranth.hdl import Signal
from amaranth.lib import data

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d.credit_fifo import CreditFifo

DEPTH = 3


class CreditFifoSpec(Spec):
    """One flit is marked; the FIFO does not look at flits, so what holds for this one holds for all."""

    def build(self) -> None:
        m, params = self.m, tiny(credits=DEPTH)
        params.flit_layout = data.StructLayout({"head": 1, "tail": 1, "payload": 1, "mark": 1})
        m.submodules.dut = dut = CreditFifo(params)
        write, flit, ready = self.free(1, "write"), self.free(params.flit_layout, "flit"), self.free(1, "ready")
        m.d.comb += [dut.write.eq(write), dut.flit.eq(flit), dut.head.ready.eq(ready)]
        leaves = self.wire(dut.head.valid & ready, "leaves")
        # The far end spends a credit on every flit.
        held = Signal(range(DEPTH + 1), init=DEPTH)
        self.assume(~write | (held != 0))
        m.d.sync += held.eq(held - write + dut.credit)
        inside = Signal(range(DEPTH + 2))
        m.d.sync += inside.eq(inside + write - leaves)
        self.claim("credits", "a flit inside, a credit on its way or a credit held: as many as there is room",
                   held + inside + dut.credit == DEPTH)
        self.claim("credits", "nothing leaves an empty FIFO", inside != 0, when=leaves)

        # The marked flit, and how many are before it.
        marked = self.wire(write & flit.mark, "marked")
        seen, gone, item, ahead = Signal(), Signal(), Signal(params.flit_layout), Signal(range(DEPTH + 2))
        self.assume(~(marked & seen))
        first = self.wire(seen & ~gone & (ahead == 0), "first")
        with m.If(marked):
            m.d.sync += [seen.eq(1), item.eq(flit), ahead.eq(inside - leaves)]
        with m.Elif(seen & leaves):
            m.d.sync += [gone.eq(gone | first), ahead.eq(ahead - ~first)]
        self.claim("order", "it leaves after those before it, unchanged",
                   dut.head.payload.as_value() == item.as_value(), when=leaves & first)
        self.claim("order", "it leaves once", ~dut.head.payload.mark, when=leaves & ~first)
        stuck = Signal(2)
        m.d.sync += stuck.eq(0)
        with m.If((inside != 0) & ~dut.head.valid):
            m.d.sync += stuck.eq(stuck + 1)
        self.claim("order", "what is inside stands at the head two cycles later", stuck != 3)
        held_flit = self.past(dut.head.payload.as_value(), "held_flit")
        self.claim("order", "the head holds until it is taken", dut.head.valid & (dut.head.payload.as_value() == held_flit),
                   when=self.past(dut.head.valid & ~ready, "waited"))
        self.reach(inside == DEPTH)
        self.reach(gone)
        self.reach((held == DEPTH) & gone)


_SIZE = f"{DEPTH} credits, 4-bit flits"
_ASSUMES = "the far end spends a credit on every flit (router-credits)"
PROOFS = (
    Proof(name="fifo-credits", block="CreditFifo", spec=CreditFifoSpec, group="credits", size=_SIZE, assumes=_ASSUMES,
          says="credits are conserved: held + on the way + flits inside = depth",
          mutants=("fifo-credit-twice", "fifo-credit-early"), quick=True, reach_bound=25),
    Proof(name="fifo-order", block="CreditFifo", spec=CreditFifoSpec, group="order", size=_SIZE, assumes=_ASSUMES,
          says="a marked flit leaves once, unchanged, after all flits before it; none gets stuck; the head holds "
               "(`CountFifo` is the same code)",
          mutants=("fifo-short", "fifo-overtakes", "fifo-reads-twice")),
)
