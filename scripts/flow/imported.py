"""One Mixture-of-Experts layer of a checkpoint, quantised, with its error, its DDR images and a configuration."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.files import together
from trajectile.scripts.flow import workload
from trajectile.scripts.flow.fitted import fitted
from trajectile.scripts.json_file import json_text
from trajectile.sw_model import config as configuration
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.checkpoints.moe_layer import MoeLayer, find
from trajectile.sw_model.checkpoints.opened import opened
from trajectile.sw_model.checkpoints.tensors import CheckpointError, MissingLibraryError
from trajectile.sw_model.config import Config, toml_file
from trajectile.sw_model.gates import workloads
from trajectile.sw_model.gates.feeding import Feeding
from trajectile.sw_model.gates.router import Router
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics import image, integer
from trajectile.sw_model.numerics.down_bias import units_ff, with_bias_units
from trajectile.sw_model.numerics.fidelity import Fidelity, fidelity
from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.numerics.layers import Float32, FloatLayer, choices, float_layer
from trajectile.sw_model.numerics.smoothing import smoothed, smoothing_factors
from trajectile.sw_model.numerics.weights import WeightFormat

#: passes the experts of a layer on, of which there are so many, and may show how many have passed
Tracked = Callable[[Iterable[FloatLayer], int], Iterable[FloatLayer]]
LAYER_FILE, CONFIG_FILE, REPORT_FILE = "layer.safetensors", "layer.toml", "import.json"


@dataclass(frozen=True)
class Imported:
    """A layer in the hardware's numbers and what that cost."""

    saved: layer_file.SavedLayer
    #: signal-to-noise ratio of each matrix against the checkpoint's, dB
    weight_sqnr_db: dict[str, float]
    #: the weights are the checkpoint's, to the last bit
    exact: bool
    #: of the layer's output against float32
    fidelity: Fidelity
    results: Results
    inputs: "Inputs"


@dataclass(frozen=True)
class Inputs:
    """Activations that a layer is measured on, [tokens, d_model], and others for the unit of its results."""

    x: Float32
    calibration: Float32
    #: what they are, for the report
    measured_on: str
    calibrated_on: str


def inputs_of(path: Path | None, d_model: int, tokens: int, seed: int) -> Inputs:
    """Of a file the first tokens, and for the unit of results as many after them; without a file noise of two seeds.

    Raises:
        UserError: if the file has not that many tokens, or they are not finite.
    """
    if path is None:
        x, others = (np.random.default_rng(of).standard_normal((tokens, d_model)).astype(np.float32)
                     for of in (seed, [seed, 1]))
        return Inputs(x, others, f"{tokens} tokens of normal noise, seed {seed}", f"{tokens} other tokens of normal noise")
    x = workload.activations(path, d_model, 0, tokens)
    more = workload.rows(path) >= 2 * tokens
    return Inputs(x, workload.activations(path, d_model, tokens, tokens) if more else x, f"{tokens} tokens of {path.name}",
                  f"the next {tokens} tokens" if more else "the same tokens, since the file has no others")


def _filled(layer: FloatLayer, d_ff: int) -> FloatLayer:
    """The layer with hidden units of zeros up to ``d_ff``."""
    more = d_ff - layer.w_gate.shape[1]
    if not more:
        return layer

    def columns(values: Float32 | None, axis: int) -> Any:
        if values is None:
            return None
        return np.pad(values, [(0, more if place == axis else 0) for place in range(values.ndim)])
    return replace(layer, w_gate=columns(layer.w_gate, 1), w_up=columns(layer.w_up, 1), w_down=columns(layer.w_down, 2),
                   gate_bias=columns(layer.gate_bias, 1), up_bias=columns(layer.up_bias, 1))


def _noise(real: FloatLayer, stored: FloatLayer, d_ff: int) -> NDArray[np.float64]:
    """Power of gate, up and down of the first ``d_ff`` hidden units, and of what quantising changed in them, [2, 3]."""
    pairs = [(a[:, :d_ff], b[:, :d_ff]) for a, b in ((real.w_gate, stored.w_gate), (real.w_up, stored.w_up))]
    pairs.append((real.w_down[..., :d_ff], stored.w_down[..., :d_ff]))
    return np.array([[np.square(a, dtype=np.float64).sum(), np.square(a - b, dtype=np.float64).sum()] for a, b in pairs]).T


def measured(layer: MoeLayer, config: Config, shared: int, inputs: Inputs, seed: int, *,
             smooth: float | None = None, tracked: Tracked = lambda experts, _: experts) -> Imported:
    """Quantise the layer expert by expert and compare its output with float32.

    Args:
        layer: the layer.
        config: hardware for it.
        shared: experts, after the routed ones, that every token meets; 0 leaves them out.
        inputs: what it is measured on, and what the unit of results is chosen on.
        seed: of the gate, if the checkpoint has none.
        smooth: how much of outlier channels is moved from the activations to the weights, 0 to 1; None: nothing.
        tracked: may count the experts.

    Raises:
        CheckpointError: if a weight is not finite.
        ValueError: if numbers are so large that nothing stands for them.
    """
    top_k, kind, x = config.layer.top_k - shared, WeightFormat.of(config.tile), inputs.x
    router, rng = layer.router(top_k), np.random.default_rng(seed)
    plain = Feeding(shared=shared, shared_gate=layer.shared_gate() if shared else None, on_input=layer.on_input)
    factors = None if smooth is None else smoothing_factors(inputs.calibration, smooth)
    feeding = replace(plain, smoothing=factors)

    def chosen(x: Float32) -> GateBatch:
        return (workloads.synthetic_gate(layer.experts, top_k, len(x), workload.DEFAULT_SKEW, rng) if router is None
                else router.choose(x))
    gate, others = chosen(x), chosen(inputs.calibration)
    real_rows, rows, other_rows = plain.rows(gate, x), feeding.rows(gate, x), feeding.rows(others, inputs.calibration)
    parts: list[integer.QuantisedLayer] = []
    power = np.zeros((2, 3))
    reference = np.zeros_like(real_rows.x)
    for expert, real in enumerate(tracked(islice(layer.read(), layer.experts + shared), layer.experts + shared)):
        stored = real if factors is None else smoothed(real, factors)
        stored = _filled(with_bias_units(stored, kind) if layer.biased else stored, config.layer.d_ff)
        parts.append(integer.quantise_layer(stored, kind, period=config.slice_ff))
        power += _noise(stored, parts[-1].real(), layer.d_ff)
        tokens, ranks = choices(real_rows.gate.topk_ids, expert)
        weights = real_rows.gate.topk_weights[tokens, ranks][:, None]
        part = float_layer(real, real_rows.x[tokens], np.zeros_like(weights, dtype=np.int64), weights)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            np.add.at(reference, tokens, part)
    if not np.isfinite(reference).all():
        raise ValueError("the float32 layer overflows on these activations; legal: weights and activations that it can take")
    whole = integer.calibrated(config, integer.with_experts(parts),
                               integer.quantise_batch(other_rows.x, other_rows.gate.topk_ids, other_rows.gate.topk_weights))
    results = integer.integer_layer(config, whole, integer.quantise_batch(rows.x, rows.gate.topk_ids, rows.gate.topk_weights))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 10 * np.log10(power[0] / power[1])
    saved = layer_file.SavedLayer(whole, top_k, f"{layer.checkpoint.path.name} layer {layer.number}", router, shared,
                                  feeding.shared_gate, feeding.on_input, factors)
    near = fidelity(rows.results(integer.dequantise(results.y, whole)), real_rows.results(reference))
    return Imported(saved, dict(zip(("gate", "up", "down"), map(float, ratios), strict=True)), not power[1].any(), near,
                    results, inputs)


def write(part: Callable[[str], Path], config: Config, done: Imported, *, hexadecimal: bool) -> list[str]:
    """Write layer, configuration and DDR images where ``part`` says; returns the files' names."""
    layer_file.save(part(LAYER_FILE), done.saved)
    tables = {name: table for name, table in config.as_dict.items() if isinstance(table, dict)}
    part(CONFIG_FILE).write_text(f"# {done.saved.source}, by trajectile import\n{toml_file.written(tables)}",
                                 encoding="utf-8")
    names = [LAYER_FILE, CONFIG_FILE]
    for channel in range(config.array.channels):
        content = image.channel_image(config, done.saved.layer, channel)
        part(f"ddr{channel}.bin").write_bytes(content.data)
        names.append(f"ddr{channel}.bin")
        if hexadecimal:
            image.write_hex(part(f"ddr{channel}.hex"), content, config.ddr.bytes_per_cycle)
            names.append(f"ddr{channel}.hex")
    return names


def left_out(layer: MoeLayer, shared: int) -> list[str]:
    """Tensors of the layer that are not imported: those of a shared expert that the user does without."""
    if shared or layer.shared is None:
        return []
    names = [name for part in layer.shared.matrices[0] for name in part.tensors.values()]
    return sorted([*names, *filter(None, [layer.block.shared_gate])])


def beside(saved: layer_file.SavedLayer) -> list[str]:
    """What the host has to do with activations and results, for the report."""
    found = []
    if saved.smoothing is not None:
        found.append(f"activations of {int((saved.smoothing != 1).sum())} channels are divided by their factor of "
                     "smoothing, after the gate has chosen")
    if saved.on_input:
        found.append("the activations of the routed expert are multiplied by its weight"
                     + ", those of the shared expert are not: two rows per token, of which the results are added"
                     * bool(saved.shared))
    if saved.router is not None and saved.router.rule.identity:
        found.append("tokens are added to their own results with the weight of the identities they chose")
    return found


def gate_summary(router: Router) -> dict[str, Any]:
    """How a gate chooses, for the report."""
    rule = router.rule
    return {"scoring": rule.scoring.value, "normalised": rule.normalise, "scaling": rule.scaling, "groups": rule.groups,
            "top_groups": rule.top_groups, "group_score": rule.group_score.value, "bias": router.bias is not None,
            "correction_bias": router.correction is not None, "identities": rule.identity}


def summary(layer: MoeLayer, config: Config, done: Imported, files: list[str]) -> dict[str, Any]:
    """What ``--json`` writes."""
    gate = "a synthetic gate" if done.saved.router is None else "the gate of the checkpoint"
    return {
        "checkpoint": str(layer.checkpoint.path), "layer": layer.number, "naming": layer.naming, "dtype": layer.dtype,
        "shape": {"d_model": layer.d_model, "d_ff": config.layer.d_ff, "experts": config.layer.experts,
                  "top_k": config.layer.top_k},
        "filled_columns": config.layer.d_ff - (units_ff(layer.d_ff) if layer.biased else layer.d_ff),
        "bias_columns": units_ff(layer.d_ff) - layer.d_ff if layer.biased else 0,
        "format": layer.dtype, "weights": config.tile.weights, "scale_mantissa": config.tile.scale_mantissa,
        "exact": done.exact, "activation": config.layer.activation, "biases": layer.biased,
        "gate_limit": layer.function.gate_limit, "up_limit": layer.function.up_limit, "up_offset": layer.function.up_offset,
        "beside_the_array": beside(done.saved),
        "gate": None if done.saved.router is None else gate_summary(done.saved.router),
        "shared_experts": {"parts": done.saved.shared, "columns": layer.shared_ff if done.saved.shared else 0,
                           "own_gate": done.saved.shared_gate is not None},
        "left_out": [*left_out(layer, done.saved.shared), *sorted(layer.checkpoint.accept)],
        "error": {"measured_on": f"{done.inputs.measured_on}; {gate}", "calibrated_on": done.inputs.calibrated_on,
                  "cosine": done.fidelity.cosine, "sqnr_db": done.fidelity.sqnr_db, "weight_sqnr_db": done.weight_sqnr_db},
        "tokens": len(done.inputs.x), "cosine_median": done.fidelity.cosine_median,
        "cosine_worst": done.fidelity.cosine_worst, "zeroed": done.fidelity.zeroed,
        "clipped": int((done.results.clips > 0).sum()), "clips": int(done.results.clips.sum()),
        "ddr": {"channels": config.array.channels, "slices": config.tile.slices, "slice_bytes": config.slice_bytes,
                "slice_pitch_bytes": config.slice_pitch_bytes,
                "bytes_per_channel": config.channel_slices * config.slice_pitch_bytes},
        "files": files,
    }


def import_layer(path: Path, folder: Path, *, number: int | None = None, top_k: int | None = None, hardware: str = "paper",
                 overrides: Sequence[str] = (), activations: Path | None = None, tokens: int = 64, seed: int = 1,
                 hexadecimal: bool = False, without_shared: bool = False, accept: Sequence[str] = (),
                 smooth: float | None = None, tracked: Tracked = lambda experts, _: experts) -> dict[str, Any]:
    """Read a layer of a checkpoint, quantise it, measure the error, write everything into a folder.

    Args:
        path: a ``.safetensors`` file, a ``model.safetensors.index.json``, a ``.gguf`` file, or a folder with one of them.
        folder: for the files.
        number: of the layer; None: the first with experts.
        top_k: experts of a token; None: as the checkpoint says.
        hardware: TOML file or preset whose hardware the layer is for.
        overrides: of its fields, as ``section.field=value``.
        activations: inputs to measure the error on, ``.npy`` [tokens, d_model]; None: normal noise.
        tokens: to measure on.
        seed: of noise, and of a gate without a router.
        hexadecimal: DDR images also for ``$readmemh``.
        without_shared: leave out the expert that every token meets.
        accept: keys of ``config.json`` or metadata, and names of tensors beside the experts, that are not understood and
            change nothing.
        smooth: how much of outlier channels is moved from the activations to the weights, 0 to 1; None: nothing.
        tracked: may count the experts.

    Returns:
        what ``trajectile import --json`` writes.

    Raises:
        UserError: for a checkpoint or a layer that cannot be imported.
        ToolError: if the library that reads it is not installed.
        ConfigError: if the hardware cannot hold it.
    """
    if tokens < 1 or tokens > workload.MAX_TOKENS:
        raise UserError(f"--tokens = {tokens} is not legal; legal values: 1 to {workload.MAX_TOKENS}")
    if smooth is not None and activations is None:
        raise UserError(f"--smooth = {smooth} is not legal without --activations; legal: both (outlier channels are those "
                        "of the layer's own inputs)")
    try:
        with opened(path, frozenset(accept)) as checkpoint:
            layer = find(checkpoint, number)
            shared = 0 if without_shared else layer.shared_parts
            config = fitted(hardware, overrides, layer, top_k, shared)
            inputs = inputs_of(activations, layer.d_model, tokens, seed)
            done = measured(layer, config, shared, inputs, seed, smooth=smooth, tracked=tracked)
            with together(folder) as part:
                values = summary(layer, config, done, write(part, config, done, hexadecimal=hexadecimal))
                part(REPORT_FILE).write_text(json_text(values), encoding="utf-8")
    except CheckpointError as error:
        raise UserError(str(error)) from error
    except MissingLibraryError as error:
        raise ToolError(str(error)) from error
    except configuration.ConfigError:
        raise
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    return values
