"""One Mixture-of-Experts layer of a checkpoint, quantised, with its error, its DDR images and a configuration."""

import argparse
from pathlib import Path
from typing import Any

from rich.table import Table

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.tables import per_token
from trajectile.scripts.flow.imported import CONFIG_FILE, LAYER_FILE, REPORT_FILE, import_layer

#: the first argument is a checkpoint, not a configuration; ``run`` gets the arguments only
OWN_CONFIG = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile import``."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path,
                        help="a .safetensors file, a model.safetensors.index.json, a .gguf file, or a folder with one")
    parser.add_argument("--layer", metavar="L", type=int, help="number of the layer (default: the first with experts)")
    parser.add_argument("--top-k", metavar="K", type=int, help="experts per token (default: as the checkpoint says)")
    parser.add_argument("--config", metavar="CONFIG", default="paper", dest="hardware",
                        help="TOML file or preset whose hardware the layer is for (default paper)")
    parser.add_argument("--activations", metavar="FILE", type=Path,
                        help="inputs of the layer to measure the error on, .npy [tokens, d_model] (default: normal noise)")
    parser.add_argument("--tokens", metavar="N", type=int, default=64, help="tokens to measure on (default 64)")
    parser.add_argument("--seed", type=int, default=1, help="of noise and of a gate without a router (default 1)")
    parser.add_argument("--smooth", metavar="ALPHA", type=float,
                        help="move outlier channels from the activations into the weights: 0 nothing, 1 all; needs "
                        "--activations (default: nothing is moved)")
    parser.add_argument("--without-shared", action="store_true", help="leave out the expert that every token meets")
    parser.add_argument("--accept", metavar="NAME", action="append", default=[],
                        help="a key of config.json or GGUF metadata, or a tensor beside the experts, that is not understood "
                        "and changes nothing; may be repeated")
    parser.add_argument("--hex", action="store_true", help="DDR images also for Verilog's $readmemh")
    terminal.add_json(parser, f"write the report there too (it is in DIR/{REPORT_FILE})")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the files")


def gate_text(gate: dict[str, Any]) -> str:
    """How the gate chooses, in a line."""
    parts = [gate["scoring"]]
    if gate["bias"]:
        parts.append("biased logits")
    if gate["correction_bias"]:
        parts.append("choice corrected")
    if gate["groups"] > 1:
        parts.append(f"best {gate['top_groups']} of {gate['groups']} groups")
    parts.append("normalised" if gate["normalised"] else "not normalised")
    if gate["scaling"] != 1:
        parts.append(f"times {gate['scaling']:g}")
    return ", ".join(parts)


def shown(values: dict[str, Any], folder: Path) -> Table:
    """The report, for people."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    shape, error, ddr = values["shape"], values["error"], values["ddr"]
    table.add_row("layer", f"{values['layer']}, names of {values['naming']}, {values['dtype']}")
    filled = f" ({values['filled_columns']} of them zeros, so that slices cut no block)" * bool(values["filled_columns"])
    table.add_row("shape", f"d_model {shape['d_model']}, d_ff {shape['d_ff']}{filled}, {shape['experts']} experts, top "
                           f"{shape['top_k']}")
    gate, shared = values["gate"], values["shared_experts"]
    if gate:
        table.add_row("gate", gate_text(gate))
    limits = [f"{what} limited to {values[f'{what}_limit']:g}" for what in ("gate", "up") if values[f"{what}_limit"]]
    offset = [f"up + {values['up_offset']:g}"] * bool(values["up_offset"])
    units = [f"biases ({values['bias_columns']} columns of d_ff more, which hold those of down)"] * values["biases"]
    table.add_row("experts", ", ".join([values["activation"], *limits, *offset, *units]))
    if shared["parts"]:
        table.add_row("shared expert", f"{shared['columns']} columns of d_ff, the last {shared['parts']} of these experts"
                                       f"{', with a gate of its own' * shared['own_gate']}")
    for line in values["beside_the_array"]:
        table.add_row("beside the array", line)
    if values["left_out"]:
        table.add_row("left out", ", ".join(values["left_out"]))
    kind = values["weights"] + ", scale mantissa" * bool(values["scale_mantissa"])
    table.add_row(f"{kind} weights", "exactly the checkpoint's" if values["exact"] else
                  ", ".join(f"{name} {ratio:.1f} dB" for name, ratio in error["weight_sqnr_db"].items()))
    table.add_row("integer layer", f"cosine {error['cosine']:.5f}, SQNR {error['sqnr_db']:.1f} dB against float32")
    table.add_row("its tokens", per_token(values, values["tokens"]))
    table.add_row("measured on", f"{error['measured_on']}; unit of results from {error['calibrated_on']}")
    table.add_row("DDR", f"{ddr['channels']} channels of {ddr['bytes_per_channel']:,} bytes, {ddr['slices']} slices of "
                         f"{ddr['slice_bytes']:,} bytes per expert")
    table.add_row("files", f"{folder}: {', '.join(values['files'])}")
    return table


def run(args: argparse.Namespace) -> int:
    """``trajectile import``."""
    console = terminal.console(args)
    values = import_layer(
        args.checkpoint, args.output, number=args.layer, top_k=args.top_k, hardware=args.hardware, overrides=args.overrides,
        activations=args.activations, tokens=args.tokens, seed=args.seed, hexadecimal=args.hex,
        without_shared=args.without_shared, accept=args.accept, smooth=args.smooth,
        tracked=lambda experts, total: terminal.tracked(experts, "experts", total))
    terminal.answer(args, values)
    console.print(shown(values, args.output), highlight=False)
    console.print(f"\ntrajectile simulate {args.output / CONFIG_FILE} --weights {args.output / LAYER_FILE}", highlight=False,
                  soft_wrap=True)
    return 0
