"""The text: the standard library's sources; how well counting predicts them."""

import hashlib
import sysconfig
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trajectile.sw_model.gates.toy_model import CONTEXT, Bytes

#: Folders and file names that are left out: tests, tables that are not program text, and files made at build time.
SKIPPED = {"test", "tests", "idle_test", "site-packages", "encodings", "pydoc_data"}
SKIPPED_PREFIXES = ("config-", "_sysconfigdata")


def corpus() -> tuple[bytes, dict[str, bytes]]:
    """Text to train on, and the held-out files by name; a file is held out by a hash of its name, one in sixteen."""
    root = Path(sysconfig.get_path("stdlib"))
    train, held_out = [], {}
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if SKIPPED & set(inside.parts) or any(part.startswith(SKIPPED_PREFIXES) for part in inside.parts):
            continue
        name, text = inside.as_posix(), path.read_bytes()
        if hashlib.sha256(name.encode()).digest()[0] % 16 == 0:
            held_out[name] = text
        else:
            train.append(text)
    return b"\0".join(train), held_out


def ngram_bits(train: bytes, held_out: bytes, order: int) -> float:
    """Held-out bits per byte of an n-gram model of bytes (order 1: unigram), counts smoothed towards lower orders."""
    def keys(text: bytes, n: int) -> npt.NDArray[np.int64]:
        data = np.frombuffer(text, np.uint8).astype(np.int64)
        total = np.zeros(len(data) - order + 1, np.int64)
        for back in range(n - 1, -1, -1):
            total = total * 256 + data[order - 1 - back:len(data) - back]
        return total

    probability = np.full(len(held_out) - order + 1, 1 / 256)
    for n in range(1, order + 1):
        grams = np.bincount(keys(train, n), minlength=256**n)
        contexts = grams.reshape(-1, 256).sum(axis=1)
        wanted = keys(held_out, n)
        probability = (grams[wanted] + probability) / (contexts[wanted // 256] + 1)
    return float(-np.log2(probability).mean())


def excerpt(held_out: dict[str, bytes], tokens: int) -> tuple[str, bytes]:
    """From the middle of the largest held-out file, starting with a line: name, and half a context plus ``tokens``."""
    name = max(held_out, key=lambda n: (len(held_out[n]), n))
    text = held_out[name]
    start = text.index(b"\n", len(text) // 2) + 1
    return name, text[start:start + CONTEXT // 2 + tokens]


def pieces(held_out: dict[str, bytes], count: int) -> Bytes:
    """Evenly spread over the files given, one behind the other: uint8 [count, CONTEXT + 1]."""
    data = np.frombuffer(b"\0".join(held_out.values()), np.uint8)
    return np.stack([data[start:start + CONTEXT + 1] for start in np.linspace(0, len(data) - CONTEXT - 1, count).astype(int)])
