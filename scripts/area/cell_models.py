"""Verilog models of a library's cells, made from the functions in its Liberty file: for the simulation of a netlist."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trajectile.scripts.area.liberty import Group
from trajectile.scripts.errors import UserError

#: by precedence, the loosest first: Liberty's operators and Verilog's
_BINARY = ({"+": "|", "|": "|"}, {"*": "&", "&": "&"}, {"^": "^"})
_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|[01()!'*&+|^])\s*")


@dataclass
class _Expression:
    """A Liberty function as Verilog. Two operands side by side are a product; ``'`` negates what stands before it."""

    cell: str
    text: str

    def __post_init__(self) -> None:
        self.tokens = _TOKEN.findall(self.text)
        if "".join(self.tokens) != re.sub(r"\s", "", self.text):
            raise self.error()

    def error(self) -> UserError:
        return UserError(f"function = {self.text!r} of cell {self.cell} is not legal; legal: pins, 0, 1, ! ' * & + | ^ and "
                         "parentheses")

    def verilog(self) -> str:
        found = self.binary(0)
        if self.tokens:
            raise self.error()
        return found

    def next_is(self, what: Iterable[str]) -> bool:
        return bool(self.tokens) and self.tokens[0] in what

    def binary(self, level: int) -> str:
        if level == len(_BINARY):
            return self.unary()
        parts = [self.binary(level + 1)]
        operator = ""
        while self.next_is(_BINARY[level]) or (level == 1 and self.tokens and self.tokens[0] not in (*")+|^*&'",)):
            operator = _BINARY[level][self.tokens.pop(0)] if self.next_is(_BINARY[level]) else "&"
            parts.append(self.binary(level + 1))
        return parts[0] if len(parts) == 1 else f"({f' {operator} '.join(parts)})"

    def unary(self) -> str:
        if not self.tokens:
            raise self.error()
        token = self.tokens.pop(0)
        if token == "!":
            return f"~{self.unary()}"
        if token == "(":
            value = self.binary(0)
            if not self.next_is(")"):
                raise self.error()
            self.tokens.pop(0)
        elif token in "01":
            value = f"1'b{token}"
        elif token[0].isalpha() or token[0] == "_":
            value = token
        else:
            raise self.error()
        while self.next_is("'"):
            self.tokens.pop(0)
            value = f"~{value}"
        return value


def verilog_of(function: str, cell: str = "?") -> str:
    """A Liberty function as a Verilog expression of single bits.

    Raises:
        UserError: for a function that is none.
    """
    return _Expression(cell, function).verilog()


def cell_model(cell: Group) -> str:
    """A cell as a Verilog module: its outputs' functions, and a flip-flop where it has one.

    Raises:
        UserError: if the cell is a latch, or an output has no function.
    """
    name = cell.name
    if unknown := [group.kind for group in cell.groups if group.kind in ("latch", "statetable", "ff_bank", "latch_bank")]:
        raise UserError(f"cell {name} has a {unknown[0]}, which is not legal in a simulated netlist; legal: functions and ff")
    ports, body = [], []
    for ff in cell.of("ff"):
        state, inverse = (part.strip() for part in ff.name.split(","))
        body += [f"  reg {state};", f"  wire {inverse} = ~{state};"]
        edges, branches = [f"posedge {_wire(body, 'clocked_on', ff, name)}"], ""
        for kind, value in (("clear", 0), ("preset", 1)):
            if ff.value(kind):
                wire = _wire(body, kind, ff, name)
                edges.append(f"posedge {wire}")
                branches += f"if ({wire}) {state} <= 1'b{value}; else "
        body += [f"  always @({' or '.join(edges)})",
                 f"    {branches}{state} <= {verilog_of(ff.value('next_state'), name)};"]
    for pin in cell.of("pin"):
        direction = pin.value("direction")
        ports.append(f"{'output' if direction == 'output' else 'input'} {pin.name}")
        if direction == "output":
            body.append(f"  assign {pin.name} = {verilog_of(pin.value('function'), name)};")
    return f"module {name}({', '.join(ports)});\n" + "\n".join(body) + "\nendmodule\n"


def _wire(body: list[str], kind: str, ff: Group, cell: str) -> str:
    """A name for an expression that stands in a sensitivity list."""
    value = verilog_of(ff.value(kind), cell)
    if not value.isidentifier():
        body.append(f"  wire is_{kind} = {value};")
        value = f"is_{kind}"
    return value


def cell_models(cells: Mapping[str, Group], used: Iterable[str]) -> str:
    """Models of the cells that a netlist uses.

    Raises:
        UserError: if a cell cannot be modelled.
    """
    return "\n".join(cell_model(cells[name]) for name in sorted(used))
