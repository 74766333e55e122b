"""One Mixture-of-Experts layer of a checkpoint, quantised, with its error, its DDR images and a configuration."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from trajectile.scripts.command_line import tables as report
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import UserError
from trajectile.scripts.flow import workload
from trajectile.sw_model import config as configuration
from trajectile.sw_model.checkpoints.checkpoint import Checkpoint, CheckpointError
from trajectile.sw_model.checkpoints.moe_layer import MoeLayer, find
from trajectile.sw_model.config import Config, toml_file
from trajectile.sw_model.gates import workloads
from trajectile.sw_model.numerics import image, layer_file
from trajectile.sw_model.numerics import integer as numerics

#: the first argument is a checkpoint, not a configuration; ``run`` gets the arguments only
OWN_CONFIG = True
LAYER_FILE, CONFIG_FILE, REPORT_FILE = "layer.safetensors", "layer.toml", "import.json"


@dataclass(frozen=True)
class Imported:
    """A layer in int8 and what that cost."""

    saved: layer_file.SavedLayer
    #: signal-to-noise ratio of each int8 matrix against the checkpoint's, dB
    weight_sqnr_db: dict[str, float]
    #: of the layer's output against float32
    cosine: float
    sqnr_db: float
    #: on what it was measured
    batch: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile import``."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path,
                        help="a .safetensors file, a model.safetensors.index.json, or a folder with either")
    parser.add_argument("--layer", metavar="L", type=int, help="number of the layer (default: the first with experts)")
    parser.add_argument("--top-k", metavar="K", type=int, help="experts a token (default: as config.json beside the weights "
                        "has it)")
    parser.add_argument("--config", metavar="CONFIG", default="paper", dest="hardware",
                        help="TOML file or preset whose hardware the layer is for (default paper)")
    parser.add_argument("--activations", metavar="FILE", type=Path,
                        help="inputs of the layer to measure the error on, .npy [tokens, d_model] (default: normal noise)")
    parser.add_argument("--tokens", metavar="N", type=int, default=64, help="tokens to measure on (default 64)")
    parser.add_argument("--seed", type=int, default=1, help="of noise and of a gate without a router (default 1)")
    parser.add_argument("--hex", action="store_true", help="DDR images also for Verilog's $readmemh")
    terminal.add_json(parser, f"write the report there too (it is in DIR/{REPORT_FILE})")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the files")


def fitted_slices(d_ff: int, width: int) -> int:
    """Slices of the layer: of all that divide ``d_ff``, those whose width is nearest to ``width`` columns."""
    return min((n for n in configuration.divisors(d_ff) if n <= 256), key=lambda n: abs(d_ff / n - width), default=1)


def fitted(hardware: str, overrides: list[str], layer: MoeLayer, top_k: int | None) -> Config:
    """The hardware of a configuration with the layer's shape.

    Raises:
        ConfigError: if that cannot be built.
        UserError: if the overrides give the layer another shape, or nothing says ``top_k``.
    """
    base = configuration.load(hardware)
    given = {".".join(configuration.parse_override(text)[:2]) for text in overrides}
    shape = {"layer.d_model": layer.d_model, "layer.d_ff": layer.d_ff, "layer.experts": layer.experts}
    if other := sorted(given & set(shape)):
        raise UserError(f"--set {other[0]} is not legal with a checkpoint; legal value: {shape[other[0]]}, as it has it")
    top_k = top_k if top_k is not None else layer.checkpoint.hints.top_k
    if top_k is None and "layer.top_k" not in given:
        raise UserError("--top-k is missing, and no config.json beside the weights has num_experts_per_tok; legal values: 1 "
                        f"to {layer.experts}")
    # the shape first: how many slices there can be depends on it
    configuration.LayerConfig(**{name.partition(".")[2]: value for name, value in shape.items()}, top_k=1)
    shape |= {"layer.top_k": 1 if top_k is None else top_k, "tile.slices": fitted_slices(layer.d_ff, base.slice_ff)}
    try:
        return configuration.load(hardware, [*(f"{field}={value}" for field, value in shape.items()), *overrides])
    except configuration.ConfigError as error:
        if error.field.startswith("layer.") or error.field in given or not error.where:
            raise
        raise configuration.ConfigError(  # a field that nobody gave: say whose it is
            error.field, error.value, f"{error.legal}, for this layer ({layer.d_model} x {layer.d_ff}) on the hardware of "
            f"--config {hardware}; --config or --set takes another", error.where) from error


def measured(layer: MoeLayer, top_k: int, x: NDArray[np.float32], batch: str, seed: int) -> Imported:
    """Quantise the layer expert by expert and compare its output on ``x`` with float32.

    Raises:
        CheckpointError: if a weight is not finite.
        ValueError: if numbers are so large that nothing stands for them.
    """
    checkpoint = layer.checkpoint
    normalise = checkpoint.hints.normalise is not False
    router = checkpoint.read(layer.router) if layer.router else None
    if router is None:
        gate = workloads.synthetic_gate(layer.experts, top_k, len(x), workload.DEFAULT_SKEW, np.random.default_rng(seed))
    else:
        gate = workloads.router_gate(router, x, top_k, normalise=normalise)
    parts: list[numerics.QuantisedLayer] = []
    signal, noise = np.zeros(3), np.zeros(3)
    reference = np.zeros_like(x)
    for expert, real in enumerate(terminal.tracked(layer.read(), "experts", layer.experts)):
        parts.append(numerics.quantise_layer(real))
        for place, (a, b) in enumerate(zip(vars(real).values(), vars(parts[-1].real()).values(), strict=True)):
            signal[place] += float(np.square(a, dtype=np.float64).sum())
            noise[place] += float(np.square(a - b, dtype=np.float64).sum())
        tokens, ranks = np.nonzero(gate.topk_ids == expert)
        weights = gate.topk_weights[tokens, ranks][:, None]
        part = numerics.float_layer(real, x[tokens], np.zeros_like(weights, dtype=np.int64), weights)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
            np.add.at(reference, tokens, part)
    names = [*layer_file.WEIGHTS, *layer_file.SCALES]
    whole = numerics.QuantisedLayer(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
    if not np.isfinite(reference).all():
        raise ValueError("the float32 layer overflows on these activations; legal: weights and activations that it can take")
    chosen = numerics.quantise_batch(whole, x, gate.topk_ids, gate.topk_weights)
    results = numerics.dequantise(numerics.integer_layer(whole, chosen), chosen)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 10 * np.log10(signal / noise)
    saved = layer_file.SavedLayer(whole, top_k, normalise, f"{checkpoint.path.name} layer {layer.number}", router)
    return Imported(saved, dict(zip(("gate", "up", "down"), map(float, ratios), strict=True)),
                    numerics.cosine(results, reference), numerics.sqnr_db(results, reference),
                    f"{batch}; {'the gate of the checkpoint' if router is not None else 'a synthetic gate'}")


def write(folder: Path, config: Config, done: Imported, *, hexadecimal: bool) -> list[str]:
    """Write layer, configuration and DDR images; returns the files' names."""
    folder.mkdir(parents=True, exist_ok=True)
    layer_file.save(folder / LAYER_FILE, done.saved)
    tables = {name: table for name, table in config.as_dict.items() if isinstance(table, dict)}
    (folder / CONFIG_FILE).write_text(f"# {done.saved.source}, by trajectile import\n{toml_file.written(tables)}",
                                      encoding="utf-8")
    names = [LAYER_FILE, CONFIG_FILE]
    for channel in range(config.array.channels):
        content = image.channel_image(config, done.saved.layer, channel)
        content.tofile(folder / f"ddr{channel}.bin")
        names.append(f"ddr{channel}.bin")
        if hexadecimal:
            image.write_hex(folder / f"ddr{channel}.hex", content, config.ddr.bytes_per_cycle)
            names.append(f"ddr{channel}.hex")
    return names


def summary(layer: MoeLayer, config: Config, done: Imported, files: list[str]) -> dict[str, Any]:
    """What ``--json`` writes."""
    return {
        "checkpoint": str(layer.checkpoint.path), "layer": layer.number, "naming": layer.naming, "dtype": layer.dtype,
        "shape": {"d_model": layer.d_model, "d_ff": layer.d_ff, "experts": layer.experts, "top_k": config.layer.top_k},
        "left_out": list(layer.shared),
        "error": {"measured_on": done.batch, "cosine": done.cosine, "sqnr_db": done.sqnr_db,
                  "weight_sqnr_db": done.weight_sqnr_db},
        "ddr": {"channels": config.array.channels, "slices": config.tile.slices, "slice_bytes": config.slice_bytes,
                "slice_pitch_bytes": config.slice_pitch_bytes,
                "bytes_per_channel": config.channel_slices * config.slice_pitch_bytes},
        "files": files,
    }


def shown(values: dict[str, Any], folder: Path) -> Table:
    """The report, for people."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    shape, error, ddr = values["shape"], values["error"], values["ddr"]
    table.add_row("layer", f"{values['layer']}, names of {values['naming']}, {values['dtype']}")
    table.add_row("shape", f"d_model {shape['d_model']}, d_ff {shape['d_ff']}, {shape['experts']} experts, top "
                           f"{shape['top_k']}")
    if values["left_out"]:
        table.add_row("left out", f"{len(values['left_out'])} tensors of shared experts")
    table.add_row("int8 weights", ", ".join(f"{name} {ratio:.1f} dB" for name, ratio in error["weight_sqnr_db"].items()))
    table.add_row("int8 layer", f"cosine {error['cosine']:.5f}, SQNR {error['sqnr_db']:.1f} dB against float32")
    table.add_row("measured on", error["measured_on"])
    table.add_row("DDR", f"{ddr['channels']} channels of {ddr['bytes_per_channel']:,} bytes, {ddr['slices']} slices of "
                         f"{ddr['slice_bytes']:,} bytes an expert")
    table.add_row("files", f"{folder}: {', '.join(values['files'])}")
    return table


def run(args: argparse.Namespace) -> int:
    """``trajectile import``."""
    console = terminal.console(args)
    if args.tokens < 1 or args.tokens > workload.MAX_TOKENS:
        raise UserError(f"--tokens = {args.tokens} is not legal; legal values: 1 to {workload.MAX_TOKENS}")
    try:
        with Checkpoint(args.checkpoint) as checkpoint:
            layer = find(checkpoint, args.layer)
            config = fitted(args.hardware, args.overrides, layer, args.top_k)
            if args.activations:
                x = workload.activations(args.activations, layer.d_model, 0, args.tokens)
                batch = f"{args.tokens} tokens of {args.activations.name}"
            else:
                rng = np.random.default_rng(args.seed)
                x = rng.standard_normal((args.tokens, layer.d_model)).astype(np.float32)
                batch = f"{args.tokens} tokens of normal noise, seed {args.seed}"
            done = measured(layer, config.layer.top_k, x, batch, args.seed)
            with terminal.status("writing"):
                files = write(args.output, config, done, hexadecimal=args.hex)
            values = summary(layer, config, done, files)
    except CheckpointError as error:
        raise UserError(str(error)) from error
    except configuration.ConfigError:
        raise
    except ValueError as error:
        raise UserError(f"{args.checkpoint}: {error}") from error
    report.write_json(args.output / REPORT_FILE, values)
    terminal.answer(args, values)
    console.print(shown(values, args.output), highlight=False)
    console.print(f"\ntrajectile simulate {args.output / CONFIG_FILE} --weights {args.output / LAYER_FILE}", highlight=False,
                  soft_wrap=True)
    return 0
