"""Signals with fields, for type checkers."""

from typing import cast

from amaranth.hdl import Signal
from amaranth.lib import data


def struct_signal(layout: data.Layout, *, name: str, reset_less: bool = False) -> data.View:
    """``Signal(layout)``, which a type checker takes for a plain signal."""
    return cast(data.View, Signal(layout, name=name, reset_less=reset_less))
