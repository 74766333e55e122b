"""Encoder and decoder of one chunk of a protected word: combinational, between registers and SRAM."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In, Out

from trajectile.hw.lib.block import Block
from trajectile.hw.memory.code import ChunkCode


def _parities(m: Module, name: str, groups: Sequence[Sequence[Value]]) -> list[Signal]:
    """The parity of each group of bits, in signals ``name_0``, ``name_1`` and so on."""
    parities = [Signal(name=f"{name}_{number}") for number in range(len(groups))]
    m.d.comb += [parity.eq(Cat(group).xor()) for parity, group in zip(parities, groups, strict=True)]
    return parities


class ChunkEncoder(Block):
    """Puts check bits on top of the data.

    Latency: none (``latency_cycles`` = 0). Storage: none.
    """

    latency_cycles = 0

    data: Signal
    stored: Signal

    def __init__(self, code: ChunkCode):
        self.code = code
        super().__init__({
            "data": In(code.data_bits),  #: to be written
            "stored": Out(code.stored_bits),  #: what to write: the data, and the check bits above
        })

    @property
    def module_name(self) -> str:
        """One module for each code and size."""
        return f"{self.code.protect}_encoder_{self.code.data_bits}"

    def elaborate(self, platform: object) -> Module:
        """A parity tree for each check bit."""
        m = Module()
        checks = _parities(m, "check", [[self.data[place] for place in row] for row in self.code.rows])
        m.d.comb += self.stored.eq(Cat(self.data, checks))
        return m


class ChunkDecoder(Block):
    """Data without its check bits.

    Parity detects an odd number of flipped bits. SECDED corrects one flipped bit and detects two. It detects more of them
    only if their syndrome is not that of a single bit.

    Latency: none (``latency_cycles`` = 0). Storage: none.
    """

    latency_cycles = 0

    stored: Signal
    data: Signal
    corrected: Signal
    error: Signal

    def __init__(self, code: ChunkCode):
        self.code = code
        super().__init__({
            "stored": In(code.stored_bits),  #: as read: data, check bits above
            "data": Out(code.data_bits),  #: corrected if it could be
            "corrected": Out(1),  #: one bit was wrong, of the data or of the check bits; ``data`` is right
            "error": Out(1),  #: ``data`` is wrong
        })

    @property
    def module_name(self) -> str:
        """One module for each code and size."""
        return f"{self.code.protect}_decoder_{self.code.data_bits}"

    def elaborate(self, platform: object) -> Module:
        """The syndrome is 0 if all is well, else it names the bit that is wrong, or none."""
        m = Module()
        code = self.code
        data, checks = self.stored[:code.data_bits], self.stored[code.data_bits:]
        syndrome = Cat(_parities(m, "syndrome", [[*(data[place] for place in row), check]
                                                 for row, check in zip(code.rows, checks, strict=True)]))
        if code.protect == "parity":
            m.d.comb += [self.data.eq(data), self.error.eq(syndrome)]
            return m
        columns = [*code.columns, *(1 << bit for bit in range(code.check_bits))]
        flipped = [Signal(name=f"flipped_{place}") for place in range(code.stored_bits)]
        m.d.comb += [
            *(wrong.eq(syndrome == column) for wrong, column in zip(flipped, columns, strict=True)),
            self.data.eq(data ^ Cat(flipped[:code.data_bits])),
            self.corrected.eq(Cat(flipped).any()),
            self.error.eq(syndrome.any() & ~self.corrected),
        ]
        return m
