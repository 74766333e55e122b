"""SRAM that a test can look into or that forgets, and words with flipped bits."""

import random
from dataclasses import replace

from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.memory.code import chunk_codes
from trajectile.hw.params import Params
from trajectile.tb.faulty_sram import faulty_srams


class OpenSram(Sram1RW):
    """An SRAM that is filled with random words at first, as a real one is, and keeps a list of all its kind in ``made``."""

    made: list["OpenSram"] = []

    def elaborate(self, platform):
        m = super().elaborate(platform)
        self.array = m.submodules.memory
        rng = random.Random(len(self.made))
        self.array.data.init = [rng.getrandbits(self.width) for _ in range(self.depth)]
        self.made.append(self)
        return m

    def word(self, address: int):
        """For ``ctx.get`` and ``ctx.set``."""
        return self.array.data[address]


def open_srams(monkeypatch, *modules) -> list[OpenSram]:
    """Let modules use :class:`OpenSram`; returns the list in which the SRAMs of the next design will be."""
    monkeypatch.setattr(OpenSram, "made", [])
    for module in modules:
        monkeypatch.setattr(module, "Sram1RW", OpenSram)
    return OpenSram.made


def flip(protect: str, word_bits: int, number: int, rng: random.Random, lanes: int = 1) -> int:
    """A mask with ``number`` bits of one chunk of a stored word."""
    codes = chunk_codes(protect, word_bits, lanes)
    chosen = rng.randrange(len(codes))
    low = sum(code.stored_bits for code in codes[:chosen])
    return sum(1 << low + bit for bit in rng.sample(range(codes[chosen].stored_bits), number))


def forgetful(made):
    """The files of a design whose buffers forget."""
    return replace(made, modules=faulty_srams(made.modules, Params(made.config))).files()
