"""What readers of checkpoints share: their errors, and what the rest of the code asks of tensors and matrices."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from trajectile.sw_model.checkpoints.model_config import ModelConfig
from trajectile.sw_model.numerics.layers import Float32

#: types of plain weights and of scales
FLOATS = ("BF16", "F16", "F32")


class CheckpointError(ValueError):
    """A checkpoint that cannot be used. The message names the file, the tensor and what is legal."""


class MissingLibraryError(RuntimeError):
    """A checkpoint whose reader is not installed. The message names the extra that installs it."""


class Tensors(Protocol):
    """The tensors of a checkpoint by name, and what is said of the model beside them."""

    path: Path
    #: keys of the configuration, and tensors beside the experts, that the user says change nothing
    accept: frozenset[str]

    @property
    def model(self) -> ModelConfig:
        """What is known of the model's layers; :class:`CheckpointError` if it is wrong or not understood."""

    def dtype(self, name: str) -> str:
        """Type of a tensor."""

    def shape(self, name: str) -> list[int]:
        """Shape of a tensor."""

    def raw(self, name: str, row: int | None = None) -> NDArray[Any]:
        """A tensor, or one entry of its first dimension, as it is stored."""

    def read(self, name: str, row: int | slice | None = None) -> Float32:
        """A tensor, or an entry or some of its first dimension, in float32; :class:`CheckpointError` if it is not finite."""


class Matrix(Protocol):
    """A matrix [outputs, inputs] in a checkpoint, checked."""

    @property
    def name(self) -> str:
        """One of its tensors, for messages."""

    @property
    def dtype(self) -> str:
        """Its type, or the name of its format."""

    @property
    def shape(self) -> tuple[int, int]:
        """``(outputs, inputs)``."""

    @property
    def tensors(self) -> Mapping[str, str]:
        """Names of the tensors that make it."""

    def read(self) -> Float32:
        """The matrix in float32, exactly; :class:`CheckpointError` if a value is not finite."""
