"""A Mixture-of-Experts layer in a checkpoint: its experts, its shared experts, its gate (docs/import.md).

The headers say every shape; all of them are checked before any weight is read, and weights are read expert by expert.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.checkpoints import experts as of
from trajectile.sw_model.checkpoints.config_keys import ModelConfigError
from trajectile.sw_model.checkpoints.experts import Separate, Weights, check_shapes
from trajectile.sw_model.checkpoints.naming import Block
from trajectile.sw_model.checkpoints.source import Source
from trajectile.sw_model.checkpoints.tensors import CheckpointError
from trajectile.sw_model.gates.router import Router
from trajectile.sw_model.numerics.layers import FloatLayer, GluFunction


@dataclass(frozen=True, kw_only=True)
class MoeLayer:
    """A layer whose tensors are all there with fitting shapes."""

    checkpoint: Source
    number: int
    #: whose names the tensors have
    naming: str
    d_model: int
    d_ff: int
    #: routed experts
    experts: int
    #: type of plain weights, or the format of others
    dtype: str
    #: fused tensors are [experts, inputs, outputs] instead of [experts, outputs, inputs]
    transposed: bool
    weights: of.Source
    block: Block
    #: the expert that every token meets
    shared: Separate | None = None
    #: columns of its d_ff
    shared_ff: int = 0

    @property
    def biased(self) -> bool:
        """Whether experts have biases."""
        return self.weights.biased or (self.shared is not None and self.shared.biased)

    @property
    def function(self) -> GluFunction:
        """What experts do with gate and up values."""
        return self.checkpoint.model.function

    @property
    def on_input(self) -> bool:
        """A choice's weight multiplies what a routed expert is given."""
        return self.checkpoint.model.family.on_input

    @property
    def shared_parts(self) -> int:
        """Experts of ``d_ff`` columns that the shared one is cut into; the last may have columns of zeros."""
        return -(-self.shared_ff // self.d_ff)

    def read(self) -> Iterator[FloatLayer]:
        """The routed experts in turn, then the parts of the shared one, each as a layer of one expert.

        If one has biases, all have; what has none gets zeros.

        Raises:
            CheckpointError: if a value is not finite.
        """
        for expert in range(self.experts):
            yield self._single(self.weights.read(expert))
        if self.shared:
            whole = self.shared.read(0)
            space = (0, self.shared_parts * self.d_ff - self.shared_ff)
            gate, up = (np.pad(part, (space, (0, 0))) for part in whole[:2])
            down = np.pad(whole.down, ((0, 0), space))
            gate_bias, up_bias = (None if bias is None else np.pad(bias, space) for bias in (whole.gate_bias, whole.up_bias))
            for part in range(self.shared_parts):
                columns = slice(part * self.d_ff, (part + 1) * self.d_ff)
                yield self._single(Weights(
                    gate[columns], up[columns], down[:, columns], None if gate_bias is None else gate_bias[columns],
                    None if up_bias is None else up_bias[columns], None if part else whole.down_bias))

    def _single(self, weights: Weights) -> FloatLayer:
        """One expert as a layer."""
        whole = [np.ascontiguousarray(matrix, dtype=np.float32)[None] for matrix in weights[:3]]
        if not self.biased:
            return FloatLayer(whole[0], whole[1], whole[2], function=self.function)
        biases = [(np.zeros(size, dtype=np.float32) if bias is None else bias)[None]
                  for bias, size in zip(weights[3:], (self.d_ff, self.d_ff, self.d_model), strict=True)]
        return FloatLayer(whole[0], whole[1], whole[2], biases[0], biases[1], biases[2], self.function)

    def router(self, top_k: int) -> Router | None:
        """The gate; None if the checkpoint has none.

        Raises:
            CheckpointError: if a value is not finite, or the gate cannot choose so.
        """
        names = self.block.router
        if "weight" not in names:
            return None
        tensors = {what: self.checkpoint.read(name) for what, name in names.items()}
        try:
            rule = self.checkpoint.model.rule(top_k)
            rule.check(self.experts)
        except ValueError as error:
            raise CheckpointError(f"{self.checkpoint.path}: {error}") from None
        bias = tensors.get("bias")
        correction = tensors.get("correction", bias if self.checkpoint.model.family.bias == "correction" else None)
        logits = self.checkpoint.model.family.bias == "logits"
        return Router(rule=rule, weight=tensors["weight"], bias=bias if logits else None,
                      correction=None if correction is None else correction.reshape(-1))

    def shared_gate(self) -> NDArray[np.float32] | None:
        """What the sigmoid of the shared expert's weight is of, [d_model]; None if its weight is 1."""
        return None if self.block.shared_gate is None else self.checkpoint.read(self.block.shared_gate).reshape(-1)


def _check_block(checkpoint: Source, number: int, block: Block, experts: int, d_model: int) -> None:
    """See that all tensors beside the experts are understood and fit; config.json must agree with them."""
    model, words = checkpoint.model, block.words
    for name in block.unknown:
        if name.removeprefix(block.prefix) not in checkpoint.accept:
            raise CheckpointError(f"{name} is not known, and may change what the layer computes; legal: the tensors of "
                                  f"docs/import.md, or --accept {name.removeprefix(block.prefix)} if it does not")
    choices = experts + model.identity
    legal = {"weight": [[choices, d_model]], "bias": [[choices]], "correction": [[choices], [1, choices]]}
    for what, name in block.router.items():
        if checkpoint.shape(name) not in legal[what]:
            raise CheckpointError(f"{name} has shape {checkpoint.shape(name)}; legal: {legal[what][0]} = "
                                  f"[experts{' and identities' * bool(model.identity)}{', d_model' * (what == 'weight')}]")
    if "bias" in block.router and model.family.bias is None:
        raise CheckpointError(f"{block.router['bias']} is not legal; legal: none (nothing says whether with this model it is "
                              "added to the logits or corrects the choice)")
    if model.family.bias == "logits" and "weight" in block.router and "bias" not in block.router:
        raise CheckpointError(f"{block.router['weight'].removesuffix('weight')}bias is missing; legal: [{choices}], which "
                              "this model_type adds to the logits")
    if number < model.hashed:
        raise CheckpointError(f"num_hash_layers = {model.hashed} is not legal with layer {number}; legal: layers from "
                              f"{model.hashed} on (in the others the token's number in the vocabulary chooses; --accept "
                              "num_hash_layers takes the experts, and the gate as if it chose)")
    corrects = "correction" in block.router or (model.family.bias == "correction" and "bias" in block.router)
    if corrects and not model.correction and model.family.bias != "correction":
        raise CheckpointError(f"{block.router['correction']} is not legal; legal: none ({words.source} says of no correction "
                              f"of the choice: {words.corrects})")
    if model.correction and not corrects and "weight" in block.router:
        raise CheckpointError(f"{block.prefix}{words.correction} is missing; legal: [{choices}], as {words.source} says that "
                              "the choice is corrected")
    if model.experts is not None and model.experts != experts:
        raise CheckpointError(f"{block.prefix}{words.experts} has {experts} experts; legal: {model.experts}, as "
                              f"{words.source} says")
    if block.shared_gate and checkpoint.shape(block.shared_gate) not in ([1, d_model], [d_model]):
        raise CheckpointError(f"{block.shared_gate} has shape {checkpoint.shape(block.shared_gate)}; legal: [1, {d_model}]")


def _shared(checkpoint: Source, block: Block, d_model: int) -> Separate | None:
    """The shared expert, checked."""
    if not block.shared:
        if checkpoint.model.shared:
            raise CheckpointError(f"{block.prefix}{block.words.shared} is missing; legal: {checkpoint.model.shared}, as "
                                  f"{block.words.source} says")
        if block.shared_gate:
            raise CheckpointError(f"{block.shared_gate} is not legal without a shared expert; legal: both, or none")
        return None
    granite = block.naming == "Granite"
    for key in ("gate_up", "down") if granite or "gate_up" in block.shared else of.PARTS:
        if not set(block.shared.get(key, {})) - {"bias"}:
            own = f"shared_mlp.{'in' if key == 'gate_up' else 'out'}put_linear.weight"
            name = own if granite else f"{block.prefix}{block.words.matrix.format(key)}"
            raise CheckpointError(f"{name} is missing; legal: all matrices of the shared expert")
    found = checkpoint.shared(block)
    width, inputs = check_shapes(found)
    if inputs != d_model:
        raise CheckpointError(f"the shared expert at {block.prefix} has {inputs} inputs; legal: {d_model} = d_model, with "
                              f"{width} columns of d_ff")
    return found


def find(checkpoint: Source, number: int | None = None) -> MoeLayer:
    """The layer of a number, by default the first that has experts.

    Raises:
        CheckpointError: if there is none; if tensors are missing, unknown, or of a shape that does not fit; if
            ``config.json`` says something that is not computed here, or contradicts the tensors.
    """
    layers = checkpoint.layers()
    if not layers:
        raise CheckpointError(f"{checkpoint.path}: no layer has routed experts; legal names: {checkpoint.legal}")
    number = min(layers) if number is None else number
    if number not in layers:
        raise CheckpointError(f"--layer = {number} is not in {checkpoint.path}; legal values: "
                              f"{', '.join(map(str, sorted(layers)[:64]))}")
    if len(layers[number]) > 1:
        stems = ", ".join(sorted(layers[number]))
        raise CheckpointError(f"{checkpoint.path}: layer {number} is there as {stems}; legal: once")
    block, = layers[number].values()
    _ = checkpoint.model  # what it refuses is refused before any shape is looked at
    found = checkpoint.experts(block)
    if isinstance(found.weights, Separate):
        check_shapes(found.weights)
    experts, d_ff, d_model = found.weights.shape
    _check_block(checkpoint, number, block, experts, d_model)
    shared = _shared(checkpoint, block, d_model)
    shared_ff = shared.matrices[0][0].shape[0] if shared else 0
    return MoeLayer(checkpoint=checkpoint, number=number, naming=found.naming, d_model=d_model, d_ff=d_ff, experts=experts,
                    dtype=found.dtype, transposed=found.transposed, weights=found.weights, block=block, shared=shared,
                    shared_ff=shared_ff)


def top_k_of(layer: MoeLayer) -> int | None:
    """Experts that a token chooses, as config.json says; None if it does not.

    Raises:
        CheckpointError: if its list of layers is too short.
    """
    try:
        return layer.checkpoint.model.experts_per_token(layer.number)
    except ModelConfigError as error:
        raise CheckpointError(f"{layer.checkpoint.path}: {error}") from None
