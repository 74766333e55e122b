"""The experts of a layer in a checkpoint: what they are made of, and those of three matrices each in any format."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from trajectile.sw_model.checkpoints import naming
from trajectile.sw_model.checkpoints.formats import matrix
from trajectile.sw_model.checkpoints.model_config import MAX_EXPERTS
from trajectile.sw_model.checkpoints.tensors import CheckpointError, Matrix, Tensors
from trajectile.sw_model.numerics.layers import Float32

PARTS = ("gate", "up", "down")


class Weights(NamedTuple):
    """One expert: gate and up [d_ff, d_model], down [d_model, d_ff]; biases [d_ff], [d_ff], [d_model], or None."""

    gate: Float32
    up: Float32
    down: Float32
    gate_bias: Float32 | None = None
    up_bias: Float32 | None = None
    down_bias: Float32 | None = None


class Source(Protocol):
    """Where experts are read from."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(experts, d_ff, d_model)``."""

    @property
    def biased(self) -> bool:
        """Whether they have biases."""

    def read(self, expert: int) -> Weights:
        """An expert; :class:`CheckpointError` if a value is not finite."""


@dataclass(frozen=True)
class Bias:
    """A bias in a checkpoint: a tensor, or an expert's row of one, or some of its entries."""

    checkpoint: Tensors
    name: str
    expert: int | None = None
    #: None: all entries
    part: slice | None = None

    @property
    def outputs(self) -> int:
        """How many entries it has."""
        *_, size = self.checkpoint.shape(self.name) or [1]
        return len(range(size)[self.part or slice(None)])

    def read(self) -> Float32:
        """The bias, float32 [outputs]; :class:`CheckpointError` if a value is not finite."""
        return np.ascontiguousarray(self.checkpoint.read(self.name, self.expert).reshape(-1)[self.part or slice(None)])


#: of gate, up and down; None: no bias
Biases = tuple[Bias | None, Bias | None, Bias | None]
NO_BIASES: Biases = (None, None, None)


@dataclass(frozen=True)
class Separate:
    """Three matrices for each expert: gate, up, down; and their biases, if there are any."""

    matrices: tuple[tuple[Matrix, Matrix, Matrix], ...]
    biases: tuple[Biases, ...] = ()

    def read(self, expert: int) -> Weights:
        """An expert."""
        gate, up, down = (part.read() for part in self.matrices[expert])
        of = self.biases[expert] if self.biases else NO_BIASES
        return Weights(gate, up, down, *(None if bias is None else bias.read() for bias in of))

    @property
    def biased(self) -> bool:
        """Whether they have biases."""
        return any(bias is not None for of in self.biases for bias in of)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(experts, d_ff, d_model)``, of experts that :func:`check_shapes` has seen."""
        return len(self.matrices), *self.matrices[0][0].shape


@dataclass(frozen=True)
class Half:
    """Some outputs of a matrix that holds gate and up."""

    whole: Matrix
    up: bool

    @property
    def name(self) -> str:
        """One of its tensors, for messages."""
        return self.whole.name

    @property
    def dtype(self) -> str:
        """Its type, or the name of its format."""
        return self.whole.dtype

    @property
    def shape(self) -> tuple[int, int]:
        """``(outputs, inputs)``."""
        return self.whole.shape[0] // 2, self.whole.shape[1]

    @property
    def tensors(self) -> Mapping[str, str]:
        """Names of the tensors that make it."""
        return self.whole.tensors

    def read(self) -> Float32:
        """The matrix in float32, exactly; :class:`CheckpointError` if a value is not finite."""
        outputs = self.shape[0]
        return self.whole.read()[outputs if self.up else 0:][:outputs]


@dataclass(frozen=True)
class Experts:
    """The routed experts of a layer."""

    weights: Source
    #: whose names the tensors have
    naming: str
    #: type of plain weights, or the format of others
    dtype: str
    #: fused tensors are [experts, inputs, outputs] instead of [experts, outputs, inputs]
    transposed: bool = False


def unknown(stem: str, rest: str) -> CheckpointError:
    """A tensor of the experts that is not understood."""
    return CheckpointError(f"{stem}.{rest} is not legal; legal names: {naming.LEGAL}")


def separate(checkpoint: Tensors, stem: str, rest: Mapping[str, str]) -> Separate:
    """Experts of three matrices each.

    Args:
        checkpoint: where they are.
        stem: what they are called.
        rest: tensors by the rest of their names.

    Raises:
        CheckpointError: if one is missing, unknown, there twice, or of a shape that makes no matrix.
    """
    found: dict[int, dict[str, dict[str, str]]] = {}
    words: dict[str, str] = {}
    for name, tensor in rest.items():
        match = naming.PER_EXPERT.fullmatch(name)
        if match is None:
            raise unknown(stem, name)
        parts = found.setdefault(int(match["expert"]), {}).setdefault(naming.MATRIX[match["word"]], {})
        if match["ending"] in parts:
            raise CheckpointError(f"{tensor} and {parts[match['ending']]} are the same matrix; legal: once")
        parts[match["ending"]] = tensor
        words[naming.MATRIX[match["word"]]] = match["word"]
    experts = max(found) + 1
    if experts > MAX_EXPERTS:
        raise CheckpointError(f"{stem}: {experts} experts are not legal; legal values: 1 to {MAX_EXPERTS}")
    mixtral = any(word.startswith("w") for word in words.values())
    usual = dict(zip(PARTS, ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj"), strict=True))
    for expert in range(experts):
        for key, word in usual.items():
            if key not in found.get(expert, {}):
                raise CheckpointError(f"{stem}.{expert}.{word}.weight is missing; legal: all three matrices of experts 0 to "
                                      f"{experts - 1}")
    every = [any("bias" in parts[key] for parts in found.values()) for key in PARTS]
    for there, (key, word) in zip(every, usual.items(), strict=True):
        for expert in range(experts):
            if "bias" in found[expert][key]:
                check_said(checkpoint, found[expert][key]["bias"])
            elif there or checkpoint.model.biased:
                raise CheckpointError(f"{stem}.{expert}.{word}.bias is missing; legal: a bias for all experts, as "
                                      f"{'others have one' if there else 'config.json says'}")
    return Separate(tuple(matrices(checkpoint, found[expert]) for expert in range(experts)),
                    tuple(biases(checkpoint, found[expert]) for expert in range(experts)) if any(every) else ())


def check_said(checkpoint: Tensors, name: str) -> None:
    """See that nothing says that there is no bias where there is one.

    Raises:
        CheckpointError: if something does.
    """
    if checkpoint.model.biased is False:
        raise CheckpointError(f"{name} is not legal; legal: none, as config.json says that experts have no biases")


def matrices(checkpoint: Tensors, parts: Mapping[str, Mapping[str, str]]) -> tuple[Matrix, Matrix, Matrix]:
    """Gate, up and down, of their tensors by ending."""
    def one(key: str) -> Matrix:
        return matrix(checkpoint, {ending: name for ending, name in parts[key].items() if ending != "bias"},
                      checkpoint.model.quantisation)
    if "gate_up" in parts:
        both = one("gate_up")
        if both.shape[0] % 2:
            raise CheckpointError(f"{both.name} has shape {list(both.shape)}; legal: [2 d_ff, d_model]")
        return Half(both, up=False), Half(both, up=True), one("down")
    return one("gate"), one("up"), one("down")


def biases(checkpoint: Tensors, parts: Mapping[str, Mapping[str, str]]) -> Biases:
    """Biases of gate, up and down, of their tensors by ending."""
    def one(key: str, part: slice | None = None) -> Bias | None:
        name = parts[key].get("bias")
        return None if name is None else Bias(checkpoint, name, part=part)
    if "gate_up" in parts:
        whole = one("gate_up")
        half = whole.outputs // 2 if whole else 0
        return one("gate_up", slice(half)), one("gate_up", slice(half, None)), one("down")
    return one("gate"), one("up"), one("down")


def check_shapes(experts: Separate) -> tuple[int, int]:
    """``(d_ff, d_model)`` of experts that are all alike.

    Raises:
        CheckpointError: if they are not.
    """
    first = experts.matrices[0][0]
    shapes = {"gate": (first.shape, "[d_ff, d_model]"), "up": (first.shape, "[d_ff, d_model]"),
              "down": (first.shape[::-1], "[d_model, d_ff]")}
    for three in experts.matrices:
        for part, (shape, meaning) in zip(three, shapes.values(), strict=True):
            if part.shape != shape:
                raise CheckpointError(f"{part.name} has shape {list(part.shape)}; legal: "
                                      f"{list(shape)} = {meaning} as {first.name} has it")
    for of in experts.biases:
        for bias, (shape, _) in zip(of, shapes.values(), strict=True):
            if bias is not None and bias.outputs != shape[0]:
                raise CheckpointError(f"{bias.name} has shape {bias.checkpoint.shape(bias.name)}; legal: {shape[0]} entries")
    return first.shape
