"""SRAM behind two small wrappers, one module for each size: what a chip replaces by compiled macros."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from trajectile.hw.lib.block import Block


def name_1rw(depth: int, width: int, lanes: int = 1) -> str:
    """Module name of a single-port SRAM, without prefix."""
    return f"sram_1rw_{depth}x{width}" + (f"_lanes_{lanes}" if lanes > 1 else "")


class Sram1RW(Block):
    """Single-port SRAM; a word has one or more lanes of equal width, and a write may leave some of them as they are.

    Latency: ``rdata`` is valid one cycle after ``en`` without any ``we`` (``latency_cycles`` = 1) and holds until the next
    such cycle. Throughput: one access per cycle. Storage: ``depth`` words of ``width`` bits.
    """

    latency_cycles = 1

    en: Signal
    we: Signal
    addr: Signal
    wdata: Signal
    rdata: Signal

    def __init__(self, *, depth: int, width: int, lanes: int = 1):
        self.depth, self.width, self.lanes = depth, width, lanes
        super().__init__({
            "en": In(1),  #: access in this cycle
            "we": In(lanes),  #: the access is a write of these lanes
            "addr": In(ceil_log2(depth) or 1),  #: word address
            "wdata": In(width),  #: word to write
            "rdata": Out(width),  #: word read one cycle before
        })

    @property
    def module_name(self) -> str:
        """One module for each size."""
        return name_1rw(self.depth, self.width, self.lanes)

    def elaborate(self, platform: object) -> Module:
        """One memory, a write and a read port that are never used in the same cycle."""
        m = Module()
        array: memory.Memory = memory.Memory(shape=self.width, depth=self.depth, init=[])
        m.submodules.memory = array
        # an assignment each: Amaranth names a port's signals after its variable, which a tuple hides on Python 3.13
        write = array.write_port(granularity=self.width // self.lanes)
        read = array.read_port()
        m.d.comb += [
            write.addr.eq(self.addr), write.data.eq(self.wdata), write.en.eq(Mux(self.en, self.we, 0)),
            read.addr.eq(self.addr), read.en.eq(self.en & ~self.we.any()), self.rdata.eq(read.data),
        ]
        return m


class Sram1R1W(Block):
    """Two-port SRAM: one read and one write per cycle (FIFO storage).

    Latency: ``rdata`` is valid one cycle after ``ren`` (``latency_cycles`` = 1) and holds. A read of the word being written
    returns the old word.
    """

    latency_cycles = 1

    wen: Signal
    waddr: Signal
    wdata: Signal
    ren: Signal
    raddr: Signal
    rdata: Signal

    def __init__(self, *, depth: int, width: int):
        self.depth, self.width = depth, width
        super().__init__({
            "wen": In(1),  #: write in this cycle
            "waddr": In(ceil_log2(depth) or 1),  #: word to write to
            "wdata": In(width),  #: word to write
            "ren": In(1),  #: read in this cycle
            "raddr": In(ceil_log2(depth) or 1),  #: word to read
            "rdata": Out(width),  #: word read one cycle before
        })

    @property
    def module_name(self) -> str:
        """One module for each size."""
        return f"sram_1r1w_{self.depth}x{self.width}"

    def elaborate(self, platform: object) -> Module:
        """One memory with a write and a read port."""
        m = Module()
        array: memory.Memory = memory.Memory(shape=self.width, depth=self.depth, init=[])
        m.submodules.memory = array
        write = array.write_port()
        read = array.read_port()
        m.d.comb += [
            write.addr.eq(self.waddr), write.data.eq(self.wdata), write.en.eq(self.wen),
            read.addr.eq(self.raddr), read.en.eq(self.ren), self.rdata.eq(read.data),
        ]
        return m
