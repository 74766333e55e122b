"""The whole system in Verilator: CPU with its firmware, LiteDRAM with a model of the DRAM, the array. Its UART is a pipe.

The DRAM can be filled and read beside the UART, which would be slow. What a program does with it goes through the controller.
"""

import struct
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from trajectile.hw.design import design
from trajectile.scripts.board import firmware, system
from trajectile.scripts.board.firmware import rom_words
from trajectile.scripts.errors import ToolError
from trajectile.sw_model.config import Config
from trajectile.tb.cache import kept
from trajectile.tb.runner import cached, require, verilate
from trajectile.tb.toolchain import SimulationError

MAIN = Path(__file__).parents[2] / "tb" / "cpp" / "board.cpp"
#: clock of the board, and so of the simulation; cycles that a bit of the UART lasts
CLOCK_HZ, BIT_CYCLES = 48e6, 16
#: rows of the model of the DRAM: 32 MiB
ROWS = 2048
#: most cycles of a command
MOST_CYCLES = 20_000_000


def build(config: Config) -> Path:
    """The simulation of a configuration: a folder with the program, its ROM and the firmware. Made now, or found.

    Raises:
        ToolError: if a tool or package is missing, or fails.
    """
    system.check()
    firmware.check()
    made = design(config)
    parts = system.for_simulation(config, made, CLOCK_HZ, int(CLOCK_HZ) // BIT_CYCLES, ROWS)
    memory = parts.memory
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        program = firmware.compile_into(place, parts)
        system.set_rom(parts, rom_words(program))
        sources = system.write_verilog(parts, place, made)
        # without LiteX's date
        texts = {source: "\n".join(line for line in (place / source).read_text(encoding="utf-8").splitlines()
                                   if not line.startswith("//")) for source in sources}
        contents = {path.name: path.read_text(encoding="ascii") for path in sorted(place.glob("*.init"))}
    banks = range(1 << memory.bank_bits)
    texts |= {
        "board.inc": "".join(f"#define {name} {value}\n" for name, value in (
            ("BANKS", " ".join(f"BANK({bank}, mem{f'_{bank}' if bank else ''})" for bank in banks)),
            ("BANK_BITS", memory.bank_bits), ("COLUMN_BITS", memory.column_bits), ("WORD_BYTES", memory.word_bytes),
            ("BIT_CYCLES", BIT_CYCLES))),
        "board.vlt": f'`verilator_config\nno_inline -module "{system.NAME}"\n' + "".join(
            f'public_flat_rw -module "{system.NAME}" -var "{name}"\n' for name in ("mem", "mem_?")),
        "board.cpp": MAIN.read_text(encoding="utf-8"),
    }

    def compile_into(folder: Path, log: Path) -> None:
        verilate(folder, log, system.NAME, ["board.vlt", *sources, "../board.cpp", "-CFLAGS", "-I.."])

    try:
        require("verilator")
        built = cached("board", [], texts, compile_into).folder
    except SimulationError as error:
        raise ToolError(str(error)) from error
    # the program is no part of the model: another one needs no new build
    return kept("board-rom", [str(built), *(part for item in contents.items() for part in item)],
                lambda folder: _with_rom(folder, built, contents))


def _with_rom(folder: Path, built: Path, contents: dict[str, str]) -> None:
    (folder / "simulation").symlink_to(built / "model" / "simulation")
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="ascii")


class Board:
    """A running system: what goes to its UART and comes from it, and its DRAM."""

    def __init__(self, folder: Path, told: Callable[[str], object] = str):
        """``told`` gets each character that the UART sends."""
        self.told, self.cycles = told, 0
        self.process = subprocess.Popen([str(folder / "simulation")], cwd=folder, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.stdin:
            self.process.stdin.close()
        if error:
            self.process.kill()
        if self.process.wait() and not error:
            raise ToolError(f"the simulation ended with code {self.process.returncode}")
        if self.process.stdout:
            self.process.stdout.close()

    def _ask(self, kind: str, first: int, second: int, data: bytes = b"") -> None:
        assert self.process.stdin
        try:
            self.process.stdin.write(kind.encode() + struct.pack("<II", first, second) + data)
            self.process.stdin.flush()
        except BrokenPipeError:
            raise ToolError("the simulation has ended") from None

    def _read(self, count: int) -> bytes:
        assert self.process.stdout
        data = self.process.stdout.read(count)
        if len(data) != count:
            raise ToolError("the simulation has ended")
        return data

    def load(self, address: int, data: bytes) -> None:
        """Fill a part of the DRAM, beside the controller; address and length are those of whole words of 32 bits."""
        padded = data + bytes(-len(data) % 4)
        self._ask("l", address, len(padded), padded)

    def dump(self, address: int, count: int) -> bytes:
        """Read a part of the DRAM, beside the controller."""
        self._ask("d", address, (count + 3) // 4 * 4)
        _, _, size = struct.unpack("<cII", self._read(9))
        return self._read(size)[:count]

    def command(self, data: bytes = b"") -> str:
        """Send bytes to the UART and run until the firmware has answered; returns what it has said.

        Raises:
            ToolError: if it does not answer.
        """
        if data:
            self._ask("u", 0, len(data), data)
        self._ask("g", 0, MOST_CYCLES)
        said = b""
        while True:
            kind, first, second = struct.unpack("<cII", self._read(9))
            if kind == b"e":
                self.cycles += second
                break
            said += bytes([first])
            self.told(chr(first))
        text = said.decode("latin-1").replace("\r", "")
        if not first:
            raise ToolError(f"the firmware does not answer (in {second:,} cycles); it has said:\n{text[-1000:]}")
        return text
