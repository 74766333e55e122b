"""The C driver from Python: compiled to a shared library, with Python functions as its ``read32`` and ``write32``."""

import ctypes
import enum
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trajectile.hw.params import Params
from trajectile.sw_model.config.topology import ring_next, ring_prev, route
from trajectile.sw_model.numerics.integer import QuantisedBatch
from trajectile.sw_model.schedule.scheduler import Schedule

BRIDGE = Path(__file__).parent / "c" / "bridge.c"
#: what the driver must compile with, without a warning
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion")


class Status(enum.IntEnum):
    """``enum trajectile_status``."""

    OK = 0
    RUNNING = 1
    FAILED = 2
    REFUSED = 3
    TIMEOUT = 4
    RANGE = 5
    MISMATCH = 6


def _structure(name: str, fields: str, **others: Any) -> type[ctypes.Structure]:
    """Of 32-bit numbers without sign, and then ``others`` by type."""
    return type(name, (ctypes.Structure,), {
        "_fields_": [*((field, ctypes.c_uint32) for field in fields.split()), *others.items()]})


Rule = _structure("Rule", "here next first passes")
Load = _structure("Load", "expert index row here next left")
Token = _structure("Token", "valid token weight", exponent=ctypes.c_int32)


class Array(ctypes.Structure):
    """``struct trajectile``."""

    _fields_ = [("base", ctypes.c_size_t), ("stride", ctypes.c_size_t)]


def program_of(plan: Schedule, tile: int, batch: QuantisedBatch, *, watchdog: int = 0, ddr_base: int = 0) -> dict[str, Any]:
    """The fields of ``struct trajectile_program`` for a tile, lists as lists of rows."""
    config, program = plan.config, plan.tiles[tile]
    here, after = plan.passes > 0, ring_next(config.array, tile)
    return {
        "ddr_base": ddr_base, "ring_next": after, "ring_prev": ring_prev(config.array, tile), "arrivals": program.arrivals,
        "watchdog": watchdog, "route": list(route(config.array, tile)),
        "rule": [[int(here[tile, e]), int(here[after, e]), int(program.first[e]), int(program.passes[e])]
                 for e in range(config.layer.experts)],
        "load": [[load.expert, load.index, load.row, int(load.here), int(load.next_here), load.left]
                 for load in program.loads],
        "token": [[1, int(plan.placement[token, 2]), int(batch.weight[token, rank]), int(batch.exponent[token])]
                  if token >= 0 else [0, 0, 0, 0]
                  for tokens, ranks in zip(program.list_tokens, program.list_ranks, strict=True)
                  for token, rank in zip(tokens, ranks, strict=True)],
    }


def compile_driver(folder: Path) -> Path:
    """Compile the driver in a folder that ``trajectile generate`` has written; returns the shared library."""
    library = folder / "trajectile_driver.so"
    subprocess.run(["gcc", *FLAGS, "-O1", "-shared", "-fPIC", str(folder / "trajectile_driver.c"), str(BRIDGE),
                    "-o", str(library)], check=True)
    return library


class CDriver:
    """The functions of ``trajectile_driver.h``, without their prefix, for the array at ``base``."""

    def __init__(self, library: Path, params: Params, read: Callable[[int], int], write: Callable[[int, int], None], *,
                 base: int, stride: int):
        config = params.config
        self.d_model, self.lanes = config.layer.d_model, config.tile.mac_t
        self.array = Array(base, stride)
        self.program_type = type("Program", (ctypes.Structure,), {"_fields_": [
            ("ddr_base", ctypes.c_uint64),
            *((name, ctypes.c_uint32) for name in "ring_next ring_prev arrivals watchdog".split()),
            ("route", ctypes.c_uint32 * config.array.tiles), ("loads", ctypes.c_uint32), ("passes", ctypes.c_uint32),
            ("rule", ctypes.POINTER(Rule)), ("load", ctypes.POINTER(Load)), ("token", ctypes.POINTER(Token))]})
        self.library = ctypes.CDLL(str(library.resolve()))
        # kept: C holds no reference
        self.hooks = (ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_size_t)(read),
                      ctypes.CFUNCTYPE(None, ctypes.c_size_t, ctypes.c_uint32)(write))
        self.library.bridge(*self.hooks)

    def _call(self, name: str, *arguments: Any) -> int:
        function = getattr(self.library, f"trajectile_{name}")
        function.restype = ctypes.c_uint32
        return int(function(ctypes.byref(self.array), *arguments))

    def call(self, name: str, *arguments: Any) -> Status:
        """``trajectile_<name>(array, arguments)``, of those that return a status."""
        return Status(self._call(name, *arguments))

    def program(self, tile: int, fields: Mapping[str, Any]) -> Status:
        """Write what :func:`program_of` made."""
        lists = {name: (kind * max(len(fields[name]), 1))(*(kind(*row) for row in fields[name]))
                 for name, kind in (("rule", Rule), ("load", Load), ("token", Token))}
        numbers = {name: value for name, value in fields.items() if name not in (*lists, "route")}
        made = self.program_type(
            **numbers, route=(ctypes.c_uint32 * len(fields["route"]))(*fields["route"]),
            loads=len(fields["load"]), passes=len(fields["token"]) // self.lanes, **lists)
        return self.call("program", tile, ctypes.byref(made))

    def put_token(self, tile: int, lane: int, token: int, x: list[int], shifts: list[int]) -> Status:
        """Write activations, and the shifts of their blocks."""
        return self.call("put_token", tile, lane, token, (ctypes.c_int8 * self.d_model)(*x),
                         (ctypes.c_uint8 * len(shifts))(*shifts))

    def get_token(self, tile: int, lane: int, token: int) -> tuple[Status, list[int]]:
        """Read results."""
        y = (ctypes.c_int32 * self.d_model)()
        return self.call("get_token", tile, lane, token, y), list(y)

    def get_clips(self, tile: int, lane: int, token: int) -> tuple[Status, int]:
        """Read a count of clips."""
        clips = ctypes.c_uint32()
        return self.call("get_clips", tile, lane, token, ctypes.byref(clips)), clips.value

    def value(self, name: str, *arguments: int) -> int:
        """``trajectile_<name>(array, arguments)``, of those that return a number."""
        return self._call(name, *arguments)
