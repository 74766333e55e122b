"""The ``trajectile`` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from functools import cache

from rich.console import Console

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")  # never a system Yosys of unknown age

from scripts import arguments as common
from scripts import buffering, compare, demo, generate, importer, link, simulate, sweep, synthesize, timeline
from scripts.errors import ToolError, UserError
from sw_model import config as configuration
from sw_model.scheduler import ScheduleError
from sw_model.workloads import TraceError

COMMANDS = {
    "generate": (generate, "write Verilog, register map and C header",
                 "trajectile generate demo -o build/demo"),
    "simulate": (simulate, "run a batch through the Verilog, checked by the golden model",
                 "trajectile simulate demo --tokens 64 --order balanced --json run.json"),
    "timeline": (timeline, "what slices did: events for the Perfetto viewer, a picture",
                 "trajectile timeline demo --tokens 16 --rtl"),
    "synthesize": (synthesize, "area by block with Yosys",
                   "trajectile synthesize smoke --set tile.slots=4 --json area.json"),
    "compare": (compare, "streaming, EP and Hydra over batch sizes: cycles, memory",
                "trajectile compare qwen3-30b-a3b olmoe-1b-7b --tokens 1,16,256"),
    "sweep": (sweep, "vary one or two hardware parameters",
              "trajectile sweep qwen3-30b-a3b --vary tile.slots=3,6,12 --vary ddr.bytes_per_cycle=16,32"),
    "buffer": (buffering, "defer the tokens of cold experts: throughput against waiting",
               "trajectile buffer qwen3-30b-a3b --tokens 16 --batches 8"),
    "import": (importer, "read one layer of a safetensors checkpoint",
               "trajectile import path/to/checkpoint --layer 3 -o build/layer"),
    "link": (link, "goodput of a link over its bit error rate, from the Verilog",
             "trajectile link demo --set link.crc_bits=16 --ber 0,1e-6,1e-5,1e-4 --plot goodput.png"),
    "demo": (demo, "simulate and synthesize the demo, draw its timeline",
             "trajectile demo"),
}


@cache
def parser() -> argparse.ArgumentParser:
    """The argument parser of all commands."""
    top = argparse.ArgumentParser(
        prog="trajectile", description="Expert-streaming Mixture-of-Experts accelerators: Verilog, simulation, area.",
        epilog="exit codes: 0 done and exact, 1 not exact or a tool failed, 2 wrong input")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    presets = ", ".join(configuration.presets())
    for name, (module, text, example) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text + ".", epilog=f"example: {example}")
        if name == "demo":
            command.add_argument("config", metavar="CONFIG", nargs="?", default="demo",
                                 help=f"TOML file or preset ({presets}); default demo")
        elif not hasattr(module, "OWN_CONFIG"):
            command.add_argument("config", metavar="CONFIG", nargs=getattr(module, "CONFIGS", None),
                                 help=f"TOML file or preset ({presets})")
        command.add_argument("--set", metavar="SECTION.FIELD=VALUE", action="append", default=[], dest="overrides",
                             help="override a field of the configuration; may be repeated")
        module.add_arguments(command)
    return top


def _complain(command: str, message: str, *, log: bool = False) -> None:
    """An error, on one line whatever is in it, and cut in the middle if a name is a page; a tool's log keeps its lines."""
    if not log and len(message) > 1500:
        message = f"{message[:1000]} ... {message[-400:]}"
    Console(stderr=True, soft_wrap=True).print(f"[bold red]trajectile {command}:[/] ", end="")
    print("".join(c if c.isprintable() or (log and c in "\n\t") else c.encode("unicode_escape").decode() for c in message),
          file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    args = parser().parse_args(arguments)
    try:
        common.check(args)
        if not hasattr(args, "config"):
            return COMMANDS[args.command][0].run(args)
        sources = args.config if isinstance(args.config, list) else [args.config]
        configs = [configuration.load(source, args.overrides) for source in sources]
        return COMMANDS[args.command][0].run(args, configs if isinstance(args.config, list) else configs[0])
    except (configuration.ConfigError, ScheduleError, TraceError, UserError) as error:
        _complain(args.command, str(error), log=isinstance(error, ToolError))
        return 1 if isinstance(error, ToolError) else 2
    except OSError as error:  # a full disk, a folder that is gone
        _complain(args.command, f"{error.filename or 'file'}: {error.strerror or error}")
        return 1
    except KeyboardInterrupt:
        print(f"trajectile {args.command}: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
