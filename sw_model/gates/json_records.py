"""Objects of a JSON file of unknown origin: one per line, or a document over several lines (an array, objects in a row)."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from trajectile.sw_model.gates.workloads import TraceError

#: bytes of one JSON line
MAX_LINE = 1 << 26
#: bytes of a document that is not one object a line
MAX_DOCUMENT = 1 << 28
#: as a file may begin in another encoding than UTF-8, which PowerShell writes
OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no key stands twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in an object")
    return found


#: where the next value begins
_NEXT = re.compile(r"\S")
_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def _line(raw: bytes) -> Any:
    """The value of a line.

    Raises:
        ValueError: if it is none; the message says why.
    """
    try:
        return _DECODER.decode(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def begins_like_json(head: bytes) -> bool:
    """Whether a file's first bytes may be of JSON."""
    return head.startswith(OTHER_ENCODINGS) or head.removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"{", b"[")


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where it stands, as ``file:line`` or ``file: object N``, and each object of a file.

    Raises:
        TraceError: if something is not JSON, not an object, or too large.
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith(OTHER_ENCODINGS):
            raise TraceError(f"{path.name}: UTF-16; legal: UTF-8")
        file.seek(len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0)
        yield from _records(file, path)


def _records(file: IO[bytes], path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    start, first = file.tell(), True
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        place = f"{path.name}:{number}"
        if len(line) > MAX_LINE:
            raise TraceError(f"{place}: longer than {MAX_LINE} bytes; legal: a JSON object per line")
        if not line.strip():
            continue
        try:
            record = _line(line)
        except ValueError as error:
            if first and (found := _document(file, start, path)) is not None:
                yield from found
                return
            raise TraceError(f"{place}: not JSON ({error}); legal: a JSON object per line") from None
        if first and isinstance(record, list) and (found := _document(file, start, path)) is not None:
            yield from found
            return
        if not isinstance(record, dict):
            raise TraceError(f"{place}: not a JSON object; legal: a JSON object per line")
        first = False
        yield place, record


def _document(file: IO[bytes], start: int, path: Path) -> list[tuple[str, dict[str, Any]]] | None:
    """The objects of a file whose first line is not one: those of an array, or objects in a row. None if it has others."""
    file.seek(start)
    raw = file.read(MAX_DOCUMENT + 1)
    if len(raw) > MAX_DOCUMENT:
        raise TraceError(f"{path.name}: longer than {MAX_DOCUMENT} bytes; legal: a JSON object per line, which may be longer")
    values: list[Any] = []
    try:
        text = raw.decode("utf-8")
        place = 0
        while found := _NEXT.search(text, place):
            value, place = _DECODER.raw_decode(text, found.start())
            values += value if isinstance(value, list) else [value]
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(value, dict) for value in values):
        return None
    return [(f"{path.name}: object {number}", value) for number, value in enumerate(values, start=1)]
