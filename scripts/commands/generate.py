"""Verilog of a configuration, and everything that goes with it: register map, driver, constraints, templates."""

import argparse
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.lib.wiring import Component

from trajectile.hw.array import TileArray
from trajectile.hw.lib.emitter import Emitter
from trajectile.hw.lib.sram import Sram1R1W, Sram1RW
from trajectile.scripts.command_line import terminal
from trajectile.scripts.soc import bundle
from trajectile.sw_model.config import Config

#: clock of the constraints, if none is given: the paper's
DEFAULT_MHZ = 800.0


@dataclass(frozen=True)
class Design:
    """The generated Verilog, in memory."""

    config: Config
    timing_only: bool
    #: Verilog text by module name, children before parents
    modules: dict[str, str]
    #: (depth, width, kind, lanes) of each SRAM module; kind is ``1rw`` or ``1r1w``; a write may leave out lanes
    srams: dict[str, tuple[int, int, str, int]]
    #: module names of the array and the tile
    top: str
    tile: str

    #: block by module name, for what is said about it and its ports
    components: Mapping[str, Component] = field(default_factory=dict)

    def file_modules(self) -> dict[str, list[str]]:
        """File name to the modules in it: the SRAM wrappers, the tile with its blocks, and the array with its links."""
        outside = {self.top, "trajectile_d2d_link"}
        return {
            "trajectile_sram.v": list(self.srams),
            "trajectile_tile.v": [name for name in self.modules if name not in outside and name not in self.srams],
            "trajectile_array.v": [name for name in self.modules if name in outside],
        }

    def files(self) -> dict[str, str]:
        """File name to text, without the comments of what is written for people: what simulators and Yosys get."""
        return {file: "\n".join(self.modules[name] for name in names) for file, names in self.file_modules().items()}


def design(config: Config, *, timing_only: bool = False) -> Design:
    """Elaborate a configuration to Verilog."""
    emitter = Emitter()
    top = emitter.emit(TileArray(config, timing_only=timing_only))
    blocks = emitter.components.items()
    srams = {name: (block.depth, block.width, "1rw", block.lanes) for name, block in blocks if isinstance(block, Sram1RW)}
    srams |= {name: (block.depth, block.width, "1r1w", 1) for name, block in blocks if isinstance(block, Sram1R1W)}
    return Design(config, timing_only, emitter.verilog(), srams, top, "trajectile_tile", emitter.components)


def write(made: Design, folder: Path, *, command: str | None = None, mhz: float = DEFAULT_MHZ) -> list[Path]:
    """Write everything that goes with a design into ``folder`` (:mod:`trajectile.scripts.soc.bundle`); returns the files.

    ``command`` is named in their heads; ``mhz`` is the clock of the constraints. Where a design was written before,
    files that this one does not have are removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = bundle.texts(made, command or f"trajectile generate {made.config.name} -o DIR", mhz)
    if (folder / "trajectile_tile.v").exists():
        for name in set(bundle.SOMETIMES) - set(texts):
            (folder / name).unlink(missing_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def command_of(args: argparse.Namespace) -> str:
    """The command line that writes the same files again, without folders."""
    words = ["trajectile", "generate", Path(args.config).name,
             *(word for override in args.overrides for word in ("--set", override))]
    words += ["--timing-only"] * args.timing_only + ["--mhz", f"{args.mhz:g}"] * (args.mhz != DEFAULT_MHZ)
    return " ".join(shlex.quote(" ".join(word.split())) for word in [*words, "-o", "DIR"])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile generate``."""
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the files")
    parser.add_argument("--timing-only", action="store_true", help="controllers only: no payload, no arithmetic")
    parser.add_argument("--mhz", metavar="F", type=float, default=DEFAULT_MHZ,
                        help=f"clock of the SDC constraints (default {DEFAULT_MHZ:g}, the paper's)")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile generate``."""
    with terminal.status("generating the Verilog"):
        made = design(config, timing_only=args.timing_only)
        paths = write(made, args.output, command=command_of(args), mhz=args.mhz)
    terminal.answer(args, {"config": {"name": config.name, **config.as_dict}, "timing_only": args.timing_only,
                           "files": [str(path) for path in paths], "modules": list(made.modules),
                           "srams": {name: {"depth": depth, "width": width, "kind": kind, "lanes": lanes}
                                     for name, (depth, width, kind, lanes) in made.srams.items()}})
    console = terminal.console(args)
    for path in paths:
        console.print(str(path), highlight=False, soft_wrap=True)
    console.print(f"{len(made.modules)} modules, {len(made.srams)} SRAM sizes", highlight=False)
    return 0
