"""The hidden buffer of one token lane: what SwiGLU makes of a pass, until the down segment reads it."""

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.formats import ACTIVATION_BITS, HIDDEN, HIDDEN_BITS, HIDDEN_EXPONENT_BITS
from trajectile.hw.lib.block import Block
from trajectile.hw.widths import Widths

#: a hidden value and how far its exponent is below the largest of its pass
_DISTANT = data.StructLayout({"magnitude": HIDDEN_BITS, "negative": 1, "distance": HIDDEN_EXPONENT_BITS})


def aligned(m: Module, name: str, value: data.View) -> Value:
    """``min((h + 2^d) >> (d + 1), 127)`` with its sign, for the distance ``d``: int8, zero for ``d`` of 8 and more."""
    distance, kept = value.distance, Signal(HIDDEN_BITS, name=f"{name}_kept")
    m.d.comb += kept.eq(Mux(distance[3:] == 0, value.magnitude >> distance[:3], 0))
    # 255 would become 128. A negative number is the complement of its magnitude, and 1: what rounds takes that back.
    rounds = kept[0] & ~kept.all()
    negative = value.negative
    number: Value = Cat(kept[1:] ^ negative.replicate(HIDDEN_BITS - 1), negative) + (rounds ^ negative)
    return number[:ACTIVATION_BITS]


class HiddenBuffer(Block):
    """Two halves of registers: one pass is written while the pass before is read.

    Values are written in the order of the slice's columns; after the last column of a pass the other half follows. What is
    written beyond the slice's columns, for the padding of the last group, is dropped, and reads as zero. A value is aligned
    to the largest exponent of its pass when it is read.

    Latency: written in cycle c, it can be addressed in c+1 (``latency_cycles`` = 1). ``values`` and ``pass_exponent`` are of
    the ``half`` and ``chunk`` that were addressed a cycle before (``read_cycles`` = 1). Throughput: one value in, ``mac_k``
    values out per cycle. Storage: two passes and a chunk of 16 bits a value, three exponents.
    """

    latency_cycles = 1
    read_cycles = 1

    write: Signal
    value: data.View
    half: Signal
    chunk: Signal
    values: data.View
    pass_exponent: Signal

    def __init__(self, params: Widths):
        self.params = params
        config = params.config
        #: values of a pass: pairs of gate and up outputs, zero padding included
        self.columns = config.gate_up_groups * config.tile.mac_n // 2
        super().__init__({
            "write": In(1),  #: take ``value``
            "value": In(HIDDEN),  #: the next column's
            "half": In(1),  #: address this half
            "chunk": In(bits_for(config.down_chunks - 1)),  #: columns ``chunk * mac_k`` on
            "values": Out(params.activations_layout),  #: a cycle later: ``mac_k`` int8, lowest column lowest; shifts are 0
            "pass_exponent": Out(HIDDEN_EXPONENT_BITS),  #: with them: the largest exponent of their pass
        })

    def elaborate(self, platform: object) -> Module:
        """A write pointer, registers, a wide multiplexer and subtractors with a register, aligners."""
        m = Module()
        config = self.params.config
        inputs, chunks, present = config.tile.mac_k, config.down_chunks, config.slice_ff
        column = Signal(range(max(self.columns, 2)))
        half = Signal(name="write_half")
        last = column == self.columns - 1
        with m.If(self.write):
            m.d.sync += [column.eq(Mux(last, 0, column + 1)), half.eq(half ^ last)]

        read = []
        tops = [Signal(HIDDEN_EXPONENT_BITS, name=f"top_{number}", reset_less=True) for number in range(2)]
        for number, top in enumerate(tops):
            registers = [Signal(HIDDEN, name=f"half_{number}_{i}", reset_less=True) for i in range(present)]
            writes = self.write & (half == number)
            for i, register in enumerate(registers):
                with m.If(writes & (column == i)):
                    m.d.sync += register.eq(self.value)
            larger = (column == 0) | (self.value.exponent > top)
            with m.If(writes & larger & (column < present)):
                m.d.sync += top.eq(self.value.exponent)
            padded = [*registers, *(HIDDEN.const({}) for _ in range(chunks * inputs - present))]
            read.append(Array(Cat(padded[chunk * inputs:(chunk + 1) * inputs]) for chunk in range(chunks))[self.chunk])
        row = Signal(data.ArrayLayout(_DISTANT, inputs), reset_less=True)
        exponent = Signal(HIDDEN_EXPONENT_BITS, reset_less=True)
        chosen, largest = Mux(self.half, read[1], read[0]), Mux(self.half, tops[1], tops[0])
        m.d.sync += exponent.eq(largest)
        values = []
        for number in range(inputs):
            hidden, distant = data.View(HIDDEN, chosen.word_select(number, HIDDEN.size)), data.View(_DISTANT, row[number])
            m.d.sync += [
                distant.magnitude.eq(hidden.magnitude), distant.negative.eq(hidden.negative),
                distant.distance.eq(largest - hidden.exponent),
            ]
            values.append(aligned(m, f"value_{number}", distant))
        m.d.comb += self.pass_exponent.eq(exponent)
        width = config.tile.word_inputs
        m.d.comb += [self.values[block].values.eq(Cat(values[block * width:(block + 1) * width]))
                     for block in range(config.tile.word_scales)]
        return m
