"""The experts of a layer in a checkpoint: fused in two tensors, or three matrices each in any format."""

from collections.abc import Mapping
from dataclasses import dataclass

from trajectile.sw_model.checkpoints import naming
from trajectile.sw_model.checkpoints.formats import matrix
from trajectile.sw_model.checkpoints.model_config import MAX_EXPERTS
from trajectile.sw_model.checkpoints.tensors import FLOATS, CheckpointError, Matrix, Tensors
from trajectile.sw_model.numerics.integer import Float32


@dataclass(frozen=True)
class Fused:
    """All experts in two tensors: [experts, outputs, inputs], or transposed."""

    checkpoint: Tensors
    gate_up: str
    down: str
    #: ``(experts, d_ff, d_model)``
    shape: tuple[int, int, int]
    transposed: bool

    def read(self, expert: int) -> tuple[Float32, Float32, Float32]:
        """Gate, up and down of an expert."""
        both, down = (self.checkpoint.read(name, expert) for name in (self.gate_up, self.down))
        if self.transposed:
            both, down = both.T, down.T
        d_ff = self.shape[1]
        return both[:d_ff], both[d_ff:], down


@dataclass(frozen=True)
class Separate:
    """Three matrices for each expert: gate, up, down."""

    matrices: tuple[tuple[Matrix, Matrix, Matrix], ...]

    def read(self, expert: int) -> tuple[Float32, Float32, Float32]:
        """Gate, up and down of an expert."""
        gate, up, down = (part.read() for part in self.matrices[expert])
        return gate, up, down

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(experts, d_ff, d_model)``, of experts that :func:`check_shapes` has seen."""
        return len(self.matrices), *self.matrices[0][0].shape


@dataclass(frozen=True)
class Experts:
    """The routed experts of a layer."""

    weights: Fused | Separate
    #: whose names the tensors have
    naming: str
    #: type of plain weights, or the format of others
    dtype: str


def _unknown(stem: str, rest: str) -> CheckpointError:
    return CheckpointError(f"{stem}.{rest} is not legal; legal names: {naming.LEGAL}, without biases")


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
        if match is None or match["ending"] == "bias":
            raise _unknown(stem, name)
        parts = found.setdefault(int(match["expert"]), {}).setdefault(naming.MATRIX[match["word"]], {})
        if match["ending"] in parts:
            raise CheckpointError(f"{tensor} and {parts[match['ending']]} are the same matrix; legal: once")
        parts[match["ending"]] = tensor
        words[naming.MATRIX[match["word"]]] = match["word"]
    experts = max(found) + 1
    if experts > MAX_EXPERTS:
        raise CheckpointError(f"{stem}: {experts} experts are not legal; legal values: 1 to {MAX_EXPERTS}")
    mixtral = any(word.startswith("w") for word in words.values())
    usual = dict(zip(("gate", "up", "down"), ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj"),
                     strict=True))
    for expert in range(experts):
        for key, word in usual.items():
            if key not in found.get(expert, {}):
                raise CheckpointError(f"{stem}.{expert}.{word}.weight is missing; legal: all three matrices of experts 0 to "
                                      f"{experts - 1}")
    return Separate(tuple(matrices(checkpoint, found[expert]) for expert in range(experts)))


def matrices(checkpoint: Tensors, parts: Mapping[str, Mapping[str, str]]) -> tuple[Matrix, Matrix, Matrix]:
    """Gate, up and down, of their tensors by ending."""
    quantisation = checkpoint.model.quantisation
    gate, up, down = (matrix(checkpoint, parts[key], quantisation) for key in ("gate", "up", "down"))
    return gate, up, down


def check_shapes(experts: Separate) -> tuple[int, int]:
    """``(d_ff, d_model)`` of experts that are all alike.

    Raises:
        CheckpointError: if they are not.
    """
    first = experts.matrices[0][0]
    shapes = {"gate": (first.shape, "[d_ff, d_model]"), "up": (first.shape, "[d_ff, d_model]"),
              "down": (first.shape[::-1], "[d_model, d_ff]")}
    for matrices in experts.matrices:
        for part, (shape, meaning) in zip(matrices, shapes.values(), strict=True):
            if part.shape != shape:
                raise CheckpointError(f"{part.name} has shape {list(part.shape)}; legal: "
                                      f"{list(shape)} = {meaning} as {first.name} has it")
    return first.shape


def fused(checkpoint: Tensors, stem: str, rest: Mapping[str, str]) -> Fused:
    """Experts in two tensors; arguments and errors of :func:`separate`."""
    names: dict[str, str] = {}
    for name, tensor in rest.items():
        match = naming.FUSED.fullmatch(name)
        if not match or naming.MATRIX[match["word"]] in names:
            raise _unknown(stem, name)
        names[naming.MATRIX[match["word"]]] = tensor
    for key, word in (("gate_up", "gate_up_proj"), ("down", "down_proj")):
        if key not in names:
            raise CheckpointError(f"{stem}.{word} is missing; legal: gate_up_proj and down_proj")
    for tensor in (names["gate_up"], names["down"]):
        if checkpoint.dtype(tensor) not in FLOATS:
            raise CheckpointError(f"{tensor} has type {checkpoint.dtype(tensor)}; legal: {', '.join(FLOATS)}")
    both, down = checkpoint.shape(names["gate_up"]), checkpoint.shape(names["down"])
    if len(both) == 3 and len(down) == 3 and all(both) and all(down) and both[0] == down[0] <= MAX_EXPERTS:
        # the two ways can not be taken for each other: one has d_model in the middle of down, the other d_ff
        if both[1:] == [2 * down[2], down[1]]:
            return Fused(checkpoint, names["gate_up"], names["down"], (both[0], down[2], down[1]), False)
        if both[1:] == [down[2], 2 * down[1]]:
            return Fused(checkpoint, names["gate_up"], names["down"], (both[0], down[1], down[2]), True)
    raise CheckpointError(
        f"{names['gate_up']} has shape {both}, {names['down']} {down}; legal: [experts, 2 d_ff, d_model] and [experts, "
        f"d_model, d_ff], or [experts, d_model, 2 d_ff] and [experts, d_ff, d_model], with 1 to {MAX_EXPERTS} experts")
