"""A Liberty file of just what Yosys and ABC need: the cells that may be used, their areas, and delays on request."""

from collections.abc import Iterable, Mapping

from trajectile.scripts.area.cells import Cell
from trajectile.scripts.area.graph import LoadModel

#: where delays and slews are measured, in percent of the supply
THRESHOLDS = tuple(f"  {kind}_threshold_pct_{edge} : {percent};" for kind, percent in (
    ("input", 50), ("output", 50), ("slew_lower", 20), ("slew_upper", 80)) for edge in ("rise", "fall"))


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _timing(cell: Cell, pin: str) -> Iterable[str]:
    """Delay tables of an output."""
    for arc in cell.arcs:
        if arc.target == pin:
            kind = "rising_edge" if arc.clocked else "combinational"
            yield (f'      timing () {{ related_pin : "{arc.source}"; timing_sense : {arc.sense}; timing_type : {kind};')
            names = ("cell_rise", "cell_fall", "rise_transition", "fall_transition")
            for name, table in zip(names, (*arc.delay, *arc.slew), strict=True):
                rows = ", ".join(f'"{_numbers(row)}"' for row in table.values)
                yield (f'        {name} (tables) {{ index_1 ("{_numbers(table.slews)}"); '
                       f'index_2 ("{_numbers(table.loads)}"); values ({rows}); }}')
            yield "      }"


def _setup(cell: Cell) -> str:
    """What a data input of a flip-flop asks for."""
    edges = " ".join(f'{edge}_constraint (scalar) {{ values ("{cell.setup_ps:.6g}"); }}' for edge in ("rise", "fall"))
    return f' timing () {{ related_pin : "{cell.clock}"; timing_type : setup_rising; {edges} }}'


def _cell(cell: Cell, loads: LoadModel | None) -> Iterable[str]:
    yield f"  cell ({cell.name}) {{"
    yield f"    area : {cell.area_um2!r};"
    if cell.sequential:
        yield f"    {cell.state_kind} ({', '.join(cell.state_names)}) {{"
        yield from (f'      {name} : "{value}";' for name, value in cell.state.items())
        yield "    }"
    for pin, capacitance in cell.capacitance.items():
        clock = " clock : true;" if pin == cell.clock else ""
        load = f" capacitance : {capacitance + loads.wire_ff:.6g};" if loads else ""
        setup = _setup(cell) if loads and cell.clock and pin != cell.clock and cell.setup_ps else ""
        yield f"    pin ({pin}) {{ direction : input;{clock}{load}{setup} }}"
    for pin, function in cell.functions.items():
        if loads is None:
            yield f'    pin ({pin}) {{ direction : output; function : "{function}"; }}'
            continue
        most = max((arc.delay[0].loads[-1] for arc in cell.arcs if arc.target == pin), default=0.0)
        yield f'    pin ({pin}) {{ direction : output; function : "{function}"; max_capacitance : {most:.6g};'
        yield from _timing(cell, pin)
        yield "    }"
    yield "  }"


def library_text(cells: Mapping[str, Cell], loads: LoadModel | None = None) -> str:
    """A library of ``cells``; with ``loads`` also delays, and the wire to each input counted with its capacitance."""
    lines = ["library (trajectile) {", "  delay_model : table_lookup;", '  time_unit : "1ps";',
             "  capacitive_load_unit (1, ff);"]
    if loads:
        axes = "".join(f' index_{axis} ("{_numbers(range(7))}");' for axis in (1, 2))
        lines += ['  voltage_unit : "1V";', '  current_unit : "1uA";', '  leakage_power_unit : "1nW";',
                  '  pulling_resistance_unit : "1kohm";', *THRESHOLDS,
                  "  lu_table_template (tables) { variable_1 : input_net_transition; "
                  f"variable_2 : total_output_net_capacitance;{axes} }}"]
    for cell in cells.values():
        if loads is None or cell.arcs or not cell.capacitance:
            lines += _cell(cell, loads)
    return "\n".join([*lines, "}"]) + "\n"
