"""Comparison with a limit, where the limit may be all that the value can be."""

from amaranth.hdl import Const, Value


def exceeds(value: Value, maximum: int) -> Value:
    """Whether an unsigned ``value`` is larger than ``maximum``; no logic if it cannot be."""
    return value > maximum if maximum < (1 << len(value)) - 1 else Const(0)
