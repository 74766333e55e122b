"""Registers in a row: what goes along with the data of a pipeline."""

from typing import Any

from amaranth.hdl import Module, Signal


def chain(m: Module, name: str, value: Any, stages: range, *, reset_less: bool = True) -> list[Any]:
    """A value, or a view of one, and the registers that it passes in turn; ``<name>_<stage>`` is the name of each."""
    found = [value]
    for stage in stages:
        register = Signal(value.shape(), name=f"{name}_{stage}", reset_less=reset_less)
        m.d.sync += register.eq(found[-1])
        found.append(register)
    return found
