"""What a batch is made of: gate decisions, a layer's weights and activations."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.errors import UserError
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates import toy_model, traces, workloads
from trajectile.sw_model.gates.npy import NpyError, read_npy
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.selection import Selection, selected
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics import image, integer
from trajectile.sw_model.numerics.fidelity import fidelity
from trajectile.sw_model.numerics.integer import Float32, Results
from trajectile.sw_model.numerics.layers import FloatLayer, float_layer, random_layer

#: tokens to measure a layer on
MAX_TOKENS = 65536
#: popularity exponent of the synthetic gate; fitted to two real gates it is 0.2 and 0.3 (docs/results.md)
DEFAULT_SKEW = 0.2
#: pieces of other text on which the unit of the toy model's results is chosen
TOY_CALIBRATED = 4


@dataclass(frozen=True)
class Values:
    """The numbers of a batch: weights, activations and what should come out."""

    layer: integer.QuantisedLayer
    batch: integer.QuantisedBatch
    #: float32 layer output, [tokens, d_model]
    reference: NDArray[np.float32]
    #: of which weights the reference is
    against: str = "float32"

    def results(self, config: Config) -> Results:
        """The integer layer on this hardware, results and clips: what the RTL must give."""
        return integer.integer_layer(config, self.layer, self.batch)

    def fidelity(self, results: Results) -> dict[str, float]:
        """How near integer results come to the float32 layer, by name: :class:`Fidelity`; tokens that clipped, and clips."""
        near = fidelity(integer.dequantise(results.y, self.layer), self.reference)
        return {**vars(near), "clipped": int((results.clips > 0).sum()), "clips": int(results.clips.sum())}


def drawn(config: Config, layer: FloatLayer, x: Float32, gate: GateBatch, wanted: GateBatch | None = None) -> Values:
    """A batch for a float32 layer, quantised in the format of the tiles; the unit of its results is that of this batch.

    Args:
        config: the accelerator.
        layer: of its shape.
        x: activations, [tokens, d_model].
        gate: choices of these tokens.
        wanted: choices whose results are the reference; None: the same.
    """
    batch, wanted = integer.quantise_batch(x, gate.topk_ids, gate.topk_weights), wanted or gate
    return Values(integer.prepared(config, layer, batch), batch, float_layer(layer, x, wanted.topk_ids, wanted.topk_weights))


@dataclass(frozen=True)
class Workload:
    """One batch, ready for the scheduler and the layer."""

    #: where the gate decisions come from
    source: str
    #: chosen experts, [tokens, top_k]
    topk_ids: NDArray[Any]
    #: None in a batch that was made for its timing
    values: Values | None
    #: of everything random in it
    seed: int = 1

    @property
    def given(self) -> Values:
        """The numbers, which must be there."""
        if self.values is None:
            raise ValueError("this batch has gate decisions only")
        return self.values


def is_toy(config: Config) -> bool:
    """Whether the configuration has the shape of the toy model that comes with the project."""
    layer = config.layer
    return (layer.d_model, layer.d_ff, layer.experts, layer.top_k) == (64, 64, 64, 6)


def activations(path: Path, d_model: int, offset: int, tokens: int) -> NDArray[np.float32]:
    """A window of the inputs in a ``.npy`` file, float32 [tokens, d_model].

    Raises:
        UserError: if the file has not that many, or they are not finite.
    """
    try:
        table = read_npy(path)
    except NpyError as error:
        raise UserError(f"--activations = {path} is not legal ({error}); legal: .npy [tokens, {d_model}]") from None
    if table.ndim != 2 or table.shape[1] != d_model or table.dtype.kind != "f" or not 0 <= offset <= len(table) - tokens:
        raise UserError(f"--activations = {path} has shape {list(table.shape)} and type {table.dtype}; legal: floating point "
                        f"[{offset + tokens} or more, {d_model}]")
    window = table[offset:offset + tokens]
    if not (np.abs(window) <= np.finfo(np.float32).max).all():
        raise UserError(f"--activations = {path} holds a value that is not finite in float32; legal: finite values")
    return window.astype(np.float32)


def rows(path: Path) -> int:
    """Inputs in a file that :func:`activations` has read."""
    return len(read_npy(path))


@dataclass(frozen=True)
class Source:
    """Where the parts of a batch come from; None is the default of each."""

    trace: Path | None = None
    #: how it is read, as :meth:`trajectile.sw_model.gates.reading.Reading.of` takes it
    trace_as: Sequence[str] = ()
    layer: int | None = None
    offset: int = 0
    tokens: int | None = None
    seed: int = 1
    skew: float = DEFAULT_SKEW
    weights: Path | None = None
    activations: Path | None = None
    #: rule and share of the experts that a batch keeps, as :meth:`trajectile.sw_model.gates.selection.Selection.of` takes it
    select: str | None = None


def load(config: Config, *, gate_only: bool = False, **source: Any) -> Workload:
    """Make the batch; with ``gate_only`` without weights and activations, which take long at full size.

    Args:
        config: the accelerator.
        gate_only: gate decisions only.
        source: the fields of :class:`Source`.

    Raises:
        UserError: for a trace, layer, offset or number of tokens that does not exist or does not fit.
    """
    given = Source(**source)
    tokens = min(64, config.token_capacity) if given.tokens is None else given.tokens
    if not 0 <= tokens <= config.token_capacity:
        raise UserError(f"--tokens = {tokens} is not legal; legal values: 0 to {config.token_capacity} "
                        f"({config.array.tiles} tiles of tile.tokens = {config.tile.tokens})")
    try:
        rule = None if given.select is None else Selection.of(given.select)
        if is_toy(config) and given.trace is given.weights is given.activations is None:
            made = _toy(config, given.layer, given.offset, tokens, rule)
        else:
            made = _made(config, given, tokens, rule, gate_only)
        return replace(made, seed=given.seed)
    except UserError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error


def _left(wanted: GateBatch, source: str, rule: Selection | None) -> tuple[GateBatch, str]:
    """The choices under a rule, and where they come from."""
    if rule is None:
        return wanted, source
    gate = selected(wanted, rule)
    left, before = (len(np.unique(one.topk_ids[one.topk_ids >= 0])) for one in (gate, wanted))
    return gate, f"{source}, {rule} ({left} of {before} experts)"


def _made(config: Config, given: Source, tokens: int, rule: Selection | None, gate_only: bool) -> Workload:
    """A batch whose parts come from files or from a random generator.

    What its results are compared with are those of all choices, whatever is left of them.
    """
    shape, rng = config.layer, np.random.default_rng(given.seed)
    saved = _saved(config, given.weights) if given.weights else None
    per_token = saved.feeding.rows_per_token if saved else 1
    if per_token * tokens > config.token_capacity:
        raise UserError(f"--tokens = {tokens} is not legal; legal values: 0 to {config.token_capacity // per_token} (each is "
                        f"{per_token} rows of the batch, as its shared expert sees other activations than its routed one)")
    # a trace and a gate know of routed experts only
    shared = saved.shared if saved else 0
    routed, top_k = shape.experts - shared, shape.top_k - shared
    gate, source, x = None, "", None
    if given.trace:
        read = traces.load_trace(given.trace, routed, layer=given.layer, how=Reading.of(given.trace_as))
        number = int(read.layers[0]) if given.layer is None else given.layer
        gate = read.window(number, given.offset, tokens)
        source = f"{given.trace.name} layer {number}, tokens {given.offset} to {given.offset + tokens - 1}"
    elif saved is None or saved.router is None:
        gate = workloads.synthetic_gate(routed, top_k, tokens, given.skew, rng)
        source = f"synthetic gate, skew {given.skew}, seed {given.seed}"
    if gate and (gate.experts, gate.topk_ids.shape[1]) != (routed, top_k):
        raise UserError(
            f"layer.experts = {shape.experts}, layer.top_k = {shape.top_k} do not match the trace; legal values for "
            f"{given.trace}: --set layer.experts={gate.experts + shared} --set layer.top_k={gate.topk_ids.shape[1] + shared}")
    if gate and gate_only and not shared:
        gate, source = _left(gate, source, rule)
        return Workload(source, gate.topk_ids, None)
    weights = None if saved else random_layer(shape, rng)
    if given.activations:
        x = activations(given.activations, shape.d_model, given.offset, tokens)
    else:
        x = rng.standard_normal((tokens, shape.d_model)).astype(np.float32)
    if gate is None:
        assert saved is not None  # else there is a synthetic gate
        gate = saved.choose(x, top_k)
        inputs = (f"{given.activations.name} from token {given.offset}" if given.activations
                  else f"normal noise, seed {given.seed}")
        source = f"gate of {saved.source} on {inputs}"
    wanted = gate
    gate, source = _left(wanted, source, rule)
    if saved:
        wanted, fed = saved.rows(wanted, x).gate, saved.rows(gate, x)
        gate, x = fed.gate, fed.x
    if gate_only:
        return Workload(source, gate.topk_ids, None)
    if weights is not None:
        return Workload(source, gate.topk_ids, drawn(config, weights, x, gate, wanted))
    assert saved is not None
    return Workload(source, gate.topk_ids, Values(
        saved.layer, integer.quantise_batch(x, gate.topk_ids, gate.topk_weights),
        float_layer(saved.layer.real(), x, wanted.topk_ids, wanted.topk_weights),
        f"float32 with the {saved.layer.kind.name} weights"))


def _saved(config: Config, path: Path) -> layer_file.SavedLayer:
    """An imported layer of the configuration's shape, in the format of its tiles."""
    saved = layer_file.load(path)
    if other := image.differences(config, saved.layer):
        name, (value, _) = next(iter(other.items()))
        raise UserError(f"{name} = {str(value).lower()} is not legal with --weights {path}; legal: "
                        + " ".join(f"--set {field}={str(legal).lower()}" for field, (_, legal) in other.items()))
    saved.layer.sliced(config.slice_ff)
    if config.layer.top_k <= saved.shared:
        raise UserError(f"layer.top_k = {config.layer.top_k} is not legal with --weights {path}; legal values: "
                        f"{saved.shared + 1} or more ({saved.shared} of its experts are met by every token)")
    return saved


def _toy(config: Config, layer: int | None, offset: int, tokens: int, rule: Selection | None) -> Workload:
    """A window of the toy model's held-out text, in one of its MoE layers: the last one by default."""
    model, recorded = toy_model.load()
    number = int(recorded.trace.layers[-1]) if layer is None else layer
    wanted, window = recorded.trace.window(number, offset, tokens), slice(offset, offset + tokens)
    gate, source = _left(wanted, f"toy model, layer {number}, held-out tokens {offset} to {offset + tokens - 1}", rule)
    # the unit of results is chosen on other text
    x, others = model.moe_inputs(recorded.held_out[:TOY_CALIBRATED, :-1])[number]
    quantised = integer.prepared(config, model.blocks[number].experts,
                                 integer.quantise_batch(x, others.topk_ids, others.topk_weights))
    batch = integer.quantise_batch(recorded.x[number, window], gate.topk_ids, gate.topk_weights)
    return Workload(source, gate.topk_ids, Values(quantised, batch, recorded.y[number, window]))
