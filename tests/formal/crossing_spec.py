"""The crossing between two clocks: frames come in order, once, unspoilt; one with content is lost only without room for it.

In a step of the proof either clock has an edge, or both, or none: every ratio, phase and jitter. Where both have an edge a
synchroniser sees the old value; where it would see the new one there is a run in which the other edge comes before. That a
synchroniser sees the one or the other, and no mixture, is what one bit in a step is for, which is proved as well.
"""

from amaranth.hdl import ClockSignal, EnableInserter, Mux, Signal
from amaranth.lib import data

from tests.formal.spec import Proof, Spec, tiny
from trajectile.hw.d2d import crossing
from trajectile.hw.d2d.crossing import Crossing
from trajectile.hw.d2d.layouts import FrameKind

#: frames, and from how many on IDLE frames are left out: less than there are, so that a few edges fill it
DEPTH, FULL_ENOUGH = 4, 3
#: edges of the reader's clock within which something that stands in the FIFO comes out
EDGES = 4


class CrossingSpec(Spec):
    """One frame is marked; the FIFO looks at nothing but the kind, so what holds for this one holds for all."""

    def build(self) -> None:
        m, params = self.m, tiny(link__crc_bits=16, array__clocks="independent")
        params.frame_layout = data.StructLayout({"kind": FrameKind, "mark": 1})
        crossing.DEPTH, crossing.FULL_ENOUGH = DEPTH, FULL_ENOUGH
        sender, reader = self.free(1, "sender_edge"), self.free(1, "reader_edge")
        dut = Crossing(params)
        # the solver has one clock; each side steps where its own has an edge
        m.submodules.dut = EnableInserter({"rx": sender, "sync": reader})(dut)
        come = self.free(params.frame_layout, "come")
        m.d.comb += [dut.rx_clk.eq(ClockSignal()), dut.come.eq(come)]
        idle = self.wire(come.kind == FrameKind.IDLE, "idle")
        # the sender's side leaves its reset after the reader's
        started = Signal(3)
        with m.If(~started[-1] & (reader | (started != 0))):
            m.d.sync += started.eq(started + 1)
        goes_in = self.wire(sender & dut.writes & started[-1], "goes_in")
        self.assume(started[-1] | (come.kind == FrameKind.NOTHING))
        stepped = Signal()  # the reader's clock has had an edge: what is shown is new
        m.d.sync += stepped.eq(reader)
        out = self.wire((dut.frame.kind != FrameKind.NOTHING) & stepped, "out")

        inside = Signal(range(DEPTH + 3))  # written, and not come out
        m.d.sync += inside.eq(inside + goes_in - out)
        before, long_before = Signal.like(inside, name="before"), Signal.like(inside, name="long_before")
        with m.If(sender):
            m.d.sync += [before.eq(inside - out), long_before.eq(before)]
        self.claim("room", "never more that wait than there is room for", (inside - out)[:3] <= DEPTH)
        self.claim("room", "nothing comes out of an empty FIFO", inside != 0, when=out)
        self.claim("room", "nothing is written that is nothing", come.kind != FrameKind.NOTHING, when=goes_in)
        self.claim("room", "what is lost found the FIFO full, or IDLE full enough, two edges of the sender's clock before",
                   long_before + 2 >= Mux(idle, FULL_ENOUGH, DEPTH),
                   when=sender & started[-1] & (come.kind != FrameKind.NOTHING) & ~dut.writes)
        for name, pointer in (("written", dut.written_gray), ("taken", dut.taken_gray)):
            changed = self.wire(pointer ^ self.past(pointer, f"{name}_past"), f"{name}_changed")
            self.claim("gray", f"one bit of `{name}` changes in a step", (changed & (changed - 1)[:len(changed)]) == 0)

        marked = self.wire(goes_in & come.mark, "marked")
        seen, gone = Signal(name="seen"), Signal(name="gone")
        kind, ahead = Signal(FrameKind, name="kind"), Signal(range(DEPTH + 3), name="ahead")
        self.assume(~(marked & seen))
        first = self.wire(seen & ~gone & (ahead == 0), "first")
        with m.If(marked):
            m.d.sync += [seen.eq(1), kind.eq(come.kind), ahead.eq(inside - out)]
        with m.Elif(seen & out):
            m.d.sync += [gone.eq(gone | first), ahead.eq(ahead - ~first)]
        self.claim("order", "it comes out after those before it, unspoilt", dut.frame.mark & (dut.frame.kind == kind),
                   when=out & first)
        self.claim("order", "it comes out once", ~dut.frame.mark, when=out & ~first)
        stuck = Signal(range(EDGES + 2), name="stuck")
        with m.If((inside == 0) | out):
            m.d.sync += stuck.eq(0)
        with m.Elif(reader & (stuck != EDGES + 1)):
            m.d.sync += stuck.eq(stuck + 1)
        self.claim("order", "what is inside goes on", stuck <= EDGES)
        self.reach(gone)
        self.reach(inside == DEPTH)


_SIZE = f"{DEPTH} frames of 3 bits"
_ASSUMES = "any edges of either clock in any order, after the reset"
PROOFS = (
    Proof(name="crossing-gray", block="Crossing", spec=CrossingSpec, group="gray", size=_SIZE, assumes=_ASSUMES,
          says="one bit of a pointer changes in a step, so a synchroniser sees the old pointer or the new one",
          mutants=("crossing-binary",), reach_bound=40),
    Proof(name="crossing-room", block="Crossing", spec=CrossingSpec, group="room", size=_SIZE, assumes=_ASSUMES, bound=16,
          says="no overflow, and a frame is lost only where the FIFO was full, an IDLE frame where it was full enough",
          mutants=("crossing-overflows", "crossing-drops-early"), mutant_bound=18),
    Proof(name="crossing-order", block="Crossing", spec=CrossingSpec, group="order", size=_SIZE, assumes=_ASSUMES, bound=16,
          says="a marked frame comes out once, unspoilt, after those before it; nothing gets stuck",
          mutants=("crossing-overflows-order", "crossing-reads-early"), mutant_bound=18),
)
