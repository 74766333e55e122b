"""What takes long to make is kept by the content of what it is made of, and made once however many ask for it at once."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


def cache_folder() -> Path:
    """Where builds are kept: ``TRAJECTILE_BUILD``, or ``build/sim`` in the current folder."""
    return Path(os.environ.get("TRAJECTILE_BUILD", "build/sim")).resolve()


def kept(kind: str, parts: Sequence[str], make: Callable[[Path], None]) -> Path:
    """A folder that ``make(folder)`` has filled: found, or made now. Nobody writes into it afterwards.

    Each attempt has a folder of its own; a link by the name of the content leads to the one that is whole. So an attempt
    that was killed, and compilers that it left running, disturb nobody.

    Args:
        kind: first part of the folder's name.
        parts: all that the content of the folder depends on.
        make: fills the folder; when it raises, nothing is kept, and the next one to ask tries again.
    """
    link = cache_folder() / f"{kind}-{hashlib.sha256(chr(0).join([kind, *parts]).encode()).hexdigest()[:16]}"
    if (link / "done").is_file():
        return link.resolve()
    link.parent.mkdir(parents=True, exist_ok=True)
    with link.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (link / "done").is_file():
            for old in [link, *link.parent.glob(f"{link.name}.*")]:
                if old.is_dir() and not old.is_symlink():
                    shutil.rmtree(old, ignore_errors=True)
            folder = Path(tempfile.mkdtemp(prefix=f"{link.name}.", dir=link.parent))
            folder.chmod(0o755)
            make(folder)
            (folder / "done").touch()
            pointer = folder.with_name(f"{folder.name}.link")
            pointer.symlink_to(folder.name)
            pointer.replace(link)
    return link.resolve()
