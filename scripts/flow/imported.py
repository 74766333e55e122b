"""One Mixture-of-Experts layer of a checkpoint, quantised, with its error, its DDR images and a configuration."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.files import together
from trajectile.scripts.flow import workload
from trajectile.scripts.json_file import json_text
from trajectile.sw_model import config as configuration
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.checkpoints.moe_layer import MoeLayer, find, top_k_of
from trajectile.sw_model.checkpoints.opened import opened
from trajectile.sw_model.checkpoints.tensors import CheckpointError, MissingLibraryError
from trajectile.sw_model.config import Config, toml_file
from trajectile.sw_model.gates import workloads
from trajectile.sw_model.gates.router import Router, with_shared
from trajectile.sw_model.numerics import image, integer
from trajectile.sw_model.numerics.fidelity import Fidelity, fidelity
from trajectile.sw_model.numerics.integer import FloatLayer

#: passes the experts of a layer on, of which there are so many, and may show how many have passed
Tracked = Callable[[Iterable[FloatLayer], int], Iterable[FloatLayer]]
LAYER_FILE, CONFIG_FILE, REPORT_FILE = "layer.safetensors", "layer.toml", "import.json"


@dataclass(frozen=True)
class Imported:
    """A layer in int8 and what that cost."""

    saved: layer_file.SavedLayer
    #: signal-to-noise ratio of each int8 matrix against the checkpoint's, dB
    weight_sqnr_db: dict[str, float]
    #: the int8 weights are the checkpoint's, to the last bit
    exact: bool
    #: of the layer's output against float32
    fidelity: Fidelity
    #: tokens of which a gate or up value did not fit its format
    clipped: int
    #: on what it was measured, and how many tokens that are
    batch: str
    tokens: int


def fitted_slices(d_ff: int, width: int) -> int:
    """Slices of the layer: of all that divide ``d_ff``, those whose width is nearest to ``width`` columns."""
    return min((n for n in configuration.divisors(d_ff) if n <= 256), key=lambda n: abs(d_ff / n - width), default=1)


def fitted(hardware: str, overrides: Sequence[str], layer: MoeLayer, top_k: int | None, shared: int) -> Config:
    """The hardware of a configuration with the layer's shape; ``shared`` experts are added, which every token meets.

    Raises:
        ConfigError: if that cannot be built.
        UserError: if the overrides give the layer another shape, or nothing says ``top_k``.
    """
    base = configuration.load(hardware)
    given = {".".join(configuration.parse_override(text)[:2]) for text in overrides}
    shape = {"layer.d_model": layer.d_model, "layer.d_ff": layer.d_ff, "layer.experts": layer.experts + shared}
    if other := sorted(given & set(shape)):
        raise UserError(f"--set {other[0]} is not legal with a checkpoint; legal value: {shape[other[0]]}, as it has it")
    top_k = top_k if top_k is not None else top_k_of(layer)
    if top_k is None and "layer.top_k" not in given:
        raise UserError("--top-k is missing, and neither config.json (num_experts_per_tok) nor GGUF metadata "
                        f"(expert_used_count) says it; legal values: 1 to {layer.experts}")
    # the shape first: how many slices there can be depends on it
    configuration.LayerConfig(**{name.partition(".")[2]: value for name, value in shape.items()}, top_k=1)
    shape |= {"layer.top_k": 1 if top_k is None else top_k + shared, "tile.slices": fitted_slices(layer.d_ff, base.slice_ff)}
    try:
        return configuration.load(hardware, [*(f"{field}={value}" for field, value in shape.items()), *overrides])
    except configuration.ConfigError as error:
        if error.field.startswith("layer.") or error.field in given or not error.where:
            raise
        raise configuration.ConfigError(  # a field that nobody gave: say whose it is
            error.field, error.value, f"{error.legal}, for this layer ({layer.d_model} x {layer.d_ff}) on the hardware of "
            f"--config {hardware}; --config or --set takes another", error.where) from error


def measured(layer: MoeLayer, top_k: int, shared: int, x: NDArray[np.float32], batch: str, seed: int, *,
             tracked: Tracked = lambda experts, _: experts) -> Imported:
    """Quantise the layer expert by expert and compare its output on ``x`` with float32.

    Args:
        layer: the layer.
        top_k: routed experts of a token.
        shared: experts, after the routed ones, that every token meets; 0 leaves them out.
        x: activations, [tokens, d_model].
        batch: what they are, for the report.
        seed: of the gate, if the checkpoint has none.
        tracked: may count the experts.

    Raises:
        CheckpointError: if a weight is not finite.
        ValueError: if numbers are so large that nothing stands for them.
    """
    checkpoint = layer.checkpoint
    router = layer.router(top_k)
    if router is None:
        gate = workloads.synthetic_gate(layer.experts, top_k, len(x), workload.DEFAULT_SKEW, np.random.default_rng(seed))
    else:
        gate = router.choose(x)
    own_gate = layer.shared_gate() if shared else None
    if shared:
        gate = with_shared(gate, x, shared, own_gate)
    parts: list[integer.QuantisedLayer] = []
    signal, noise = np.zeros(3), np.zeros(3)
    reference = np.zeros_like(x)
    for expert, real in enumerate(tracked(islice(layer.read(), layer.experts + shared), layer.experts + shared)):
        parts.append(integer.quantise_layer(real))
        for place, (a, b) in enumerate(zip(vars(real).values(), vars(parts[-1].real()).values(), strict=True)):
            signal[place] += float(np.square(a, dtype=np.float64).sum())
            noise[place] += float(np.square(a - b, dtype=np.float64).sum())
        tokens, ranks = np.nonzero(gate.topk_ids == expert)
        weights = gate.topk_weights[tokens, ranks][:, None]
        part = integer.float_layer(real, x[tokens], np.zeros_like(weights, dtype=np.int64), weights)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            np.add.at(reference, tokens, part)
    names = [*layer_file.WEIGHTS, *layer_file.SCALES]
    whole = integer.QuantisedLayer(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    if not np.isfinite(reference).all():
        raise ValueError("the float32 layer overflows on these activations; legal: weights and activations that it can take")
    chosen = integer.quantise_batch(whole, x, gate.topk_ids, gate.topk_weights)
    results = integer.dequantise(integer.integer_layer(whole, chosen), chosen)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 10 * np.log10(signal / noise)
    saved = layer_file.SavedLayer(whole, top_k, f"{checkpoint.path.name} layer {layer.number}", router, shared, own_gate)
    return Imported(saved, dict(zip(("gate", "up", "down"), map(float, ratios), strict=True)), not noise.any(),
                    fidelity(results, reference), int(integer.clipped(whole, chosen).sum()),
                    f"{batch}; {'the gate of the checkpoint' if router is not None else 'a synthetic gate'}", len(x))


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


def gate_summary(router: Router) -> dict[str, Any]:
    """How a gate chooses, for the report."""
    rule = router.rule
    return {"scoring": rule.scoring.value, "normalised": rule.normalise, "scaling": rule.scaling, "groups": rule.groups,
            "top_groups": rule.top_groups, "group_score": rule.group_score.value, "bias": router.bias is not None,
            "correction_bias": router.correction is not None}


def summary(layer: MoeLayer, config: Config, done: Imported, files: list[str]) -> dict[str, Any]:
    """What ``--json`` writes."""
    return {
        "checkpoint": str(layer.checkpoint.path), "layer": layer.number, "naming": layer.naming, "dtype": layer.dtype,
        "shape": {"d_model": layer.d_model, "d_ff": layer.d_ff, "experts": config.layer.experts, "top_k": config.layer.top_k},
        "format": layer.dtype, "exact": done.exact, "activation": "silu",
        "gate": None if done.saved.router is None else gate_summary(done.saved.router),
        "shared_experts": {"parts": done.saved.shared, "columns": layer.shared_ff if done.saved.shared else 0,
                           "own_gate": done.saved.shared_gate is not None},
        "left_out": [*left_out(layer, done.saved.shared), *sorted(layer.checkpoint.accept)],
        "error": {"measured_on": done.batch, "cosine": done.fidelity.cosine, "sqnr_db": done.fidelity.sqnr_db,
                  "weight_sqnr_db": done.weight_sqnr_db},
        "tokens": done.tokens, "cosine_median": done.fidelity.cosine_median, "cosine_worst": done.fidelity.cosine_worst,
        "zeroed": done.fidelity.zeroed, "clipped": done.clipped,
        "ddr": {"channels": config.array.channels, "slices": config.tile.slices, "slice_bytes": config.slice_bytes,
                "slice_pitch_bytes": config.slice_pitch_bytes,
                "bytes_per_channel": config.channel_slices * config.slice_pitch_bytes},
        "files": files,
    }


def import_layer(path: Path, folder: Path, *, number: int | None = None, top_k: int | None = None, hardware: str = "paper",
                 overrides: Sequence[str] = (), activations: Path | None = None, tokens: int = 64, seed: int = 1,
                 hexadecimal: bool = False, without_shared: bool = False, accept: Sequence[str] = (),
                 tracked: Tracked = lambda experts, _: experts) -> dict[str, Any]:
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
    try:
        with opened(path, frozenset(accept)) as checkpoint:
            layer = find(checkpoint, number)
            shared = 0 if without_shared else layer.shared_parts
            config = fitted(hardware, overrides, layer, top_k, shared)
            if activations:
                x = workload.activations(activations, layer.d_model, 0, tokens)
                batch = f"{tokens} tokens of {activations.name}"
            else:
                rng = np.random.default_rng(seed)
                x = rng.standard_normal((tokens, layer.d_model)).astype(np.float32)
                batch = f"{tokens} tokens of normal noise, seed {seed}"
            done = measured(layer, config.layer.top_k - shared, shared, x, batch, seed, tracked=tracked)
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
