"""Verilog models of a library's cells, made from the functions in its Liberty file: for the simulation of a netlist."""

from collections.abc import Iterable, Mapping

from trajectile.scripts.area.functions import parse
from trajectile.scripts.area.liberty import Group
from trajectile.scripts.errors import UserError


def verilog_of(function: str, cell: str = "?") -> str:
    """A Liberty function as a Verilog expression of single bits.

    Raises:
        UserError: for a function that is none.
    """
    return parse(function, cell).verilog()


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
