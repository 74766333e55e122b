"""Verilog of a configuration, and everything that goes with it: register map, driver, constraints, templates."""

import argparse
import shlex
from pathlib import Path

from trajectile.hw.design import design
from trajectile.scripts.area.technology import TECHNOLOGIES
from trajectile.scripts.command_line import terminal
from trajectile.scripts.soc.bundle import DEFAULT_MHZ, write
from trajectile.sw_model.config import Config


def command_of(args: argparse.Namespace) -> str:
    """The command line that writes the same files again, without folders."""
    words = ["trajectile", "generate", Path(args.config).name,
             *(word for override in args.overrides for word in ("--set", override))]
    words += ["--timing-only"] * args.timing_only + ["--mhz", f"{mhz_of(args):g}"] * (mhz_of(args) != DEFAULT_MHZ)
    return " ".join(shlex.quote(" ".join(word.split())) for word in [*words, "-o", "DIR"])


def mhz_of(args: argparse.Namespace) -> float:
    """The clock of the constraints."""
    if args.technology:
        return TECHNOLOGIES[args.technology].clock_mhz
    return DEFAULT_MHZ if args.mhz is None else float(args.mhz)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile generate``."""
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the files")
    parser.add_argument("--timing-only", action="store_true", help="controllers only: no payload, no arithmetic")
    clocks = {name: known.clock_mhz for name, known in TECHNOLOGIES.items() if known.loads}
    clock = parser.add_mutually_exclusive_group()
    clock.add_argument("--mhz", metavar="F", type=float,
                       help=f"clock of the SDC constraints (default {DEFAULT_MHZ:g}, the paper's)")
    clock.add_argument("--technology", choices=clocks,
                       help=f"the same by technology ({', '.join(f'{name} {mhz:g}' for name, mhz in clocks.items())})")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile generate``."""
    with terminal.status("generating the Verilog"):
        made = design(config, timing_only=args.timing_only)
        paths = write(made, args.output, command=command_of(args), mhz=mhz_of(args))
    terminal.answer(args, {"config": {"name": config.name, **config.as_dict}, "timing_only": args.timing_only,
                           "files": [str(path) for path in paths], "modules": list(made.modules),
                           "srams": {name: {"depth": depth, "width": width, "kind": kind, "lanes": lanes}
                                     for name, (depth, width, kind, lanes) in made.srams.items()}})
    console = terminal.console(args)
    for path in paths:
        console.print(str(path), highlight=False, soft_wrap=True)
    console.print(f"{len(made.modules)} modules, {len(made.srams)} SRAM sizes", highlight=False)
    return 0
