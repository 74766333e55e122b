"""Verilog, register map and C header of a configuration."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from hw.array import TileArray
from hw.lib.emit import Emitter
from hw.lib.sram import Sram1R1W, Sram1RW
from hw.params import Params
from scripts import driver, frame_docs, terminal
from scripts.regmap_docs import c_header, markdown
from sw_model.config import Config


@dataclass(frozen=True)
class Design:
    """The generated Verilog, in memory."""

    config: Config
    timing_only: bool
    #: Verilog text by module name, children before parents
    modules: dict[str, str]
    #: (depth, width, kind) of each SRAM module; kind is ``1rw`` or ``1r1w``
    srams: dict[str, tuple[int, int, str]]
    #: module names of the array and the tile
    top: str
    tile: str

    def files(self) -> dict[str, str]:
        """File name to text: the SRAM wrappers, the tile with its blocks, and the array with its links."""
        outside = {self.top, "trajectile_d2d_link"}
        inside = [name for name in self.modules if name not in outside and name not in self.srams]
        head = (f"// Trajectile, configuration '{self.config.name}'{', timing only' if self.timing_only else ''}.\n"
                "// Generated; do not edit. docs/architecture.md says what each block promises.\n\n")
        return {
            "trajectile_sram.v": head + "\n".join(self.modules[name] for name in self.srams),
            "trajectile_tile.v": head + "\n".join(self.modules[name] for name in inside),
            "trajectile_array.v": head + "\n".join(self.modules[name] for name in self.modules if name in outside),
        }


def design(config: Config, *, timing_only: bool = False) -> Design:
    """Elaborate a configuration to Verilog."""
    emitter = Emitter()
    top = emitter.emit(TileArray(config, timing_only=timing_only))
    srams = {name: (block.depth, block.width, "1rw" if isinstance(block, Sram1RW) else "1r1w")
             for name, block in emitter.components.items() if isinstance(block, Sram1RW | Sram1R1W)}
    return Design(config, timing_only, emitter.verilog(), srams, top, "trajectile_tile")


def write(made: Design, folder: Path) -> list[Path]:
    """Write Verilog, register map, C header, configuration and a link layer's frame into ``folder``; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    params = Params(made.config, timing_only=made.timing_only)
    texts = made.files() | {
        "registers.md": markdown(params),
        "trajectile.h": c_header(params),
        "config.json": json.dumps(made.config.as_dict, indent=2) + "\n",
    }
    if not made.timing_only:  # which has neither activations nor results
        texts |= driver.files()
    if made.config.link.crc_bits:
        texts["frame.md"] = frame_docs.markdown(params)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile generate``."""
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for the files")
    parser.add_argument("--timing-only", action="store_true", help="controllers only: no payload, no arithmetic")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile generate``."""
    with terminal.status("generating the Verilog"):
        made = design(config, timing_only=args.timing_only)
        paths = write(made, args.output)
    terminal.answer(args, {"config": {"name": config.name, **config.as_dict}, "timing_only": args.timing_only,
                           "files": [str(path) for path in paths], "modules": list(made.modules),
                           "srams": {name: {"depth": depth, "width": width, "kind": kind}
                                     for name, (depth, width, kind) in made.srams.items()}})
    console = terminal.console(args)
    for path in paths:
        console.print(str(path), highlight=False, soft_wrap=True)
    console.print(f"{len(made.modules)} modules, {len(made.srams)} SRAM sizes", highlight=False)
    return 0
