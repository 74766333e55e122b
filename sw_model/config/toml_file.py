"""TOML files: their values, and the line on which each key stands."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A configuration has some forty lines; what is larger than this is another kind of file.
MAX_BYTES = 1 << 20

#: strings in their four kinds, comments, line ends, blanks, signs, bare words
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' r"'''.*?'{3,5}|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'|"
    r"#[^\n]*|\n|[^\S\n]+|[\[\]{},=.]|[^\s\[\]{},=.\"'#]+", re.S)


class TomlError(ValueError):
    """A file that is not TOML. ``line`` is where, None if it is nowhere in particular."""

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


@dataclass(frozen=True)
class TomlFile:
    """What a TOML file says, and where."""

    values: dict[str, Any]
    #: line, from 1, of each table and key by its path
    lines: dict[tuple[str, ...], int]

    def line_of(self, field: str) -> int | None:
        """Line of ``section.key``; of its section if the key is not there; None if neither is."""
        path = tuple(field.split("."))
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None)


def lines_of(text: str) -> dict[tuple[str, ...], int]:
    """Line of each table and key of a TOML text, by its path. Keys inside inline tables stand on their table's line."""
    lines: dict[tuple[str, ...], int] = {}
    table: list[str] = []
    path: list[str] = []
    state, depth, line = "key", 0, 1  # depth: open brackets of a value
    for token in _TOKEN.findall(text):
        if token == "\n":
            if depth == 0:
                state, path = "key", []
        elif token[0] == "#" or token.isspace():
            pass
        elif state == "value":
            depth = max(0, depth + (token in "[{") - (token in "]}"))
        elif token == "[":
            state = "table"
        elif token in "=]":  # the end of a key, or of a table's header
            if token == "]":
                table = path
            lines.setdefault(tuple(table if token == "]" else table + path), line)
            state = "value"
        elif token != ".":
            path.append(token.strip("\"'"))
        line += token.count("\n")
    return lines


def value_of(text: str) -> Any:
    """A single value; a bare word is a string.

    Raises:
        TomlError: if it is none, or more than one.
    """
    try:
        # on one line: a line end in the value would begin another key
        return tomllib.loads(f"value = {text.strip()}" if text.isprintable() else "")["value"]
    except (ValueError, KeyError, RecursionError):
        if text.strip().isidentifier():
            return text.strip()
        raise TomlError("not a value") from None


def place(path: Path, line: int | None) -> str:
    """``file:line`` for a message, relative where the file lies below the working folder."""
    name = os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
    return f"{name}:{line}" if line else name


def written(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """TOML of tables whose values are numbers, booleans, strings, and lists of them."""
    def value(item: Any) -> str:
        return f"[{', '.join(map(value, item))}]" if isinstance(item, list | tuple) else json.dumps(item)
    return "\n".join(f"[{name}]\n" + "".join(f"{key} = {value(item)}\n" for key, item in table.items())
                     for name, table in tables.items())


def read(path: Path) -> TomlFile:
    """Read a file.

    Raises:
        TomlError: if it cannot be read or is not TOML.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TomlError(str(error.strerror or error)) from None
    if len(raw) > MAX_BYTES:
        raise TomlError(f"longer than {MAX_BYTES} bytes")
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n")
        return TomlFile(tomllib.loads(text), lines_of(text))
    except UnicodeDecodeError as error:
        raise TomlError("not UTF-8", raw[:error.start].count(b"\n") + 1) from None
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        message = str(error)[:found.start()] + f" in column {found[2]}" if found else str(error)
        raise TomlError(message, int(found[1]) if found else raw.count(b"\n") + 1) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        raise TomlError("a number too long to read" if isinstance(error, ValueError) else "nested too deeply") from None
