"""Which cells of a library a tile may be mapped to, and why not the others; what a cell is, told by its function."""

import re
from collections.abc import Collection

from trajectile.scripts.area.cells import Cell
from trajectile.scripts.area.functions import parse, truth
from trajectile.scripts.errors import UserError

#: attributes of cells that a mapped design has no use for
_SPECIAL = ("clock_gating_integrated_cell", "switch_cell_type", "retention_cell", "antenna_cell_type")
_SPECIAL_IF_TRUE = ("dont_use", "is_level_shifter", "is_isolation_cell", "is_clock_isolation_cell", "is_macro_cell",
                    "pad_cell", "auxiliary_pad_cell", "always_on", "is_filler_cell", "is_decap_cell", "is_tap_cell",
                    "is_memory_cell")
#: functions of flip-flops and latches
_STATE = ("next_state", "clocked_on", "clocked_on_also", "clear", "preset", "enable", "data_in")
#: what Yosys, ABC and Verilog take for a name without quotes
_NAME = re.compile(r"[A-Za-z_]\w*")
#: inputs up to which a function is tried for all values
_TRIED_INPUTS = 8


def why_not(cell: Cell) -> str:
    """Why a cell is not used; empty for logic of one output and for flip-flops and latches."""
    group = cell.group
    if group is not None:
        special = [name for name in _SPECIAL_IF_TRUE if group.true(name)] + [name for name in _SPECIAL if group.value(name)]
        if special:
            return special[0]
        if any("three_state" in pin.values for pin in group.of("pin")):
            return "three_state"
        if any(pin.true("is_pad") for pin in group.of("pin")):
            return "is_pad"
    if cell.unread:
        return cell.unread[0]
    if len(cell.functions) != 1:
        return "several outputs" if cell.functions else "no output"
    function = next(iter(cell.functions.values()))
    if not function:
        return "no function"
    if not all(map(_NAME.fullmatch, (cell.name, *cell.capacitance, *cell.functions))):
        return "name"
    if cell.sequential and len(cell.state_names) != 2:
        return "states"
    known = {*cell.capacitance, *cell.state_names}
    try:
        wanted = set[str]().union(*(parse(text).variables() for text in (
            function, *(text for name, text in cell.state.items() if name in _STATE))))
    except UserError:
        return "a function that is not understood"
    if unknown := sorted(wanted - known):
        return f"{unknown[0]} is no pin"
    return "" if cell.area_um2 else "area 0"


def is_function(cell: Cell, inputs: int, meanings: Collection[tuple[bool, ...]]) -> bool:
    """Whether a cell is logic of so many inputs with one of the truth tables ``meanings``, in the order of its pins."""
    return (not cell.sequential and len(cell.functions) == 1 and len(cell.capacitance) == inputs <= _TRIED_INPUTS
            and truth(next(iter(cell.functions.values())), cell.capacitance) in meanings)
