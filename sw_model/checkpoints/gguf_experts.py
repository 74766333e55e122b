"""The experts of a layer in a GGUF file: stacked in a tensor per matrix, gate and up fused, or a tensor per expert."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.checkpoints import gguf_names
from trajectile.sw_model.checkpoints.experts import PARTS, Bias, Biases, Experts, Separate
from trajectile.sw_model.checkpoints.model_config import MAX_EXPERTS
from trajectile.sw_model.checkpoints.naming import Block
from trajectile.sw_model.checkpoints.tensors import CheckpointError, Tensors
from trajectile.sw_model.numerics.layers import Float32


class Decoder(Tensors, Protocol):
    """A file that decodes its tensors."""

    def decode(self, name: str, stored: NDArray[Any]) -> Float32:
        """What a part of a tensor stands for; :class:`CheckpointError` if nothing decodes it."""


@dataclass(frozen=True)
class GgufMatrix:
    """A matrix in a GGUF file, or that of one expert of a tensor, or some of its outputs."""

    file: Decoder
    name: str
    expert: int | None = None
    #: the first output and the one after the last; None: all
    rows: tuple[int, int] | None = None

    @property
    def dtype(self) -> str:
        """Its type, as GGUF names it."""
        return self.file.dtype(self.name)

    @property
    def shape(self) -> tuple[int, int]:
        """``(outputs, inputs)``."""
        outputs, inputs = self.file.shape(self.name)[-2:]
        return outputs if self.rows is None else self.rows[1] - self.rows[0], inputs

    @property
    def tensors(self) -> Mapping[str, str]:
        """The tensor that it is in."""
        return {"weight": self.name}

    def read(self) -> Float32:
        """The matrix, float32 [outputs, inputs].

        Raises:
            CheckpointError: if a value is not finite.
        """
        stored = self.file.raw(self.name)
        if self.expert is not None:
            stored = stored[self.expert]
        return np.ascontiguousarray(self.file.decode(self.name, stored if self.rows is None else stored[slice(*self.rows)]))


def experts(file: Decoder, block: Block) -> Experts:
    """The routed experts of a block.

    Raises:
        CheckpointError: if a tensor is missing, unknown, or of a shape or type that does not fit.
    """
    stacked: dict[str, str] = {}
    biases: dict[str, str] = {}
    single: dict[tuple[str, int], str] = {}
    for own, name in block.experts.items():
        if match := gguf_names.STACKED.fullmatch(own):
            (stacked if match["ending"] == "weight" else biases)[match["part"]] = name
        elif match := gguf_names.PER_EXPERT.fullmatch(own):
            single[match["part"], int(match["expert"])] = name
        else:
            raise CheckpointError(f"{name} is not legal; legal names: {gguf_names.LEGAL}, without scales")
    if biases and not stacked:
        name = next(iter(biases.values()))
        raise CheckpointError(f"{name} is not legal without ffn_down_exps.weight; legal: both, or none")
    if stacked and single:
        raise CheckpointError(f"{next(iter(stacked.values()))} and {next(iter(single.values()))} are both there; legal: "
                              "either")
    found = _stacked(file, block, stacked, biases) if stacked else _single(file, block, single)
    dtypes = dict.fromkeys(part.dtype for matrices in found.matrices for part in matrices)
    how = "GGUF, a tensor per expert" if single else f"GGUF{', gate and up fused' * ('gate_up' in stacked)}"
    return Experts(found, how, ", ".join(dtypes))


def shared(file: Decoder, block: Block) -> Separate:
    """The expert of a block that every token meets, of which all three matrices are there; errors of :func:`experts`."""
    for part, endings in block.shared.items():
        legal = block.words.matrix.format(part)
        if set(endings) != {"weight"}:
            raise CheckpointError(f"{next(iter(sorted(endings.values())))} is not legal; legal: {legal} alone")
        _shape(file, endings["weight"], "[outputs, inputs]")
    gate, up, down = (GgufMatrix(file, block.shared[part]["weight"]) for part in PARTS)
    return Separate(((gate, up, down),))


def _stacked(file: Decoder, block: Block, names: Mapping[str, str], biases: Mapping[str, str]) -> Separate:
    """Experts in one tensor per matrix, or with gate and up in one: all gate outputs before all up outputs."""
    needed = ("gate_up", "down") if "gate_up" in names else PARTS
    for part in needed:
        if part not in names:
            raise CheckpointError(f"{block.prefix}ffn_{part}_exps.weight is missing; legal names: {gguf_names.LEGAL}")
    if len(names) != len(needed):
        raise CheckpointError(f"{names['gate_up']} is not legal beside ffn_gate_exps or ffn_up_exps; legal: once")
    shapes = {part: _shape(file, name, "[experts, outputs, inputs]") for part, name in names.items()}
    count = shapes["down"][0]
    for part, shape in shapes.items():
        if shape[0] != count or count > MAX_EXPERTS:
            raise CheckpointError(f"{names[part]} has shape {shape}; legal: 1 to {MAX_EXPERTS} experts, as many as "
                                  f"{names['down']} has")
    found = _biases(file, block, shapes, biases)
    if "gate_up" not in names:
        return Separate(tuple((GgufMatrix(file, names["gate"], expert), GgufMatrix(file, names["up"], expert),
                               GgufMatrix(file, names["down"], expert)) for expert in range(count)), found)
    d_ff, odd = divmod(shapes["gate_up"][1], 2)
    if odd:
        raise CheckpointError(f"{names['gate_up']} has shape {shapes['gate_up']}; legal: [experts, 2 d_ff, d_model]")
    both = names["gate_up"]
    return Separate(tuple((GgufMatrix(file, both, expert, (0, d_ff)), GgufMatrix(file, both, expert, (d_ff, 2 * d_ff)),
                           GgufMatrix(file, names["down"], expert)) for expert in range(count)), found)


def _biases(file: Decoder, block: Block, shapes: Mapping[str, list[int]], names: Mapping[str, str]) -> tuple[Biases, ...]:
    """Biases of the experts whose matrices have these shapes; none if there is none."""
    if not names and not file.model.biased:
        return ()
    for part, (count, outputs, _) in shapes.items():
        name = names.get(part, f"{block.prefix}ffn_{part}_exps.bias")
        if part not in names:
            raise CheckpointError(f"{name} is missing; legal: [{count}, {outputs}], as "
                                  f"{'others are there' if names else 'models of this architecture have biases'}")
        if file.shape(name) != [count, outputs]:
            raise CheckpointError(f"{name} has shape {file.shape(name)}; legal: [{count}, {outputs}]")
    if more := sorted(set(names) - set(shapes)):
        raise CheckpointError(f"{names[more[0]]} is not legal without its matrix; legal: both, or none")

    def of(expert: int) -> Biases:
        if "gate_up" not in names:
            gate, up, down = (Bias(file, names[part], expert) for part in PARTS)
            return gate, up, down
        half = shapes["gate_up"][1] // 2
        return (Bias(file, names["gate_up"], expert, slice(half)), Bias(file, names["gate_up"], expert, slice(half, None)),
                Bias(file, names["down"], expert))
    return tuple(of(expert) for expert in range(shapes["down"][0]))


def _single(file: Decoder, block: Block, names: Mapping[tuple[str, int], str]) -> Separate:
    """Experts of three tensors each."""
    count = max(expert for _, expert in names) + 1
    if count > MAX_EXPERTS:
        raise CheckpointError(f"{block.prefix}ffn_gate: {count} experts are not legal; legal values: 1 to {MAX_EXPERTS}")
    for expert in range(count):
        for part in PARTS:
            if (part, expert) not in names:
                raise CheckpointError(f"{block.prefix}ffn_{part}.{expert}.weight is missing; legal: all three matrices of "
                                      f"experts 0 to {count - 1}")
            _shape(file, names[part, expert], "[outputs, inputs]")
    return Separate(tuple((GgufMatrix(file, names["gate", expert]), GgufMatrix(file, names["up", expert]),
                           GgufMatrix(file, names["down", expert])) for expert in range(count)))


def _shape(file: Decoder, name: str, meaning: str) -> list[int]:
    """The shape of a tensor that has as many dimensions as ``meaning``, none of them 0, and a type that can be decoded."""
    shape = file.shape(name)
    if len(shape) != meaning.count(",") + 1 or not all(shape):
        raise CheckpointError(f"{name} has shape {shape}; legal: {meaning}")
    file.decode(name, np.zeros_like(file.raw(name)[(0,) * (len(shape) - 1)])[None])
    return shape
