"""Liberty files: the groups of a library, and the areas of its cells.

A reader of the format's grammar (groups, attributes, strings, comments), not of its meaning: everything but ``area`` of the
cells is kept as text, but has to be well formed. What could change the answer and cannot be read is refused.
"""

import gzip
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import inf
from pathlib import Path

from trajectile.scripts.errors import UserError
from trajectile.sw_model.config.checks import shown

#: Characters of a library. The largest of those tried has 22 million.
MAX_CHARACTERS = 1 << 28

#: what lies before a token (blanks, comments), and the token: a sign, string or word; or a character that is none.
#: Our own reader, since the packages on PyPI (liberty-parser 0.0.29 was tried) read what tools write but not what people do:
#: no expression with blanks outside quotes, no file without a library; they name no line, and take seven times as long.
_TOKEN = re.compile(
    r"((?:\s+|\\[ \t]*\r?\n|/\*.*?\*/|//[^\n]*)*)([{}():;,]|\"[^\"\\]*(?:\\.[^\"\\]*)*\"|[^\s{}():;,\"\\]+|.|\Z)",
    re.S)
#: in what lies before a token: a line that goes on in the next, and comments
_NO_LINE_END = re.compile(r"\\[ \t]*\r?\n|/\*.*?\*/", re.S)
#: a string goes on in the next line
_IN_STRING = re.compile(r"\\[ \t]*\r?\n")
#: what an expression cannot end with, or begin with
_OPERATORS = "!&*+^|"


class LibertyError(ValueError):
    """A text that is not Liberty. The message says where and why."""


def text_of(path: Path) -> str:
    """The text of a file, plain or gzip (told by content).

    Raises:
        UserError: if it cannot be read.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        if not path.is_file():
            raise OSError("it is no file")
        with gzip.open(path) if packed else path.open("rb") as source:
            raw = source.read(MAX_CHARACTERS + 1)
        if len(raw) > MAX_CHARACTERS:
            raise OSError(f"longer than {MAX_CHARACTERS} characters")
    except (OSError, EOFError, zlib.error, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UserError(f"--liberty = {path} is not legal; legal values: a Liberty file with cells, plain or gzip ({why})"
                        ) from None
    return raw.decode("utf-8-sig", errors="replace")


@dataclass(frozen=True)
class Group:
    """``kind (name) { ... }``."""

    kind: str
    #: of several names, such as those of a flip-flop's states, commas between
    name: str
    #: words of each attribute without quotes; an expression is one word; of an attribute given more than once, the last
    values: dict[str, list[str]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)
    #: of attributes given more than once, what was given before the last
    before: dict[str, list[list[str]]] = field(default_factory=dict)

    def of(self, kind: str) -> Iterator["Group"]:
        """The groups of a kind in this one."""
        return (group for group in self.groups if group.kind == kind)

    def value(self, name: str, default: str = "") -> str:
        """An attribute's first word."""
        return (self.values.get(name) or [default])[0]

    def true(self, name: str) -> bool:
        """Whether an attribute is given as true."""
        return self.value(name).strip().lower() in ("true", "1")

    def every(self, name: str) -> list[list[str]]:
        """The words of an attribute each time that it is given."""
        return [*self.before.get(name, []), *([self.values[name]] if name in self.values else [])]

    @property
    def names(self) -> list[str]:
        """Its names: ``pin (A, B)`` says the same of two pins."""
        return [name for name in re.split(r"[,\s]+", self.name) if name]


def _plain(word: str) -> str:
    """A word without its quotes."""
    return _IN_STRING.sub(" ", word[1:-1]).strip() if word[0] == '"' else word


def _name(words: list[str]) -> str:
    """What stands between the parentheses of a group: names side by side are as good as with a comma."""
    name = ""
    for word in map(_plain, words):
        name += ("," if name and word not in ",:" and name[-1] not in ",:" else "") + word
    return name


class _Reader:
    """Follows the statements of a library through its groups and keeps the areas of the cells."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.libraries: list[Group] = []
        self.tree: list[Group] = []
        self.areas: dict[str, float] = {}
        self.names: set[str] = set()
        #: kind, name and position of the open groups
        self.groups: list[tuple[str, str, int]] = []
        self.statement: list[str] = []

    def error(self, position: int, why: str) -> LibertyError:
        return LibertyError(f"line {self.text.count(chr(10), 0, position) + 1}: {why}")

    def end(self, position: int) -> None:
        """A statement ends. In a cell it may be ``area : value``."""
        words = self.statement
        if words[:2] == ["area", ":"] and len(self.groups) == 2 and self.groups[1][0] == "cell":
            name = self.groups[1][1]
            try:
                area = float(words[2].strip('"')) if len(words) == 3 else -1.0
            except ValueError:
                area = -1.0
            if not 0 <= area < inf:
                raise self.error(position, f"area = {shown(' '.join(words[2:]))} of cell {name} is not legal; legal values: "
                                 "a number from 0")
            if name in self.areas:
                raise self.error(position, f"area of cell {name} is given twice; legal: once")
            self.areas[name] = area
        if words:
            self.attribute(position)
        words.clear()

    def attribute(self, position: int) -> None:
        """A statement that is not a group."""
        words = self.statement
        name, sign = words[0], words[1] if len(words) > 1 else ""
        if name == "include_file":
            raise self.error(position, f"include_file {shown(_name(words[2:-1]))} is not read; legal: a file that holds all "
                             "of it")
        # A second colon means that a semicolon is missing, unless it is that of a range.
        if sign == ":" and not any(word == ":" and "[" not in before for before, word in pairwise(words[2:])):
            value = [" ".join(map(_plain, words[2:]))]
        elif sign == "(" and words[-1] == ")":
            value = [_plain(word) for word in words[2:] if word not in "(,)"]
        elif any("=" in word for word in words[:2]):  # a variable of the library's own
            return
        else:
            raise self.error(position, f"{shown(' '.join(words))} is not legal; legal: name : value; or name (values);")
        if self.tree:
            group = self.tree[-1]
            if name in group.values:
                group.before.setdefault(name, []).append(group.values[name])
            group.values[name] = value

    def open(self, position: int) -> None:
        """A group begins: its head is ``kind (name)``."""
        words = self.statement
        if words[1:2] != ["("] or words[-1] != ")" or "(" in words[2:]:
            raise self.error(position, f"{shown(' '.join(words))} before a brace is not legal; legal: group (name)")
        kind, name = words[0], _name(words[2:-1])
        if not self.groups and kind != "library":
            raise self.error(position, f"{shown(kind)} outside all groups is not legal; legal: library (name)")
        if len(self.groups) == 1 and kind == "cell":
            if not name or name in self.names or len(re.split(r"[,\s]+", name)) > 1:
                raise self.error(position, f"cell ({shown(name)}) is not legal; legal: a name, none twice")
            self.names.add(name)
        self.groups.append((kind, name, position))
        group = Group(kind, name)
        (self.tree[-1].groups if self.tree else self.libraries).append(group)
        self.tree.append(group)
        words.clear()

    def close(self, position: int) -> None:
        """A group ends."""
        self.end(position)
        if not self.groups:
            raise self.error(position, "a brace that closes nothing is not legal")
        self.groups.pop()
        self.tree.pop()

    def ends_before(self, token: str) -> bool:
        """Whether a statement without a semicolon has ended with its line."""
        words = self.statement
        if len(words) < 3 or token == "{" or token[:1] in _OPERATORS or words[-1][-1] in _OPERATORS:
            return False
        return words[-1] == ")" if words[1] == "(" else words[1] == ":" and words.count("(") == words.count(")")

    def read(self) -> "_Reader":
        """Work off the text."""
        for found in _TOKEN.finditer(self.text):
            gap, token = found.groups()
            position = found.start(2)
            # Some tools leave out semicolons: then attributes end with their line, if no brace follows.
            if "\n" in gap and "\n" in _NO_LINE_END.sub(" ", gap) and self.ends_before(token):
                self.end(position)
            if token in ("", '"', "\\") or token.startswith("/*"):
                if not token:
                    break
                raise self.error(position, f"{shown(token[:2])} is not legal here, or not closed")
            if token == ";":
                self.end(position)
            elif token == "{":
                self.open(position)
            elif token == "}":
                self.close(position)
            else:
                self.statement.append(token)
        if self.groups:
            kind, name, position = self.groups[-1]
            raise self.error(position, f"{kind} ({shown(name)}) is not closed")
        if self.statement:
            rest = shown(" ".join(self.statement))
            raise self.error(len(self.text), f"{rest} at the end is not legal; legal: library (name) {{ ... }}")
        return self


def cells(text: str) -> dict[str, float]:
    """Area of each cell of a library, in the unit that it uses. Cells without an area are left out.

    Raises:
        LibertyError: if the text is not Liberty, or an area is no number.
    """
    return _Reader(text).read().areas


def read(path: Path, text: str) -> tuple[dict[str, float], list[Group]]:
    """:func:`cells` of a file's text, and the libraries in it.

    Raises:
        UserError: as :func:`cells`, and if there is no cell with an area.
    """
    try:
        reader = _Reader(text).read()
    except LibertyError as error:
        raise UserError(f"--liberty = {path} is not legal; legal values: a Liberty file with cells ({error})") from None
    if not reader.areas:
        raise UserError(f"--liberty = {path} is not legal; legal values: a Liberty file with cells that have an area")
    return reader.areas, reader.libraries
