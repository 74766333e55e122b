"""Functions of Liberty files: read once, then shown as Verilog, or tried for all inputs."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Protocol

from trajectile.scripts.errors import UserError

#: by precedence, the loosest first: Liberty's operators and Verilog's
_BINARY = ({"+": "|", "|": "|"}, {"*": "&", "&": "&"}, {"^": "^"})
_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|[01()!'*&+|^])\s*")


class Node(Protocol):
    """A part of a function."""

    def verilog(self) -> str:
        """As a Verilog expression of single bits."""

    def variables(self) -> set[str]:
        """The names in it."""

    def value(self, of: Mapping[str, bool]) -> bool:
        """Its value for those of its names."""


@dataclass(frozen=True)
class _Name:
    name: str

    def verilog(self) -> str:
        return self.name

    def variables(self) -> set[str]:
        return {self.name}

    def value(self, of: Mapping[str, bool]) -> bool:
        return of[self.name]


@dataclass(frozen=True)
class _Constant:
    bit: bool

    def verilog(self) -> str:
        return f"1'b{self.bit:d}"

    def variables(self) -> set[str]:
        return set()

    def value(self, of: Mapping[str, bool]) -> bool:
        return self.bit


@dataclass(frozen=True)
class _Not:
    inside: Node

    def verilog(self) -> str:
        return f"~{self.inside.verilog()}"

    def variables(self) -> set[str]:
        return self.inside.variables()

    def value(self, of: Mapping[str, bool]) -> bool:
        return not self.inside.value(of)


@dataclass(frozen=True)
class _Binary:
    #: ``|``, ``&`` or ``^``
    operator: str
    parts: tuple[Node, ...]

    def verilog(self) -> str:
        return f"({f' {self.operator} '.join(part.verilog() for part in self.parts)})"

    def variables(self) -> set[str]:
        return set().union(*(part.variables() for part in self.parts))

    def value(self, of: Mapping[str, bool]) -> bool:
        bits = [part.value(of) for part in self.parts]
        return any(bits) if self.operator == "|" else all(bits) if self.operator == "&" else sum(bits) % 2 == 1


class _Parser:
    """Two operands side by side are a product; ``'`` negates what stands before it."""

    def __init__(self, text: str, cell: str):
        self.text, self.cell = text, cell
        self.tokens = _TOKEN.findall(text)
        if "".join(self.tokens) != re.sub(r"\s", "", text):
            raise self.error()

    def error(self) -> UserError:
        return UserError(f"function = {self.text!r} of cell {self.cell} is not legal; legal: pins, 0, 1, ! ' * & + | ^ and "
                         "parentheses")

    def whole(self) -> Node:
        try:
            found = self.binary(0)
        except RecursionError:
            raise self.error() from None
        if self.tokens:
            raise self.error()
        return found

    def next_is(self, what: Iterable[str]) -> bool:
        return bool(self.tokens) and self.tokens[0] in what

    def binary(self, level: int) -> Node:
        if level == len(_BINARY):
            return self.unary()
        parts = [self.binary(level + 1)]
        operator = ""
        while self.next_is(_BINARY[level]) or (level == 1 and self.tokens and self.tokens[0] not in (*")+|^*&'",)):
            operator = _BINARY[level][self.tokens.pop(0)] if self.next_is(_BINARY[level]) else "&"
            parts.append(self.binary(level + 1))
        return parts[0] if len(parts) == 1 else _Binary(operator, tuple(parts))

    def unary(self) -> Node:
        if not self.tokens:
            raise self.error()
        token = self.tokens.pop(0)
        if token == "!":
            return _Not(self.unary())
        if token == "(":
            value = self.binary(0)
            if not self.next_is(")"):
                raise self.error()
            self.tokens.pop(0)
        elif token in "01":
            value = _Constant(token == "1")
        elif token[0].isalpha() or token[0] == "_":
            value = _Name(token)
        else:
            raise self.error()
        while self.next_is("'"):
            self.tokens.pop(0)
            value = _Not(value)
        return value


def parse(function: str, cell: str = "?") -> Node:
    """A Liberty function.

    Raises:
        UserError: for a function that is none.
    """
    return _Parser(function, cell).whole()


def truth(function: str, names: Iterable[str]) -> tuple[bool, ...]:
    """Its value for all values of ``names``, which are all its inputs; the last name changes fastest.

    Raises:
        UserError: for a function that is none.
        KeyError: if it has other inputs.
    """
    node, names = parse(function), list(names)
    return tuple(node.value(dict(zip(names, bits, strict=True))) for bits in product((False, True), repeat=len(names)))
