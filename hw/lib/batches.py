"""What a tile has once for each batch in flight: one or two of it."""

from collections.abc import Sequence

from amaranth.hdl import Const, Mux, Value


def of_batch(batch: Value, values: Sequence[Value]) -> Value:
    """That of ``values``, one per batch in flight, which belongs to ``batch``: no multiplexer where there is only one."""
    return values[0] if len(values) == 1 else Mux(batch, values[1], values[0])


def is_batch(batch: Value, number: int, batches: int) -> Value:
    """Whether ``batch`` is this one of so many in flight."""
    return Const(1) if batches == 1 else batch == number
