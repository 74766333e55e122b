"""All files of a generated design: Verilog, registers, driver, constraints, templates; as texts, and written."""

import json
from pathlib import Path

from trajectile.hw.design import Design
from trajectile.hw.params import Params
from trajectile.scripts.files import together
from trajectile.scripts.soc import driver, fusesoc, instances, verilog, waves
from trajectile.scripts.soc import link_frame as frame_docs
from trajectile.scripts.soc.constraints import of_dies, sdc
from trajectile.scripts.soc.ports import ports_of, summary_of
from trajectile.scripts.soc.register_map import c_header, markdown
from trajectile.scripts.soc.systemrdl import systemrdl
from trajectile.scripts.version import version

#: clock of the constraints, if none is given: the paper's
DEFAULT_MHZ = 800.0
#: files of some configurations only; what an earlier one left of them in a folder would not be true of the next
SOMETIMES = ("frame.md", *driver.NAMES)
#: what the Verilog files hold
_WHAT = {
    "trajectile_sram.v": "the SRAM of a tile, one wrapper for each size; a chip replaces their insides by macros",
    "trajectile_tile.v": "one tile and its blocks; needs trajectile_sram.v",
    "trajectile_array.v": "the array: tiles, and a model of the PHY on each link; needs the other two files",
}


def _verilog(made: Design, origin: str) -> dict[str, str]:
    """The Verilog files with their comments."""
    ports = {name: ports_of(component) for name, component in made.components.items()}
    summaries = {name: summary_of(component) for name, component in made.components.items()}
    files = {}
    for file, names in made.file_modules().items():
        modules = [verilog.annotated(made.modules[name], name, summaries[name], ports[name]) for name in names]
        listed = {name: summaries[name] for name in names}
        files[file] = "\n".join([verilog.head(file, _WHAT[file], origin, listed), *modules])
    return files


def texts(made: Design, command: str, mhz: float) -> dict[str, str]:
    """File name to text of everything that ``trajectile generate`` writes.

    Args:
        made: the design.
        command: how it is written again; the same command gives the same bytes.
        mhz: clock of the constraints.
    """
    config, timing_only = made.config, made.timing_only
    params = Params(config, timing_only=timing_only)
    note = " (timing only)" if timing_only else ""
    origin = (f"Trajectile {version()}, configuration '{config.name}'{note}. Written by\n    {command}\n"
              "Generated; do not edit. docs/integration.md says how to use it.")
    ports = {name: ports_of(made.components[f"trajectile_{name}"]) for name in ("tile", "array")}
    files = _verilog(made, origin)
    for name, own in ports.items():
        module = f"trajectile_{name}"
        files[f"{module}_instance.vh"] = instances.template(module, name, own, origin)
        dies = config.array.independent and name == "array"
        files[f"{module}.sdc"] = (of_dies if dies else sdc)(module, own, origin, mhz)
    files |= {
        "trajectile.core": fusesoc.core(config.name, version(), f"Trajectile, configuration {config.name}{note}"),
        "registers.md": markdown(params), "registers.rdl": systemrdl(params), "trajectile.h": c_header(params),
        "config.json": json.dumps(config.as_dict, indent=2) + "\n",
        "waves.gtkw": waves.gtkwave(config, ports["array"]),
    }
    if not timing_only:  # which has neither activations nor results
        files |= driver.files()
    if config.link.crc_bits:
        files["frame.md"] = frame_docs.markdown(params)
    return files


def write(made: Design, folder: Path, *, command: str | None = None, mhz: float = DEFAULT_MHZ) -> list[Path]:
    """Write the files of a design; returns their paths.

    ``command`` is named in their heads; ``mhz`` is the clock of the constraints. Where a design was written before,
    files that this one does not have are removed.
    """
    content = texts(made, command or f"trajectile generate {made.config.name} -o DIR", mhz)
    before = (folder / "trajectile_tile.v").exists()
    with together(folder) as part:
        for name, text in content.items():
            part(name).write_text(text, encoding="utf-8")
    for name in set(SOMETIMES) - set(content) if before else ():
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in content]
