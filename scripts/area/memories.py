"""What each memory of a tile is made of: SRAM macros, or flip-flops where those are smaller."""

from dataclasses import dataclass

from trajectile.hw.design import Design
from trajectile.scripts.area.sram_compiler import Memory, compile_memory
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError


@dataclass(frozen=True)
class Choice:
    """What an SRAM module is made of."""

    depth: int
    width: int
    two_port: bool
    #: of flip-flops, and not of macros
    registers: bool
    #: the best macros, whether they are taken or not; None if the technology has none
    macros: Memory | None
    #: first guess of its area in flip-flops
    guess: float

    @property
    def bits(self) -> int:
        """Size."""
        return self.depth * self.width


def choose(made: Design, technology: Technology, registers: int | None = None) -> dict[str, Choice]:
    """A choice for each SRAM module.

    Args:
        made: the design.
        technology: what its macros and its flip-flops take.
        registers: memories of at most so many bits become flip-flops; None: those that are smaller so, by a first guess.
    """
    if registers is not None and registers < 0:
        raise UserError(f"--registers = {registers} is not legal; legal values: a number of bits from 0")
    found = {}
    for name, (depth, width, kind, lanes) in made.srams.items():
        two_port = kind == "1r1w"
        memory = compile_memory(technology.srams, depth, width, two_port=two_port, mux_um2=technology.mux_area,
                                lanes=lanes)
        guess = depth * width * technology.register_area
        small = depth * width <= registers if registers is not None else memory is not None and guess < memory.area_um2
        found[name] = Choice(depth, width, two_port, small, memory, guess)
    return found
