"""A launcher of the C++ compiler for Verilator's make rules (their ``OBJCACHE``), which compiles its runtime library once.

Every model links the same few objects of the library, and they take longer to compile than a small model. What else is
compiled goes to the compiler as it is. It is a program of its own: ``compile_once.py CACHE LIBRARY COMPILER ARGUMENT...``
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path


def _identity(path: Path) -> list[str]:
    """What changes when a file does."""
    status = path.stat()
    return [str(path.resolve()), str(status.st_size), str(status.st_mtime_ns)]


def run(cache: Path, library: Path, command: Sequence[str]) -> int:
    """Compile, or copy the object that the same command has made before.

    Args:
        cache: folder of the objects.
        library: folder of Verilator's runtime library.
        command: compiler and its arguments.

    Returns:
        exit code of the compiler.
    """
    compiler, source = shutil.which(command[0]), Path(command[-1])
    if compiler is None or "-c" not in command or "-o" not in command[:-1] or source.parent.resolve() != library.resolve():
        return subprocess.run(command, check=False).returncode
    place = command.index("-o")
    # without -MMD: what the object depends on is not written again where it is copied
    target, rest = Path(command[place + 1]), [part for part in [*command[:place], *command[place + 2:]] if part != "-MMD"]
    parts = [*rest, *_identity(Path(compiler)), *_identity(source)]
    kept = cache / f"{source.stem}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}.o"
    if not kept.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=cache, suffix=".o")
        os.close(handle)
        made = subprocess.run([*rest, "-o", name], check=False)
        if made.returncode:
            os.unlink(name)
            return made.returncode
        os.replace(name, kept)
    shutil.copyfile(kept, target)
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
