"""Which kind of checkpoint a path is."""

from pathlib import Path

from trajectile.sw_model.checkpoints import gguf_header
from trajectile.sw_model.checkpoints.checkpoint import Checkpoint
from trajectile.sw_model.checkpoints.gguf_file import GgufFile


def opened(path: Path, accept: frozenset[str] = frozenset()) -> Checkpoint | GgufFile:
    """A checkpoint in ``safetensors`` or GGUF, told by its name or by how it begins.

    Args:
        path: a file, or a folder; one that has both kinds is one of ``safetensors``.
        accept: keys of its configuration, and tensors beside the experts, that the user says change nothing.

    Raises:
        CheckpointError: if there is none, or it is not what its name says.
        MissingLibraryError: if the library that reads it is not installed.
    """
    return GgufFile(path, accept) if _is_gguf(path) else Checkpoint(path, accept)


def _is_gguf(path: Path) -> bool:
    try:
        if path.is_dir():
            return any(path.glob("*.gguf")) and not any(path.glob("*.safetensors*"))
        if path.suffix == ".gguf":
            return True
        with path.open("rb") as file:
            return file.read(len(gguf_header.MAGIC)) == gguf_header.MAGIC
    except OSError:  # a name that the file system cannot have, or no file: the reader of safetensors says it
        return False
