"""The C driver from Python: a shared library with Python functions as its ``read32``, ``write32`` and ``relax``."""

import ctypes
import enum
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trajectile.hw.batch.layouts import RECORD_COUNTERS
from trajectile.hw.host.codes import Refusal
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import ring_next, ring_prev, route

BRIDGE = Path(__file__).parent / "c" / "bridge.c"
#: what the driver must compile with, without a warning
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion")


class Status(enum.IntEnum):
    """``enum trajectile_status``; REFUSED and more is a refusal."""

    OK = 0
    FAILED = 1
    TIMEOUT = 2
    MISMATCH = 3
    REFUSED = 4


def refused(status: int) -> Refusal:
    """Why the tile has refused an access: NONE for OK."""
    return Refusal(status - Status.REFUSED) if status else Refusal.NONE


def _words(names: str) -> list[tuple[str, Any]]:
    return [(name, ctypes.c_uint32) for name in names.split()]


class Completion(ctypes.Structure):
    """``struct trajectile_completion``."""

    _fields_ = [*_words("state errors cycles first_load streaming"), ("counter", ctypes.c_uint32 * RECORD_COUNTERS),
                *_words("unit again")]


class Batch(ctypes.Structure):
    """``struct trajectile_batch``."""

    _fields_ = [("layer", ctypes.c_uint64), ("records", ctypes.c_uint64), ("results", ctypes.c_uint64),
                ("completion", ctypes.POINTER(Completion)), *_words("tokens order bf16 tag shared")]


def settings_of(config: Config, tile: int, **changes: int) -> dict[str, Any]:
    """The fields of ``struct trajectile_settings`` for a tile: its place in the ring, windows all open."""
    return {
        "ring_next": ring_next(config.array, tile), "ring_prev": ring_prev(config.array, tile),
        "route": list(route(config.array, tile)), "watchdog": 0, "read_page": 0, "read_pages": 1 << 28, "write_page": 0,
        "write_pages": 1 << 28, "lock": 0, "interrupts": 0, **changes,
    }


def compile_driver(folder: Path) -> Path:
    """Compile the driver in a folder that ``trajectile generate`` has written; returns the shared library."""
    library = folder / "trajectile_driver.so"
    subprocess.run(["gcc", *FLAGS, "-O1", "-shared", "-fPIC", str(folder / "trajectile_driver.c"), str(BRIDGE),
                    "-o", str(library)], check=True)
    return library


class CDriver:
    """The functions of ``trajectile_driver.h``, without their prefix, for tiles ``stride`` bytes apart.

    ``memory`` is what tiles and host share, at address 0 of the tiles.
    """

    def __init__(self, library: Path, config: Config, read: Callable[[int], int], write: Callable[[int, int], None],
                 relax: Callable[[], None], memory: Any, *, base: int = 0, stride: int = 0x1000):
        self.config, self.base, self.stride = config, base, stride
        self.library = ctypes.CDLL(str(library.resolve()))
        self.memory = (ctypes.c_uint8 * len(memory)).from_buffer(memory)
        self.settings_type = type("Settings", (ctypes.Structure,), {"_fields_": [
            *_words("ring_next ring_prev"), ("route", ctypes.c_uint32 * config.array.tiles),
            *_words("watchdog read_page read_pages write_page write_pages lock interrupts")]})
        # kept: C holds no reference
        self.hooks = (ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_size_t)(read),
                      ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint32)(write), ctypes.CFUNCTYPE(None)(relax))
        self.library.bridge(*self.hooks)

    def call(self, name: str, tile: int, *arguments: Any) -> int:
        """``trajectile_<name>(tile, arguments)``."""
        function = getattr(self.library, f"trajectile_{name}")
        function.restype = ctypes.c_uint32
        return int(function(ctypes.c_size_t(self.base + tile * self.stride), *arguments))

    def set(self, tile: int, settings: Mapping[str, Any]) -> Refusal:
        """Write what :func:`settings_of` made."""
        kind = ctypes.c_uint32 * len(settings["route"])
        made = self.settings_type(**{**settings, "route": kind(*settings["route"])})
        return refused(self.call("set", tile, ctypes.byref(made)))

    def batch(self, tokens: int, *, layer: int, records: int, results: int, order: int = 0, bf16: int = 0,
              tag: int = 0, shared: int = 0) -> Batch:
        """A batch of one tile."""
        completion = ctypes.cast(ctypes.addressof(self.memory) + results % len(self.memory), ctypes.POINTER(Completion))
        return Batch(layer, records, results, completion, tokens, order, bf16, tag, shared)

    def queue(self, tile: int, batch: Batch) -> Refusal:
        """Queue it; why it was refused."""
        return refused(self.call("queue", tile, ctypes.byref(batch)))

    def wait(self, batch: Batch, looks: int) -> Status:
        """Look so often."""
        self.library.trajectile_wait.restype = ctypes.c_uint32
        return Status(self.library.trajectile_wait(ctypes.byref(batch), ctypes.c_uint32(looks)))

    def _at(self, address: int) -> Any:
        return ctypes.c_void_p(ctypes.addressof(self.memory) + address)

    def put_token(self, records: int, tokens: int, token: int, *, exponent: int, experts: Sequence[int],
                  weights: Sequence[int], shifts: Sequence[int], x: Sequence[int]) -> None:
        """Write a token record; an expert of -1 is no choice."""
        choices = [(ctypes.c_uint16 * len(values))(*(value & 0xFFFF for value in values)) for values in (experts, weights)]
        self.library.trajectile_put_token(
            self._at(records), tokens, token, ctypes.c_int8(exponent), *choices, (ctypes.c_uint8 * len(shifts))(*shifts),
            (ctypes.c_int8 * len(x))(*x))

    def get_token(self, results: int, token: int, *, bf16: int = 0) -> tuple[list[int], int, int]:
        """Read results as they are, unit and count of clips."""
        y, unit, clips = (ctypes.c_uint32 * self.config.layer.d_model)(), ctypes.c_int32(), ctypes.c_uint32()
        self.library.trajectile_get_token(self._at(results), bf16, token, y, ctypes.byref(unit), ctypes.byref(clips))
        return list(y), unit.value, clips.value
