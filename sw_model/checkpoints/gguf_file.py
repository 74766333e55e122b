"""The tensors of a GGUF checkpoint, in one file or in several that llama.cpp has split, and what its metadata says.

The library ``gguf`` reads and decodes; it is an extra. Files are mapped into memory, so only what is decoded is read.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.checkpoints import gguf_config, gguf_experts, gguf_header, gguf_names
from trajectile.sw_model.checkpoints.config_keys import ModelConfigError
from trajectile.sw_model.checkpoints.experts import Experts, Separate
from trajectile.sw_model.checkpoints.model_config import ModelConfig
from trajectile.sw_model.checkpoints.naming import Block
from trajectile.sw_model.checkpoints.tensors import CheckpointError, MissingLibraryError
from trajectile.sw_model.numerics.layers import Float32

#: name of a file that is part of a model
PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf")
MAX_PARTS = 1000


def library() -> Any:
    """The library ``gguf``.

    Raises:
        MissingLibraryError: if it is not installed.
    """
    try:
        return import_module("gguf")
    except ImportError:
        raise MissingLibraryError("GGUF files need the library gguf, which is not installed (pip install "
                                  "'trajectile[gguf]')") from None


def parts(path: Path) -> list[Path]:
    """All files of the model that a file is part of, the first first.

    Raises:
        CheckpointError: if the name is that of a part that there cannot be.
    """
    match = PART.fullmatch(path.name)
    if match is None:
        return [path]
    count = int(match["parts"])
    if not 1 <= int(match["part"]) <= count <= MAX_PARTS:
        raise CheckpointError(f"{path}: part {int(match['part'])} of {count} is not legal; legal: 1 of 1 to {MAX_PARTS}")
    return [path.with_name(f"{match['stem']}-{part:05}-of-{count:05}.gguf") for part in range(1, count + 1)]


def _reader(path: Path) -> Any:
    """The library's reader of a file whose header has been walked."""
    gguf = library()
    try:
        if not path.is_file():
            raise CheckpointError(f"{path}: no such file; legal: a .gguf file, all its parts, or a folder with them")
        gguf_header.check(path)
        with np.errstate(over="raise"):  # offsets and shapes of 64 bits
            return gguf.GGUFReader(path)
    except CheckpointError:
        raise
    except Exception as error:  # the library raises whatever its arrays do
        raise CheckpointError(f"{path}: {error}; legal: a complete .gguf file") from None


def _value(field: Any) -> Any:
    """A value of the metadata; of an array only that it is one, and how long, as no key that is understood has one."""
    kind = field.types[0].name
    if kind == "ARRAY":
        return f"array of {len(field.data)}"
    if kind == "STRING":
        return bytes(field.parts[-1]).decode("utf-8", "replace")
    return field.parts[-1][0].item()


class GgufFile:
    """The tensors of a ``.gguf`` file and of all parts of the same model, or of a folder with them.

    Raises:
        CheckpointError: if there is no such file, or it is not what its name says.
        MissingLibraryError: if the library is not installed.
    """

    #: names of experts that are understood
    legal = gguf_names.LEGAL

    def __init__(self, path: Path, accept: frozenset[str] = frozenset()) -> None:
        self.path, self.accept = path, accept
        if path.is_dir():
            files = sorted(path.glob("*.gguf"))
            if not files or parts(files[0]) != files:
                raise CheckpointError(f"{path}: {len(files)} files *.gguf; legal: one, or all parts of one")
            path = files[0]
        #: file and tensor of the library by name
        self._tensors: dict[str, tuple[Path, Any]] = {}
        self._fields: dict[str, Any] = {}
        for file in parts(path):
            reader = _reader(file)
            self._fields = self._fields or {key: _value(field) for key, field in reader.fields.items()}
            for tensor in reader.tensors:
                if tensor.name in self._tensors:
                    other = self._tensors[tensor.name][0].name
                    raise CheckpointError(f"{file}: {tensor.name} is in {other} too; legal: once")
                self._tensors[tensor.name] = file, tensor
        count = self._fields.get("split.count", 0)
        if count != len(parts(path)) and (count or len(parts(path)) > 1):
            raise CheckpointError(f"{path}: split.count = {count} is not legal; legal: {len(parts(path))}, as its name says")

    def __enter__(self) -> "GgufFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._tensors.clear()

    def dtype(self, name: str) -> str:
        """Type of a tensor, as GGUF names it."""
        return str(self._tensors[name][1].tensor_type.name)

    def shape(self, name: str) -> list[int]:
        """Shape of a tensor, the outermost dimension first; the file has it the other way around."""
        return [int(size) for size in reversed(self._tensors[name][1].shape)]

    def raw(self, name: str, row: int | None = None) -> NDArray[Any]:
        """A tensor, or one entry of its first dimension, as it is stored; the last dimension of quantised ones is bytes."""
        stored = np.asarray(self._tensors[name][1].data)
        return stored if row is None else stored[row]

    def decode(self, name: str, stored: NDArray[Any]) -> Float32:
        """What a part of a tensor stands for.

        Raises:
            CheckpointError: if its type is unknown, or a value is not finite.
        """
        path, tensor = self._tensors[name]
        try:
            with np.errstate(all="ignore"):  # what is not finite is refused below
                values = np.asarray(library().dequantize(stored, tensor.tensor_type), dtype=np.float32)
        except Exception as error:  # NotImplementedError, or whatever its arrays raise
            raise CheckpointError(f"{path}: {name} of type {self.dtype(name)}: {error}; legal: a type that the library gguf "
                                  "decodes") from None
        if not np.isfinite(values).all():
            raise CheckpointError(f"{name} holds a value that is not finite; legal: finite values")
        return values

    def read(self, name: str, row: int | slice | None = None) -> Float32:
        """A tensor, or an entry or some of its first dimension, in float32; errors of :meth:`decode`."""
        return self.decode(name, self.raw(name) if row is None else self.raw(name)[row])

    @cached_property
    def model(self) -> ModelConfig:
        """What the metadata says.

        Raises:
            CheckpointError: if it is wrong, or says something that is not understood.
        """
        try:
            return gguf_config.model_config(self._fields, self.accept, corrected=any(
                "correction" in block.router for layer in self.layers().values() for block in layer.values()))
        except ModelConfigError as error:
            raise CheckpointError(f"{self.path}: {error}") from None

    def layers(self) -> Mapping[int, Mapping[str, Block]]:
        """Blocks with routed experts, by layer and by what they are called."""
        return gguf_names.blocks(self._tensors)

    def experts(self, block: Block) -> Experts:
        """The routed experts of a block; errors of :func:`gguf_experts.experts`."""
        return gguf_experts.experts(self, block)

    def shared(self, block: Block) -> Separate:
        """The expert of a block that every token meets, of which all three matrices are there; errors of :meth:`experts`."""
        return gguf_experts.shared(self, block)
