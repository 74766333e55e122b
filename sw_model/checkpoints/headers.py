"""What the formats of a matrix share: what a format is, and the checks of shapes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from trajectile.sw_model.numerics.layers import Float32

#: tensors by ending; and type and shape of each, as the header has them
Arrays = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[str, list[int]]]
#: scales of activations at another runtime; activations have scales of their own here
RUNTIME = ("input_scale", "input_global_scale", "k_scale", "v_scale")


@dataclass(frozen=True)
class Format:
    """One way to store a matrix."""

    name: str
    #: endings of the tensors that there must be, and of those that there may be
    endings: tuple[str, ...]
    optional: tuple[str, ...]
    #: ``(outputs, inputs)`` of types and shapes by ending; None if this is another format; ``ValueError`` if it is this one,
    #: and wrong
    shape: Callable[[Shapes, Mapping[str, Any]], tuple[int, int] | None]
    #: the matrix, of the tensors by ending
    decode: Callable[[Arrays, tuple[int, int], Mapping[str, Any]], Float32]


def two(shape: list[int], meaning: str) -> tuple[int, int]:
    """A shape of two dimensions.

    Raises:
        ValueError: if it has others, or one is 0.
    """
    if len(shape) != 2 or not all(shape):
        raise ValueError(f"shape {shape} is not legal; legal: {meaning}")
    return shape[0], shape[1]


def fit(ending: str, shape: list[int], *legal: list[int]) -> None:
    """See that the tensor of an ending has one of the legal shapes.

    Raises:
        ValueError: if it has none of them.
    """
    if shape not in legal:
        raise ValueError(f"{ending} has shape {shape}; legal: {' or '.join(map(str, legal))}")
