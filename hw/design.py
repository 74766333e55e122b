"""The Verilog of a configuration, in memory: what simulators and Yosys get, and what is written to files."""

import contextlib
import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from amaranth.lib.wiring import Component

from trajectile.hw.array import TileArray
from trajectile.hw.lib.emitter import Emitter
from trajectile.hw.lib.sram import Sram1R1W, Sram1RW
from trajectile.sw_model.config import Config


@dataclass(frozen=True, repr=False)
class Design:
    """The generated Verilog, in memory."""

    config: Config
    timing_only: bool
    #: Verilog text by module name, children before parents
    modules: Mapping[str, str]
    #: (depth, width, kind, lanes) of each SRAM module; kind is ``1rw`` or ``1r1w``; a write may leave out lanes
    srams: Mapping[str, tuple[int, int, str, int]]
    #: module names of the array and the tile
    top: str
    tile: str

    #: block by module name, for what is said about it and its ports
    components: Mapping[str, Component] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Design of {self.config.name}: {len(self.modules)} modules, {len(self.srams)} SRAM sizes>"

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


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Without Python's garbage collector: Amaranth makes millions of objects that live to the end, and a third of the time
    would go into looking at them again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@lru_cache(maxsize=8)
@_without_collector()
def design(config: Config, *, timing_only: bool = False) -> Design:
    """Elaborate a configuration to Verilog: seconds, so the last ones are kept. Nobody changes what all of them get."""
    emitter = Emitter()
    top = emitter.emit(TileArray(config, timing_only=timing_only))
    blocks = emitter.components.items()
    srams = {name: (block.depth, block.width, "1rw", block.lanes) for name, block in blocks if isinstance(block, Sram1RW)}
    srams |= {name: (block.depth, block.width, "1r1w", 1) for name, block in blocks if isinstance(block, Sram1R1W)}
    modules = MappingProxyType(emitter.verilog())
    return Design(config, timing_only, modules, MappingProxyType(srams), top, "trajectile_tile", emitter.components)
