"""The header of a GGUF file, walked before the library reads it: every count and length fits the file.

The library takes counts as they are, and would go through 2^60 entries of an array that the file does not have.
"""

import struct
from pathlib import Path
from typing import BinaryIO

from trajectile.sw_model.checkpoints.tensors import CheckpointError

MAGIC = b"GGUF"
VERSIONS = (2, 3)
#: tensors, or keys; published files have some thousands of the first and some dozens of the second
MAX_ENTRIES = 1 << 17
#: entries of an array; the longest are vocabularies and their merges
MAX_ARRAY = 1 << 22
MAX_NAME_BYTES, MAX_STRING_BYTES, MAX_DIMENSIONS = 1 << 12, 1 << 26, 4
#: bytes of a value by its type; strings and arrays have their length before them
_BYTES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY = 8, 9


class _Walk:
    """A position in the header. Whatever leads beyond the file's end is a ``ValueError``."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.file, self.left = file, size

    def _take(self, count: int) -> None:
        if count > self.left:
            raise ValueError("it ends within its header")
        self.left -= count

    def skip(self, count: int) -> None:
        self._take(count)
        self.file.seek(count, 1)

    def number(self, kind: str) -> int:
        size = struct.calcsize("<" + kind)
        self._take(size)
        return int(struct.unpack("<" + kind, self.file.read(size))[0])

    def count(self, kind: str, what: str, most: int) -> int:
        value = self.number(kind)
        if value > most:
            raise ValueError(f"its header has {value} {what}; at most {most} are read")
        return value

    def value(self, kind: int) -> None:
        if kind == _STRING:
            self.skip(self.count("Q", "bytes in a string", MAX_STRING_BYTES))
        elif kind == _ARRAY:
            inner = self.number("I")
            entries = self.count("Q", "entries in an array", MAX_ARRAY)
            if inner in _BYTES:
                self.skip(entries * _BYTES[inner])
            elif inner == _STRING:
                for _ in range(entries):
                    self.value(inner)
            else:
                raise ValueError(f"its header has an array of type {inner}")
        elif kind in _BYTES:
            self.skip(_BYTES[kind])
        else:
            raise ValueError(f"its header has a value of type {kind}")


def check(path: Path) -> None:
    """See that a file can be a GGUF file, as far as its header goes.

    Raises:
        CheckpointError: if it cannot.
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        walk = _Walk(file, path.stat().st_size)
        try:
            if file.read(4) != MAGIC:
                raise ValueError("it does not begin with GGUF")
            walk.left -= 4
            version = walk.number("I")
            if version not in VERSIONS:
                raise ValueError(f"version {version:#x}, where {' and '.join(map(str, VERSIONS))}, little endian, are read")
            tensors = walk.count("Q", "tensors", MAX_ENTRIES)
            for _ in range(walk.count("Q", "keys", MAX_ENTRIES)):
                walk.skip(walk.count("Q", "bytes in a name", MAX_NAME_BYTES))
                walk.value(walk.number("I"))
            for _ in range(tensors):
                walk.skip(walk.count("Q", "bytes in a name", MAX_NAME_BYTES))
                walk.skip(8 * walk.count("I", "dimensions", MAX_DIMENSIONS) + 12)
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}; legal: a complete .gguf file") from None
