"""A Mixture-of-Experts layer in a checkpoint, by the names that models give its tensors (docs/import.md).

The headers say every shape; all of them are checked before any weight is read, and weights are read expert by expert.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from trajectile.sw_model.checkpoints.checkpoint import MAX_EXPERTS, Checkpoint, CheckpointError
from trajectile.sw_model.numerics.integer import FloatLayer

#: a tensor of the routed experts of a layer: what they are called, the layer's number, and the rest of the name
_TENSOR = re.compile(r"(?P<stem>(?:[^\s]*\.)?layers\.(?P<layer>\d{1,6})\.(?:\w+\.)*experts)\.(?P<rest>.+)")
_PER_EXPERT = re.compile(r"(?P<expert>\d{1,6})\.(?P<matrix>w1|w2|w3|gate_proj|up_proj|down_proj)\.weight")
_FUSED = re.compile(r"(?P<matrix>gate_up_proj|down_proj)(?:\.weight)?")
_MATRIX = {"w1": "gate", "w3": "up", "w2": "down", "gate_proj": "gate", "up_proj": "up", "down_proj": "down",
           "gate_up_proj": "gate_up"}
LEGAL_NAMES = ("experts.N.{w1,w3,w2}.weight, experts.N.{gate_proj,up_proj,down_proj}.weight, experts.gate_up_proj and "
               "experts.down_proj")


@dataclass(frozen=True)
class MoeLayer:
    """A layer whose tensors are all there with fitting shapes."""

    checkpoint: Checkpoint
    number: int
    #: whose names the tensors have
    naming: str
    d_model: int
    d_ff: int
    experts: int
    #: type of the weights
    dtype: str
    #: name of the router's tensor [experts, d_model]; None if there is none
    router: str | None
    #: names of the tensors that every token meets besides; they are not part of the layer here
    shared: tuple[str, ...]
    #: names by matrix; each a list by expert, or one fused tensor
    names: Mapping[str, list[str]]
    #: fused tensors are [experts, inputs, outputs] instead of [experts, outputs, inputs]
    transposed: bool = False

    def read(self) -> Iterator[FloatLayer]:
        """The experts in turn, each as a layer of one expert.

        Raises:
            CheckpointError: if a value is not finite.
        """
        for expert in range(self.experts):
            if "gate_up" in self.names:
                both, down = (self.checkpoint.read(self.names[key][0], expert) for key in ("gate_up", "down"))
                if self.transposed:
                    both, down = both.T, down.T
                matrices = both[:self.d_ff], both[self.d_ff:], down
            else:
                gate, up, down = (self.checkpoint.read(self.names[key][expert]) for key in ("gate", "up", "down"))
                matrices = gate, up, down
            yield FloatLayer(*(np.ascontiguousarray(matrix)[None] for matrix in matrices))


def _layer(checkpoint: Checkpoint, number: int, stem: str, sizes: tuple[int, int, int], names: dict[str, list[str]],
           naming: str, transposed: bool = False) -> MoeLayer:
    block = stem.removesuffix("experts")
    shared = tuple(sorted(name for name in checkpoint.files if name.startswith((block + "shared_expert.",
                                                                                block + "shared_experts."))))
    if any(name.startswith(block + "shared_experts.") for name in shared):
        naming = "DeepSeek-MoE"
    elif shared:
        naming = "Qwen-MoE"
    router = next((name for name in (block + "gate.weight", block + "router.weight") if name in checkpoint.files), None)
    experts, d_ff, d_model = sizes
    if router and checkpoint.shape(router) != [experts, d_model]:
        raise CheckpointError(f"{router} has shape {checkpoint.shape(router)}; legal: {[experts, d_model]} = [experts, "
                              "d_model]")
    return MoeLayer(checkpoint, number, naming, d_model, d_ff, experts, checkpoint.dtype(names["down"][0]), router, shared,
                    names, transposed)


def _unknown(stem: str, rest: str) -> CheckpointError:
    return CheckpointError(f"{stem}.{rest} is not legal; legal names: {LEGAL_NAMES} (no biases, no quantised weights)")


def _per_expert(checkpoint: Checkpoint, number: int, stem: str, rest: dict[str, str]) -> MoeLayer:
    found: dict[tuple[int, str], str] = {}
    for name, tensor in rest.items():
        match = _PER_EXPERT.fullmatch(name)
        place = (int(match["expert"]), _MATRIX[match["matrix"]]) if match else None
        if place is None:
            raise _unknown(stem, name)
        if place in found:
            raise CheckpointError(f"{tensor} and {found[place]} are the same matrix; legal: once")
        found[place] = tensor
    experts = max(expert for expert, _ in found) + 1
    if experts > MAX_EXPERTS:
        raise CheckpointError(f"{stem}: {experts} experts are not legal; legal values: 1 to {MAX_EXPERTS}")
    mixtral = any(re.search(r"\.w[123]\.", name) for name in found.values())
    words = dict(zip(("gate", "up", "down"), ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj"),
                     strict=True))
    names: dict[str, list[str]] = {"gate": [], "up": [], "down": []}
    for expert in range(experts):
        for key, word in words.items():
            if (expert, key) not in found:
                raise CheckpointError(f"{stem}.{expert}.{word}.weight is missing; legal: all three matrices of experts 0 to "
                                      f"{experts - 1}")
            names[key].append(found[expert, key])
    first = checkpoint.shape(names["gate"][0])
    if len(first) != 2 or not all(first):
        raise CheckpointError(f"{names['gate'][0]} has shape {first}; legal: [d_ff, d_model]")
    for key, shape, meaning in (("gate", first, "[d_ff, d_model]"), ("up", first, "[d_ff, d_model]"),
                                ("down", first[::-1], "[d_model, d_ff]")):
        for name in names[key]:
            if checkpoint.shape(name) != shape:
                raise CheckpointError(f"{name} has shape {checkpoint.shape(name)}; legal: {shape} = {meaning} as "
                                      f"{names['gate'][0]} has it")
    return _layer(checkpoint, number, stem, (experts, first[0], first[1]), names,
                  "Mixtral" if mixtral else "Qwen-MoE or OLMoE")


def _fused(checkpoint: Checkpoint, number: int, stem: str, rest: dict[str, str]) -> MoeLayer:
    names: dict[str, list[str]] = {}
    for name, tensor in rest.items():
        match = _FUSED.fullmatch(name)
        if not match or _MATRIX[match["matrix"]] in names:
            raise _unknown(stem, name)
        names[_MATRIX[match["matrix"]]] = [tensor]
    for key, word in (("gate_up", "gate_up_proj"), ("down", "down_proj")):
        if key not in names:
            raise CheckpointError(f"{stem}.{word} is missing; legal: gate_up_proj and down_proj")
    both, down = checkpoint.shape(names["gate_up"][0]), checkpoint.shape(names["down"][0])
    if len(both) == 3 and len(down) == 3 and all(both) and all(down) and both[0] == down[0] <= MAX_EXPERTS:
        # the two ways can not be taken for each other: one has d_model in the middle of down, the other d_ff
        if both[1:] == [2 * down[2], down[1]]:
            return _layer(checkpoint, number, stem, (both[0], down[2], down[1]), names, "fused experts")
        if both[1:] == [down[2], 2 * down[1]]:
            return _layer(checkpoint, number, stem, (both[0], down[1], down[2]), names, "fused experts, transposed", True)
    raise CheckpointError(
        f"{names['gate_up'][0]} has shape {both}, {names['down'][0]} {down}; legal: [experts, 2 d_ff, d_model] and [experts, "
        f"d_model, d_ff], or [experts, d_model, 2 d_ff] and [experts, d_ff, d_model], with 1 to {MAX_EXPERTS} experts")


def _stems(checkpoint: Checkpoint) -> dict[int, dict[str, dict[str, str]]]:
    """By layer and by what its experts are called: name of each tensor by the rest of the name."""
    found: dict[int, dict[str, dict[str, str]]] = {}
    for name in checkpoint.files:
        match = _TENSOR.fullmatch(name)
        if match and not name.startswith("mtp."):  # layers of multi-token prediction are numbered from 0 again
            found.setdefault(int(match["layer"]), {}).setdefault(match["stem"], {})[match["rest"]] = name
    return found


def find(checkpoint: Checkpoint, number: int | None = None) -> MoeLayer:
    """The layer of a number, by default the first that has experts.

    Raises:
        CheckpointError: if there is none, or tensors are missing, unknown, or of a shape that does not fit.
    """
    layers = _stems(checkpoint)
    if not layers:
        raise CheckpointError(f"{checkpoint.path}: no layer has routed experts; legal names: {LEGAL_NAMES}")
    number = min(layers) if number is None else number
    if number not in layers:
        raise CheckpointError(f"--layer = {number} is not in {checkpoint.path}; legal values: "
                              f"{', '.join(map(str, sorted(layers)[:64]))}")
    if len(layers[number]) > 1:
        stems = ", ".join(sorted(layers[number]))
        raise CheckpointError(f"{checkpoint.path}: layer {number} is there as {stems}; legal: once")
    (stem, rest), = layers[number].items()
    make = _fused if any(_FUSED.fullmatch(name) for name in rest) else _per_expert
    return make(checkpoint, number, stem, rest)
