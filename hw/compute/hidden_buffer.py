"""The hidden buffer of one token lane: what SwiGLU makes of a pass, until the down segment reads it."""

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.lib.block import Block
from trajectile.hw.widths import Widths


class HiddenBuffer(Block):
    """Two halves of registers: one pass is written while the pass before is read.

    Values are written in the order of the slice's columns; after the last column of a pass the other half follows.

    Latency: written in cycle c, readable in c+1 (``latency_cycles`` = 1); a read is combinational. Throughput: one value in,
    ``mac_k`` values out per cycle. Storage: two passes of int8.
    """

    latency_cycles = 1

    clear: Signal
    write: Signal
    value: Signal
    half: Signal
    chunk: Signal
    values: Signal

    def __init__(self, params: Widths):
        self.params = params
        config = params.config
        #: values of a pass: pairs of gate and up outputs, zero padding included
        self.columns = config.gate_up_groups * config.tile.mac_n // 2
        super().__init__({
            "clear": In(1),  #: a batch begins: start with half 0
            "write": In(1),  #: take ``value``
            "value": In(8),  #: int8
            "half": In(1),  #: read this half
            "chunk": In(bits_for(config.down_chunks - 1)),  #: values ``chunk * mac_k`` on
            "values": Out(params.activation_bits),  #: ``mac_k`` int8, lowest column lowest
        })

    def elaborate(self, platform: object) -> Module:
        """A write pointer, registers, a wide multiplexer."""
        m = Module()
        config = self.params.config
        inputs, chunks = config.tile.mac_k, config.down_chunks
        column = Signal(range(max(self.columns, 2)))
        half = Signal()
        last = column == self.columns - 1
        with m.If(self.write):
            m.d.sync += [column.eq(Mux(last, 0, column + 1)), half.eq(half ^ last)]
        with m.If(self.clear):
            m.d.sync += [column.eq(0), half.eq(0)]

        read = []
        for number in range(2):
            registers = [Signal(8, name=f"half_{number}_{i}", reset_less=True) for i in range(self.columns)]
            for i, register in enumerate(registers):
                with m.If(self.write & (half == number) & (column == i)):
                    m.d.sync += register.eq(self.value)
            # columns past the last have zero weights
            padded = [*registers, *(Const(0, 8) for _ in range(chunks * inputs - self.columns))]
            read.append(Array(Cat(padded[chunk * inputs:(chunk + 1) * inputs]) for chunk in range(chunks))[self.chunk])
        m.d.comb += self.values.eq(Mux(self.half, read[1], read[0]))
        return m
