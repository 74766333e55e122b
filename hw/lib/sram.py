"""SRAM behind two small wrappers, one module for each size: what a chip replaces by compiled macros."""

from amaranth.hdl import Module
from amaranth.lib import memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.lib.emit import Block


class Sram1RW(Block):
    """Single-port SRAM.

    Latency: ``rdata`` is valid one cycle after ``en`` without ``we`` and holds until the next such cycle.
    Throughput: one access a cycle. Storage: ``depth`` words of ``width`` bits.
    """

    latency_cycles = 1

    def __init__(self, *, depth: int, width: int):
        self.depth, self.width = depth, width
        super().__init__({
            "en": In(1),  #: access in this cycle
            "we": In(1),  #: the access is a write
            "addr": In(ceil_log2(depth) or 1),  #: word address
            "wdata": In(width),  #: word to write
            "rdata": Out(width),  #: word read one cycle before
        })

    @property
    def module_name(self) -> str:
        """One module for each size."""
        return f"sram_1rw_{self.depth}x{self.width}"

    def elaborate(self, platform: object) -> Module:
        """One memory, a write and a read port that are never used in the same cycle."""
        m = Module()
        m.submodules.memory = array = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write, read = array.write_port(), array.read_port()
        m.d.comb += [
            write.addr.eq(self.addr), write.data.eq(self.wdata), write.en.eq(self.en & self.we),
            read.addr.eq(self.addr), read.en.eq(self.en & ~self.we), self.rdata.eq(read.data),
        ]
        return m


class Sram1R1W(Block):
    """Two-port SRAM: one read and one write a cycle (FIFO storage).

    Latency: ``rdata`` is valid one cycle after ``ren`` and holds. A read of the word being written returns the old word.
    """

    latency_cycles = 1

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
        m.submodules.memory = array = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write, read = array.write_port(), array.read_port()
        m.d.comb += [
            write.addr.eq(self.waddr), write.data.eq(self.wdata), write.en.eq(self.wen),
            read.addr.eq(self.raddr), read.en.eq(self.ren), self.rdata.eq(read.data),
        ]
        return m
