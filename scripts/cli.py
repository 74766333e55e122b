"""The ``trajectile`` command.

A command is a module of ``scripts`` with ``add_arguments(parser)`` and ``run(args, config) -> exit code``, and a line in
``COMMANDS``. Everything else is done here: CONFIG, ``--set``, ``--json``, examples, errors. What a module may say:

* ``CONFIGS = "+"``: several configurations; ``run`` gets a list;
* ``DEFAULT_CONFIG = "demo"``: CONFIG may be left out;
* ``OWN_CONFIG = True``: no argument CONFIG; ``run`` gets the arguments only;
* ``OVERRIDES = False``: no ``--set`` either.

Only the module of the command that is asked for is imported, so that ``trajectile --help`` is there at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import ModuleType

from rich.console import Console

from trajectile.hw.lib.yosys import YosysError
from trajectile.scripts.command_line import arguments as common
from trajectile.scripts.command_line import completion, terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.version import version
from trajectile.sw_model import config as configuration
from trajectile.sw_model.gates.workloads import TraceError
from trajectile.sw_model.schedule.scheduler import ScheduleError


@dataclass(frozen=True)
class Command:
    """What the parser needs to know before the module is imported."""

    #: in ``scripts``
    name: str
    #: one line for ``trajectile --help``
    text: str
    #: command lines that run as they stand
    examples: tuple[str, ...]

    @property
    def module(self) -> ModuleType:
        """Its code."""
        return import_module(f"trajectile.scripts.commands.{self.name}")


COMMANDS = {
    "demo": Command("demo", "simulate and synthesize the demo, report on it", (
        "trajectile demo",
        "trajectile demo --tokens 16 --order paired")),
    "generate": Command("generate", "write Verilog, registers, C driver, constraints", (
        "trajectile generate smoke -o build/smoke",
        "trajectile generate demo -o build/demo4 --set tile.slots=4 --set link.crc_bits=16")),
    "simulate": Command("simulate", "run a batch through the Verilog, checked", (
        "trajectile simulate demo --tokens 64 --order balanced --json run.json",
        "trajectile simulate smoke --simulator icarus --waves",
        "trajectile simulate qwen3-30b-a3b --timing-only --tokens 256")),
    "chat": Command("chat", "a language model writes, its MoE layers on the Verilog", (
        "trajectile chat --prompt 'def load(' --bytes 80",
        "trajectile chat --sequences 8 --model-only",
        "trajectile chat smollm2-135m --tokens 4")),
    "timeline": Command("timeline", "what slices did: for the Perfetto viewer, a picture", (
        "trajectile timeline smoke --tokens 8",
        "trajectile timeline demo --tokens 16 --rtl")),
    "report": Command("report", "one HTML page on a run: rooflines, stalls, trajectories", (
        "trajectile report smoke --tokens 8 -o report.html",
        "trajectile report qwen3-30b-a3b --timing-only --tokens 16 -o report.html")),
    "synthesize": Command("synthesize", "area by block with Yosys", (
        "trajectile synthesize smoke --set tile.slots=4 --json area.json",
        "trajectile synthesize demo --technology asap7 --bare-macs --plot area.png")),
    "fpga": Command("fpga", "a tile on an FPGA: resources, clock, bitstream", (
        "trajectile fpga smoke --device lfe5u-85f --json fpga.json",
        "trajectile fpga smoke --array --speed 8 --seed 2")),
    "soc": Command("soc", "a system around the array, for a board with DDR3", (
        "trajectile soc board -o build/soc",
        "trajectile soc board --simulate --tokens 4")),
    "compare": Command("compare", "streaming, EP and Hydra over batch sizes: cycles, memory", (
        "trajectile compare smoke --tokens 1,4 --windows 1",
        "trajectile compare qwen3-30b-a3b olmoe-1b-7b --tokens 1,16,256")),
    "model": Command("model", "a whole model: tokens a second, where the time goes", (
        "trajectile model qwen3-30b-a3b --sequences 1,16 --windows 2",
        "trajectile model smoke --layers 4 --rest-us 10 --sequences 1,4 --windows 1")),
    "sweep": Command("sweep", "vary one or two hardware parameters", (
        "trajectile sweep smoke --vary tile.slots=3,4 --tokens 4 --windows 1",
        "trajectile sweep qwen3-30b-a3b --vary tile.slots=3,6,12 --vary ddr.bytes_per_cycle=16,32")),
    "buffer": Command("buffer", "defer tokens of cold experts: throughput, waiting", (
        "trajectile buffer smoke --tokens 4 --batches 4",
        "trajectile buffer qwen3-30b-a3b --tokens 16 --batches 8")),
    "import": Command("importer", "read one layer of a safetensors checkpoint", (
        "trajectile import checkpoint --layer 3 --config smoke -o build/layer",)),
    "link": Command("link", "goodput of a link over its bit error rate", (
        "trajectile link demo --set link.crc_bits=16 --ber 0,1e-6,1e-5,1e-4 --plot goodput.png",)),
    "doctor": Command("doctor", "what is installed, and what a missing tool would enable", (
        "trajectile doctor",
        "trajectile doctor --json -")),
}
CODES = "exit codes: 0 exact, 1 not exact, 2 wrong input, 3 tool missing or failed"


class _Help(argparse.RawDescriptionHelpFormatter):
    """Examples stay on their lines; commands stand without a heading of their own."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=22)

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            return "".join(super(_Help, self)._format_action(choice) for choice in action._get_subactions())
        return super()._format_action(action)


@cache
def parser(only: str | None = None) -> argparse.ArgumentParser:
    """The argument parser: of all commands, or with the arguments of one only (its module alone is imported)."""
    # The first line has all options, so that the help fits a screen with a line for every command.
    top = argparse.ArgumentParser(
        prog="trajectile", description="Expert-streaming Mixture-of-Experts accelerators: Verilog, simulation, area.",
        usage="trajectile [--help] [--version] [--completion bash|zsh|fish] COMMAND ...",
        epilog=CODES, formatter_class=_Help, add_help=False)
    top.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    top.add_argument("--version", action="version", version=f"trajectile {version()}", help=argparse.SUPPRESS)
    completion.add_argument(top, parser)
    commands = top.add_subparsers(dest="command", required=True, prog="trajectile", metavar="COMMAND", title="commands")
    for name, command in COMMANDS.items():
        lines = "".join(f"  {line}\n" for line in command.examples)
        made = commands.add_parser(name, help=command.text, description=command.text + ".",
                                   epilog=f"examples:\n{lines}\n{CODES}", formatter_class=_Help)
        if only in (None, name):
            _add_arguments(made, command.module)
    return top


def _add_arguments(command: argparse.ArgumentParser, module: ModuleType) -> None:
    presets = ", ".join(configuration.presets())
    if not hasattr(module, "OWN_CONFIG"):
        default = getattr(module, "DEFAULT_CONFIG", None)
        command.add_argument("config", metavar="CONFIG", nargs="?" if default else getattr(module, "CONFIGS", None),
                             default=default, help=f"TOML file or preset ({presets})"
                             + (f"; default {default}" if default else ""))
    if getattr(module, "OVERRIDES", True):
        command.add_argument("--set", metavar="SECTION.FIELD=VALUE", action="append", default=[], dest="overrides",
                             help="override a field of the configuration (4, shared, 0,3,12); may be repeated")
    module.add_arguments(command)
    if "--json" not in command._option_string_actions:
        terminal.add_json(command)


def _complain(command: str, message: str, *, log: bool = False) -> None:
    """An error, on one line whatever is in it, and cut in the middle if a name is a page; a tool's log keeps its lines."""
    if not log and len(message) > 1500:
        message = f"{message[:1000]} ... {message[-400:]}"
    Console(stderr=True, soft_wrap=True).print(f"[bold red]trajectile {command}:[/] ", end="")
    print("".join(c if c.isprintable() or (log and c in "\n\t") else c.encode("unicode_escape").decode() for c in message),
          file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code, one of :class:`trajectile.scripts.command_line.errors.Exit`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # no option before the command has a value, so the first argument that is no option is the command
    name = next((part for part in given if not part.startswith("-")), "")
    args = parser(name if name in COMMANDS else "").parse_args(given)
    run = COMMANDS[args.command].module.run
    try:
        common.check(args)
        if not hasattr(args, "config"):
            return int(run(args))
        sources = args.config if isinstance(args.config, list) else [args.config]
        configs = [configuration.load(source, args.overrides) for source in sources]
        return int(run(args, configs if isinstance(args.config, list) else configs[0]))
    except (configuration.ConfigError, ScheduleError, TraceError, UserError) as error:
        _complain(args.command, str(error), log=isinstance(error, ToolError))
        return int(Exit.TOOL if isinstance(error, ToolError) else Exit.WRONG_INPUT)
    except YosysError as error:
        _complain(args.command, str(error), log=True)
        return int(Exit.TOOL)
    except BrokenPipeError:  # the reader of stdout has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)
    except OSError as error:  # a full disk, a folder that is gone
        _complain(args.command, f"{error.filename or 'file'}: {error.strerror or error}")
        return int(Exit.TOOL)
    except KeyboardInterrupt:
        print(f"trajectile {args.command}: stopped", file=sys.stderr)
        return int(Exit.STOPPED)


if __name__ == "__main__":
    sys.exit(main())
