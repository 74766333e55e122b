"""Encoder and decoder of a word of several chunks, and how a memory places them where there is protection."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib.wiring import In, Member, Out

from trajectile.hw.lib.block import Block, place
from trajectile.hw.memory.chunk import ChunkDecoder, ChunkEncoder
from trajectile.hw.memory.code import chunk_codes, stored_bits


class WordEncoder(Block):
    """A word as it is stored: its chunks, lowest first, each with its check bits above.

    Latency: none (``latency_cycles`` = 0). Storage: none.
    """

    latency_cycles = 0

    data: Signal
    stored: Signal

    def __init__(self, protect: str, word_bits: int, lanes: int = 1):
        self.protect, self.word_bits, self.lanes = protect, word_bits, lanes
        super().__init__({
            "data": In(word_bits),  #: to be written
            "stored": Out(stored_bits(protect, word_bits, lanes)),  #: what to write
        })

    @property
    def module_name(self) -> str:
        """One module for each code and size."""
        return f"{self.protect}_word_encoder_{self.word_bits}" + (f"_lanes_{self.lanes}" if self.lanes > 1 else "")

    def elaborate(self, platform: object) -> Module:
        """One encoder per chunk."""
        m = Module()
        low, stored = 0, []
        for number, code in enumerate(chunk_codes(self.protect, self.word_bits, self.lanes)):
            chunk = ChunkEncoder(code)
            place(m, platform, {f"chunk_{number}": chunk})
            m.d.comb += chunk.data.eq(self.data[low:low + code.data_bits])
            stored.append(chunk.stored)
            low += code.data_bits
        m.d.comb += self.stored.eq(Cat(stored))
        return m


class WordDecoder(Block):
    """A word as it was before it was stored, with errors corrected or reported.

    Latency: none (``latency_cycles`` = 0). Storage: none.
    """

    latency_cycles = 0

    stored: Signal
    data: Signal
    corrected: Signal
    error: Signal

    def __init__(self, protect: str, word_bits: int, lanes: int = 1):
        self.protect, self.word_bits, self.lanes = protect, word_bits, lanes
        super().__init__({
            "stored": In(stored_bits(protect, word_bits, lanes)),  #: as read
            "data": Out(word_bits),  #: corrected where it could be
            "corrected": Out(1),  #: in one chunk or more a bit was wrong and was corrected
            "error": Out(1),  #: ``data`` is wrong
        })

    @property
    def module_name(self) -> str:
        """One module for each code and size."""
        return f"{self.protect}_word_decoder_{self.word_bits}" + (f"_lanes_{self.lanes}" if self.lanes > 1 else "")

    def elaborate(self, platform: object) -> Module:
        """One decoder per chunk."""
        m = Module()
        low, chunks = 0, []
        for number, code in enumerate(chunk_codes(self.protect, self.word_bits, self.lanes)):
            chunk = ChunkDecoder(code)
            place(m, platform, {f"chunk_{number}": chunk})
            m.d.comb += chunk.stored.eq(self.stored[low:low + code.stored_bits])
            chunks.append(chunk)
            low += code.stored_bits
        m.d.comb += [
            self.data.eq(Cat(chunk.data for chunk in chunks)),
            self.corrected.eq(Cat(chunk.corrected for chunk in chunks).any()),
            self.error.eq(Cat(chunk.error for chunk in chunks).any()),
        ]
        return m


def encoded(m: Module, platform: object, protect: str, data: Value, name: str, *, lanes: int = 1) -> Value:
    """``data`` of so many lanes as it is stored; ``name`` is that of the encoder in ``m``, if one is needed."""
    if protect == "none":
        return data
    encoder = WordEncoder(protect, len(data), lanes)
    place(m, platform, {name: encoder})
    m.d.comb += encoder.data.eq(data)
    return encoder.stored


class Flagged(Protocol):
    """What says that something is wrong with a word: a word that was read, or a block that holds protected memory."""

    @property
    def corrected(self) -> Value: ...  # noqa: D102
    @property
    def error(self) -> Value: ...  # noqa: D102


class Decoded(NamedTuple):
    """A word that was read."""

    #: one cycle after ``read``
    data: Value
    #: two cycles after ``read``: a bit of it was corrected
    corrected: Value
    #: two cycles after ``read``: it was wrong
    error: Value


def decoded(m: Module, platform: object, protect: str, stored: Value, word_bits: int, name: str, *, read: Value,
            lanes: int = 1) -> Decoded:
    """The word of ``word_bits`` in ``lanes`` that is stored as ``stored``; ``name`` is that of its decoder, if it needs one.

    ``read`` is high when the SRAM reads a word that will be used. Only such words are checked for errors, and only in the
    cycle in which they come: at other times the SRAM may show anything.
    """
    if protect == "none":
        return Decoded(stored, Const(0), Const(0))
    decoder = WordDecoder(protect, word_bits, lanes)
    place(m, platform, {name: decoder})
    comes, corrected, error = (Signal(name=f"{name}_{what}") for what in ("used", "corrected", "error"))
    m.d.comb += decoder.stored.eq(stored)
    m.d.sync += [comes.eq(read), corrected.eq(comes & decoder.corrected), error.eq(comes & decoder.error)]
    return Decoded(decoder.data, corrected, error)


def flag_members(protect: str) -> dict[str, Member]:
    """Members of a block that holds protected memory."""
    return {} if protect == "none" else {
        "corrected": Out(1),  #: in a word that was read two cycles before and is used, a bit was wrong and was corrected
        "error": Out(1),  #: a word that was read two cycles before and is used is wrong
    }


def show_flags(m: Module, block: Flagged, protect: str, sources: Sequence[Flagged]) -> None:
    """Drive the outputs of :func:`flag_members`: something is wrong with one of some words, or in one of some blocks."""
    if protect != "none":
        m.d.comb += [block.corrected.eq(Cat(source.corrected for source in sources).any()),
                     block.error.eq(Cat(source.error for source in sources).any())]
