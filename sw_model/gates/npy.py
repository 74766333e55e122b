"""Reading ``.npy`` and ``.npz`` files of unknown origin: nothing is unpickled or allocated that a file only claims."""

from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

#: Values of one array: 64 layers x 8 experts x 262,144 tokens.
MAX_VALUES = 1 << 27
#: Arrays in one ``.npz``.
MAX_ARRAYS = 1024


class NpyError(ValueError):
    """A file or array that cannot be read. The message says why, not which file."""


def _array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array of one ``.npy`` of ``size`` bytes."""
    version = np.lib.format.read_magic(stream)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if header is None:
        raise NpyError(f"version {version} of the format is not legal; legal: 1.0, 2.0")
    shape, fortran, dtype = header(stream)
    if dtype.kind not in "biuf":
        raise NpyError(f"type {dtype} is not legal; legal: integers and floating point (pickled objects are never loaded)")
    if not all(0 <= length <= MAX_VALUES for length in shape) or prod(shape) > MAX_VALUES:
        raise NpyError(f"shape {list(shape)} is not legal; legal: at most {MAX_VALUES} values")
    wanted = prod(shape) * dtype.itemsize
    if wanted > size - stream.tell():
        raise NpyError(f"shape {list(shape)} of {dtype} takes {wanted} bytes, there are {max(size - stream.tell(), 0)}")
    raw = stream.read(wanted)
    if len(raw) != wanted:
        raise NpyError("it ends too early")
    flat = np.frombuffer(raw, dtype=dtype) if raw else np.zeros(0, dtype=dtype)
    return flat.reshape(shape, order="F" if fortran else "C")


def _refused(error: Exception) -> NpyError:
    return error if isinstance(error, NpyError) else NpyError(f"{type(error).__name__}: {error}" if str(error) else
                                                              type(error).__name__)


def read_npy(path: Path) -> NDArray[Any]:
    """The array of a ``.npy`` file.

    Raises:
        NpyError: if it is no such file, or the array is not numeric, too large or incomplete.
    """
    try:
        with path.open("rb") as file:
            return _array(file, path.stat().st_size)
    except MemoryError:
        raise
    except Exception as error:  # whatever the readers stumble on means the same: not such a file
        raise _refused(error) from None


def read_npz(path: Path, wanted: Collection[str]) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Those of the wanted arrays that a ``.npz`` file has, and the names of all it has.

    Raises:
        NpyError: if it is no such file, or a wanted array is not numeric, too large or incomplete.
    """
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename.removesuffix(".npy") for member in members]
            if len(names) > MAX_ARRAYS or len(set(names)) != len(names):
                raise NpyError(f"it has {len(names)} arrays of {len(set(names))} names; legal: at most {MAX_ARRAYS}, "
                               "none twice")
            found = {}
            for name, member in zip(names, members, strict=True):
                if name in wanted:
                    try:
                        with archive.open(member) as stream:
                            found[name] = _array(stream, member.file_size)
                    except MemoryError:
                        raise
                    except Exception as error:
                        raise NpyError(f"{name}: {_refused(error)}") from None
            return found, names
    except MemoryError:
        raise
    except Exception as error:  # as above
        raise _refused(error) from None
