"""The tensors of a ``safetensors`` checkpoint: one file, or several with an index; and what its ``config.json`` says."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import ml_dtypes  # NumPy learns bfloat16 from it
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open

from trajectile.sw_model.checkpoints import naming, stacked
from trajectile.sw_model.checkpoints.config_keys import ModelConfigError
from trajectile.sw_model.checkpoints.experts import Experts, Separate, biases, matrices, separate
from trajectile.sw_model.checkpoints.model_config import ModelConfig, model_config
from trajectile.sw_model.checkpoints.naming import Block
from trajectile.sw_model.checkpoints.tensors import FLOATS, CheckpointError
from trajectile.sw_model.config.checks import shown
from trajectile.sw_model.numerics.layers import Float32

#: types that the library does not give NumPy, though NumPy can have them
_EIGHT = {"F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E8M0": ml_dtypes.float8_e8m0fnu}
#: bytes of the JSON files beside the weights
MAX_JSON = 1 << 26


def _json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_JSON + 1)
        values = json.loads(raw) if len(raw) <= MAX_JSON else None
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}; legal: a JSON file") from None
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise CheckpointError(f"{path}: not JSON ({why}); legal: a JSON object") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: not a JSON object of at most {MAX_JSON} bytes; legal: a JSON object")
    return values


class Checkpoint:
    """The tensors of a ``.safetensors`` file, of the files that an index lists, or of a folder with either.

    Raises:
        CheckpointError: if there is no such file, or it is not what its name says.
    """

    #: names of experts that are understood
    legal = naming.LEGAL

    def __init__(self, path: Path, accept: frozenset[str] = frozenset()) -> None:
        self.path = path
        #: keys of ``config.json``, and tensors beside the experts, that the user says change nothing
        self.accept = accept
        self._open = ExitStack()
        self._handles: dict[Path, Any] = {}
        try:
            folder = path.is_dir()
        except OSError as error:  # a name that the file system cannot have
            raise CheckpointError(f"{path}: {error.strerror}; legal: a .safetensors file, an index, or a folder") from None
        index = path / "model.safetensors.index.json" if folder else path
        if folder and not index.is_file():
            files = sorted(path.glob("*.safetensors"))
            if len(files) != 1:
                raise CheckpointError(f"{path}: {len(files)} files *.safetensors and no {index.name}; legal: one file, or an "
                                      "index")
            index = files[0]
        if index.suffix == ".json":
            #: file of each tensor
            self.files = self._shards(index)
        else:
            self.files = dict.fromkeys(self._handle(index).keys(), index)
        self.folder = index.parent

    def __enter__(self) -> "Checkpoint":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _shards(self, index: Path) -> dict[str, Path]:
        names = _json(index).get("weight_map")
        if not isinstance(names, dict):
            raise CheckpointError(f"{index}: weight_map is missing; legal: an object of tensor: file")
        for tensor, name in names.items():
            if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
                raise CheckpointError(f"{index}: weight_map[{shown(tensor)}] = {shown(name)} is not legal; legal: the name "
                                      "of a .safetensors file in the same folder")
        return {tensor: index.parent / name for tensor, name in names.items()}

    def _handle(self, path: Path) -> Any:
        if path not in self._handles:
            try:
                if not path.is_file():
                    raise CheckpointError(f"{path}: no such file; legal: a .safetensors file, an index, or a folder with "
                                          "either")
                self._handles[path] = self._open.enter_context(safe_open(path, framework="np"))
            except CheckpointError:
                raise
            except Exception as error:  # the library's own errors have no common class but this
                raise CheckpointError(f"{path}: {error}; legal: a complete .safetensors file") from None
        return self._handles[path]

    def _slice(self, name: str) -> Any:
        path = self.files[name]
        try:
            return self._handle(path).get_slice(name)
        except CheckpointError:
            raise
        except Exception as error:
            raise CheckpointError(f"{path}: {name}: {error}; legal: a file with this tensor") from None

    def dtype(self, name: str) -> str:
        """Type of a tensor, as safetensors names it."""
        return str(self._slice(name).get_dtype())

    def shape(self, name: str) -> list[int]:
        """Shape of a tensor."""
        return list(self._slice(name).get_shape())

    def raw(self, name: str, row: int | None = None) -> NDArray[Any]:
        """A tensor, or one entry of its first dimension, as it is stored."""
        dtype = self.dtype(name)
        if dtype in _EIGHT:
            return self._eight(name, dtype) if row is None else self._eight(name, dtype)[row]
        return np.asarray(self._slice(name)[:] if row is None else self._slice(name)[row:row + 1][0])

    def _eight(self, name: str, dtype: str) -> NDArray[Any]:
        """A tensor of a type of 8 bits, by its place in the file. The library has checked the header when it opened it."""
        path = self.files[name]
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            begin, end = json.loads(file.read(size))[name]["data_offsets"]
            file.seek(8 + size + begin)
            data = file.read(end - begin)
        return np.frombuffer(data, dtype=_EIGHT[dtype]).reshape(self.shape(name))

    def read(self, name: str, row: int | slice | None = None) -> Float32:
        """A tensor of floating point, or an entry or some of its first dimension, in float32.

        Raises:
            CheckpointError: if it has another type, or a value is not finite.
        """
        if self.dtype(name) not in FLOATS:
            raise CheckpointError(f"{name} has type {self.dtype(name)}; legal: {', '.join(FLOATS)}")
        tensor = self._slice(name)
        found = tensor[:] if row is None else tensor[row] if isinstance(row, slice) else tensor[row:row + 1][0]
        values = np.asarray(found).astype(np.float32)
        if not np.isfinite(values).all():
            raise CheckpointError(f"{name} holds a value that is not finite; legal: finite values")
        return values

    @cached_property
    def model(self) -> ModelConfig:
        """What ``config.json`` says of the layer; nothing if there is none.

        Raises:
            CheckpointError: if it is wrong, or says something that is not understood.
        """
        path = self.folder / "config.json"
        if not path.is_file():
            return ModelConfig()
        try:
            return model_config(_json(path), self.accept)
        except ModelConfigError as error:
            raise CheckpointError(f"{path}: {error}") from None

    def layers(self) -> Mapping[int, Mapping[str, Block]]:
        """Blocks with routed experts, by layer and by what the experts are called."""
        return naming.blocks(self.files)

    def experts(self, block: Block) -> Experts:
        """The routed experts of a block.

        Raises:
            CheckpointError: if a tensor is missing, unknown, or of a shape that does not fit.
        """
        stem = block.prefix + "experts"
        if any(naming.FUSED.fullmatch(name) for name in block.experts):
            weights = stacked.fused(self, stem, block.experts)
            whose = f"{block.naming}{', transposed' * weights.transposed}"
            return Experts(weights, whose, weights.dtype, weights.transposed)
        if any(naming.ROWS.fullmatch(name) for name in block.experts):
            weights = stacked.rows(self, stem, block.experts)
            return Experts(weights, block.naming, weights.dtype)
        found = separate(self, stem, block.experts)
        return Experts(found, block.naming, found.matrices[0][2].dtype)

    def shared(self, block: Block) -> Separate:
        """The expert of a block that every token meets, of which all matrices are there; errors of :meth:`experts`."""
        return Separate((matrices(self, block.shared),), (biases(self, block.shared),))
