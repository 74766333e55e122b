"""From the clock that came with the frames into the tile's own: an asynchronous FIFO with gray pointers."""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.cdc import FFSynchronizer, ResetSynchronizer  # type: ignore[import-untyped]  # not in the stubs
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import FrameKind, LinkLayouts
from trajectile.hw.lib.block import Block

#: frames that it holds, a power of two: those on their way through both synchronisers (5 at the most), one more for a cycle
#: in which a synchroniser is late, and two that wait
DEPTH = 8
#: with so many frames in it, as the sender's side sees it, an IDLE frame is left out
FULL_ENOUGH = 6


def to_gray(count: Value) -> Value:
    """The count in a code of which a step changes one bit."""
    return count ^ (count >> 1)[:len(count)]


def from_gray(code: Value) -> Value:
    """The count of a code."""
    return Cat(code[bit:].xor() for bit in range(len(code)))


class Crossing(Block):
    """Takes the frame of each cycle of ``rx_clk`` and gives one in each cycle of the tile's clock, in order.

    While it is empty it gives NOTHING, and NOTHING is never written. Where the sender's clock is the faster one frames
    gather. An IDLE frame is therefore left out while there are ``FULL_ENOUGH`` or more. A DATA frame that finds no room is
    lost as a whole: the far end's link layer sends it again.

    Pointers go to the other side in gray code through two flip-flops. The memory is read only where its word has been written
    for two cycles of the tile's clock, and written only where it was read before. ``rst`` resets the sender's side too,
    through a synchroniser: whether ``rx_clk`` runs or not.

    Latency: a frame at the pins in cycle c is at ``frame`` in c+4 at the most (``latency_cycles`` = 4), if none waits before
    it: it is written, its pointer waits for the other clock's edge (up to a cycle) and takes two flip-flops, it is read.
    Where the sender is the faster one, ``drift_cycles`` = 2 frames may wait before IDLE frames are left out. Throughput: one
    frame per cycle of the slower clock. Storage: ``DEPTH`` frames.
    """

    latency_cycles = 4
    drift_cycles = DEPTH - FULL_ENOUGH

    rx_clk: Signal
    come: data.View
    frame: data.View

    def __init__(self, params: LinkLayouts):
        self.params = params
        #: the pointers that cross, and whether the frame of this cycle is written: proofs look at them
        self.written_gray = Signal(range(2 * DEPTH))
        self.taken_gray = Signal(range(2 * DEPTH))
        self.writes = Signal()
        super().__init__({
            "rx_clk": In(1),  #: the clock of ``come``: it may stand still
            "come": In(params.frame_layout),  #: from the pins
            "frame": Out(params.frame_layout),  #: to the link layer, in the tile's clock
        })

    def elaborate(self, platform: object) -> Module:
        """The sender's side, the receiver's side, a synchroniser each way."""
        m = Module()
        m.domains.rx = ClockDomain(local=True, async_reset=True)
        m.d.comb += ClockSignal("rx").eq(self.rx_clk)
        # a register, so that what resets the other domain has no glitches; one cycle is enough to set its flip-flops
        held = Signal(init=1)
        m.d.sync += held.eq(0)
        m.submodules.rx_reset = ResetSynchronizer(held, domain="rx")

        width = len(Value.cast(self.frame))
        memory: Memory = Memory(shape=width, depth=DEPTH, init=[])
        m.submodules.memory = memory
        write = memory.write_port(domain="rx")
        read = memory.read_port(domain="sync")
        pointer = range(2 * DEPTH)
        written = Signal(pointer)  # in rx_clk
        taken_seen = Signal(pointer)  # the other side's, in rx_clk
        taken = Signal(pointer)  # in the tile's clock
        written_seen = Signal(pointer)
        m.submodules.written_across = FFSynchronizer(self.written_gray, written_seen, o_domain="sync", reset_less=False)
        m.submodules.taken_across = FFSynchronizer(self.taken_gray, taken_seen, o_domain="rx", reset_less=False)

        level = Signal(pointer)
        after = Signal(pointer, name="written_after")
        m.d.comb += [
            level.eq(written - from_gray(taken_seen)),
            write.data.eq(self.come), write.addr.eq(written),
            self.writes.eq((self.come.kind != FrameKind.NOTHING)
                           & Mux(self.come.kind == FrameKind.IDLE, level < FULL_ENOUGH, level < DEPTH)),
            write.en.eq(self.writes), after.eq(written + self.writes),
        ]
        m.d.rx += [written.eq(after), self.written_gray.eq(to_gray(after))]

        shown = Signal()
        after_taken = Signal(pointer, name="taken_after")
        m.d.comb += [
            read.en.eq(written_seen != self.taken_gray), read.addr.eq(taken), after_taken.eq(taken + read.en),
            self.frame.eq(Mux(shown, read.data, 0)),
        ]
        m.d.sync += [shown.eq(read.en), taken.eq(after_taken), self.taken_gray.eq(to_gray(after_taken))]
        return m
