"""LiteDRAM (an extra) behind a DDR channel: a controller with a model of its memory, made by LiteDRAM's own Python.

Nothing of it is copied: its Verilog is made when it is needed, in a process of its own, and goes to the folder of builds.
Controller and tile have one clock. A channel is as many chips wide as its port wants: ``ddr.bytes_per_cycle`` is the width of
the controller's native port, and on the pins that many bytes take one cycle of the controller, which is two or four cycles of
the memory at two transfers each.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from trajectile.scripts.errors import ToolError, UserError
from trajectile.sw_model.config import Config, ceil_div
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics.image import Bytes

MAKER = Path(__file__).with_name("litedram_maker.py")
#: what the maker imports
PACKAGES = ("migen", "litex", "litedram")


class LiteDramMissing(ToolError):
    """LiteDRAM is not installed. The message is one line that says how to get it."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """A kind of memory with the controller before it."""

    #: name of the part in LiteDRAM's list, and its speed grade there
    part: str
    speed: str | None
    #: clock of the controller, and cycles of the memory in one of it
    clock_mhz: int
    phases: int
    banks: int
    columns: int
    #: what the timeline follows it with (``sw_model/config/memories.py``)
    timeline: str

    @property
    def widths(self) -> list[int]:
        """Bytes of a native port that there can be: 4 data pins and more."""
        return [size for size in (1, 2, 4, 8, 16, 32, 64, 128) if 8 * size // (2 * self.phases) >= 4]

    @property
    def transfers(self) -> int:
        """Millions of transfers per second on a pin."""
        return 2 * self.phases * self.clock_mhz

    def pins(self, port_bytes: int) -> int:
        """Data pins behind a port of so many bytes."""
        return 8 * port_bytes // (2 * self.phases)

    def row_bytes(self, port_bytes: int) -> int:
        """Bytes of a row in all chips of a channel."""
        return self.columns * port_bytes // (2 * self.phases)


MEMORIES = {
    "ddr4": Memory(part="MT40A1G8", speed="2400", clock_mhz=300, phases=4, banks=16, columns=1024,
                   timeline="ddr4-2400"),
    "ddr3": Memory(part="MT41K128M16", speed="800", clock_mhz=100, phases=4, banks=8, columns=1024,
                   timeline="ddr3-800"),
    "lpddr": Memory(part="MT46H32M16", speed=None, clock_mhz=100, phases=2, banks=4, columns=1024,
                    timeline="lpddr-400"),
}


@dataclass(frozen=True, kw_only=True)
class Core:
    """A controller that can be made."""

    memory: Memory
    #: of a native port, and so of the tile's
    bytes_per_cycle: int
    #: AXI4 read ports
    ports: int
    address_bits: int
    #: rows of a bank, and those of them that the model keeps apart
    rows: int
    rows_kept: int
    #: beats that each port has room for until they are taken
    buffer_beats: int
    #: what is in the memory comes from files, one for each bank
    contents: bool
    refresh: bool = True
    #: LiteDRAM's own check of timings says what it finds
    checker: bool = False
    module: str = "litedram_core"

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.memory.row_bytes(self.bytes_per_cycle)

    def verilog(self) -> str:
        """Its Verilog.

        Raises:
            LiteDramMissing: if LiteDRAM is not installed.
            ToolError: if LiteDRAM refuses it.
        """
        check()
        wanted = {**asdict(self), **asdict(self.memory)}
        done = subprocess.run([sys.executable, "-P", str(MAKER), json.dumps(wanted)], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ToolError(f"LiteDRAM could not make a controller: {said}")
        return done.stdout

    def write_contents(self, path: Path, contents: Bytes) -> None:
        """Write what is in the memory from address 0 on, for ``$readmemh``: a file for each bank, named by its number.

        Rows of all banks follow each other: row 0 of each bank, then row 1 (``ROW_BANK_COL`` of LiteDRAM).
        """
        banks = self.memory.banks
        whole = np.zeros((self.rows_kept, banks, self.row_bytes), dtype=np.uint8)
        whole.reshape(-1)[:len(contents)] = contents
        for bank in range(banks):
            image.write_hex(path.with_name(f"{path.name}.{bank}"), whole[:, bank].ravel(), self.bytes_per_cycle)


def check() -> None:
    """Whether LiteDRAM is installed.

    Raises:
        LiteDramMissing: if it is not.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise LiteDramMissing(f"LiteDRAM needs {', '.join(missing)}, which is not installed (pip install "
                              f"{' '.join(PACKAGES)}, or pip install 'trajectile[litedram]')")


def core_of(config: Config, name: str, memory: Memory, size: int, *, address_bits: int, contents: bool, refresh: bool = True,
            checker: bool = False) -> Core:
    """The controller behind each DDR channel of an accelerator.

    Args:
        config: the accelerator.
        name: of the memory, as ``--ddr`` has it.
        memory: what it is.
        size: bytes that the memory must have room for.
        address_bits: of the tile's DDR port.
        contents: the memory's contents come from files; else all its rows are the same.
        refresh: the controller refreshes the memory.
        checker: LiteDRAM's own check of timings.

    Raises:
        UserError: if the port's width is none of the memory's.
    """
    width = config.ddr.bytes_per_cycle
    if width not in memory.widths:
        raise UserError(f"ddr.bytes_per_cycle = {width} is not legal with --ddr {name}; legal values: "
                        f"{', '.join(map(str, memory.widths))} (as wide as a native port of the controller)")
    rows = max(2, 1 << (ceil_div(size, memory.banks * memory.row_bytes(width)) - 1).bit_length())
    return Core(memory=memory, bytes_per_cycle=width, ports=config.ddr.ports, address_bits=address_bits, rows=rows,
                rows_kept=rows if contents else 2, buffer_beats=2 * config.ddr.burst_beats, contents=contents,
                refresh=refresh, checker=checker)
