"""The firmware: the C driver of the array under a small program that takes commands by UART, for the system's RISC-V.

LiteDRAM's own C code trains the memory. It is compiled from where LiteX is installed.
"""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from trajectile.hw.params import Params
from trajectile.scripts.board import layout
from trajectile.scripts.board.system import ROM_BYTES, STACK_BYTES, System, headers
from trajectile.scripts.errors import ToolError
from trajectile.scripts.soc import driver
from trajectile.scripts.soc.register_map import c_header

COMPILER = "riscv64-unknown-elf-gcc"
FLAGS = ("-march=rv32im", "-mabi=ilp32", "-mcmodel=medany", "-O2", "-g", "-ffreestanding", "-ffunction-sections",
         "-fno-tree-loop-distribute-patterns", "-D__vexriscv__")
#: for what is ours
STRICT = ("-std=gnu99", "-Wall", "-Wextra", "-Werror")
LINK = ("-nostdlib", "-nostartfiles", "-Wl,--gc-sections", "-Wl,-T,firmware.ld", "-lgcc")
SOURCES = ("main.c", "batches.c", "toy.c")
_DATA = Path(__file__).parent / "data"


class CompilerMissing(ToolError):
    """There is no compiler for the RISC-V. The message is one line that says how to get it."""


def check() -> None:
    """Whether the compiler is installed.

    Raises:
        CompilerMissing: if not.
    """
    if shutil.which(COMPILER) is None:
        raise CompilerMissing(f"{COMPILER}, which compiles the firmware, is not installed (Debian, Ubuntu: apt install "
                              "gcc-riscv64-unknown-elf)")


def layout_header() -> str:
    """The addresses of ``layout.py`` for C."""
    names = ("HOST_BASE", "HOST_STRIDE", "RAM_BASE", "JOB", "RECORDS", "RESULTS", "MODEL", "SEEN",
             "CONTEXT", "LAYERS", "TILE_BYTES", "TEXT_RECORD_BYTES", "TEXT_RESULT_BYTES")
    return "/* Addresses, from scripts/board/layout.py. */\n" + "".join(
        f"#define BOARD_{name} 0x{getattr(layout, name):X}u\n" for name in names)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolError(f"{COMPILER} failed in {folder}:\n{done.stderr.strip()[-3000:]}")


def compile_into(folder: Path, system: System) -> bytes:
    """Compile the firmware in a folder, which gets all its sources; returns the ROM's contents.

    Raises:
        ToolError: if the compiler is missing, or does not accept it.
    """
    check()
    texts = headers(system) | driver.files() | {
        "trajectile.h": c_header(Params(system.config)), "layout.h": layout_header(),
        **{str(path.relative_to(_DATA)): path.read_text(encoding="utf-8") for path in sorted(_DATA.rglob("*.*"))}}
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    script = folder / "firmware.ld"
    script.write_text(script.read_text(encoding="utf-8").replace("ROM_BYTES", str(ROM_BYTES)).replace(
        "SRAM_BYTES", str(STACK_BYTES)), encoding="utf-8")
    found = find_spec("litex")
    assert found is not None and found.origin is not None
    soc = Path(found.origin).parent / "soc"
    include = ["-I.", "-Iinclude", *(f"-I{path}" for path in (
        soc / "software", soc / "software" / "include", soc / "cores" / "cpu" / "vexriscv"))]
    theirs = [soc / "software" / "liblitedram" / name for name in ("sdram.c", "accessors.c")]
    theirs.append(soc / "software" / "libbase" / "memtest.c")
    objects = []
    for source, extra in [*((name, STRICT) for name in (*SOURCES, "trajectile_driver.c")), ("start.S", ()),
                          *((str(path), ("-w",)) for path in theirs)]:
        made = f"{Path(source).stem}.o"
        _run([COMPILER, *FLAGS, *extra, *include, "-c", source, "-o", made], folder)
        objects.append(made)
    _run([COMPILER, *FLAGS, *objects, *LINK, "-Wl,-Map,firmware.map", "-o", "firmware.elf"], folder)
    _run([COMPILER.replace("gcc", "objcopy"), "-O", "binary", "firmware.elf", "firmware.bin"], folder)
    return (folder / "firmware.bin").read_bytes()


def rom_words(program: bytes) -> list[int]:
    """The ROM's contents, 32-bit words."""
    padded = program + bytes(-len(program) % 4)
    return [int.from_bytes(padded[at:at + 4], "little") for at in range(0, len(padded), 4)]
