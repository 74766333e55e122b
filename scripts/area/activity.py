"""How much the nets of a block move when it works: its gates in zero-delay simulation on random data.

Each input of a block and each flip-flop takes a random bit in every cycle. That is what weights and activations look like to
multipliers and to the SRAM; it is too much for controllers, which are small. Glitches are not
seen.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import CodeType

from trajectile.scripts.area.cell_models import verilog_of
from trajectile.scripts.area.cells import Cell, Cells
from trajectile.scripts.area.graph import LoadModel
from trajectile.scripts.area.netlist import Module

#: random cycles
CYCLES = 256


@dataclass(frozen=True)
class BlockEnergy:
    """One module without those in it."""

    #: its gates and the data inputs of its flip-flops, in a cycle in which it works
    logic_fj: float
    #: clock pins of its flip-flops, in every cycle
    clock_fj: float
    leakage_nw: float


def _function(cell: Cell) -> Callable[[Mapping[str, int]], int]:
    """The output of a cell on packed bits, one per cycle."""
    text = next(iter(cell.functions.values()))
    code: CodeType = compile(verilog_of(text, cell.name).replace("1'b0", "0").replace("1'b1", "-1"), cell.name, "eval")
    return lambda pins: eval(code, {"__builtins__": {}}, pins)  # made of pins and four operators


def _order(module: Module, cells: Cells) -> list[int]:
    """The gates of a module, each behind those that drive it; what hangs in a loop comes last."""
    drives: dict[int, int] = {}
    for index, (kind, pins) in enumerate(module.cells):
        cell = cells.get(kind)
        if cell is not None and not cell.sequential:
            drives.update({net: index for pin, net in pins if pin in cell.functions})
    order: list[int] = []
    state: dict[int, int] = {}
    for start in drives.values():
        stack = [start]
        while stack:
            index = stack[-1]
            if state.get(index) == 2:
                stack.pop()
                continue
            kind, pins = module.cells[index]
            before = [drives[net] for pin, net in pins if pin not in cells[kind].functions and net in drives]
            waiting = [other for other in before if other not in state]
            state[index] = 1
            if waiting:
                stack += waiting
            else:
                state[index] = 2
                order.append(index)
                stack.pop()
    return order


def energy_of(module: Module, cells: Cells, loads: LoadModel, *, seed: int = 1) -> BlockEnergy:
    """Energy of a module's cells.

    Args:
        module: its mapped netlist.
        cells: with energies and capacitances.
        loads: wire of a pin.
        seed: of the random bits.
    """
    rng = random.Random(seed)
    mask = (1 << CYCLES) - 1
    values = {0: 0, 1: mask, 2: 0}
    source = {driven: driver for driver, driven in module.aliases}
    load: dict[int, float] = {}
    for kind, pins in module.cells:
        if kind in cells:
            for pin, net in pins:
                if pin in cells[kind].capacitance and pin != cells[kind].clock:
                    load[net] = load.get(net, 0.0) + cells[kind].capacitance[pin] + loads.wire_ff
    square = cells.volts ** 2
    functions = {kind: _function(cells[kind]) for kind in {kind for kind, _ in module.cells}
                 if kind in cells and not cells[kind].sequential}

    def value_of(net: int) -> int:
        while net not in values and net in source:
            net = source[net]
        if net not in values:  # an input, a flip-flop, another block
            values[net] = rng.getrandbits(CYCLES)
        return values[net]

    logic = clock = leakage = 0.0
    for kind, pins in module.cells:
        if kind in cells:
            cell = cells[kind]
            leakage += cell.leakage_nw
            if cell.sequential:
                clock += cell.clock_fj + (cell.capacitance[cell.clock] + loads.wire_ff) * square
                out = next(net for pin, net in pins if pin in cell.functions)
                logic += 0.5 * (cell.toggle_fj - cell.clock_fj / 2 + load.get(out, 0.0) * square / 2)
    for index in _order(module, cells):
        kind, pins = module.cells[index]
        cell = cells[kind]
        out = next(net for pin, net in pins if pin in cell.functions)
        value = functions[kind]({pin: value_of(net) for pin, net in pins if pin not in cell.functions}) & mask
        values[out] = value
        toggles = ((value ^ (value >> 1)) & (mask >> 1)).bit_count() / (CYCLES - 1)
        logic += toggles * (cell.toggle_fj + load.get(out, 0.0) * square / 2)
    return BlockEnergy(logic, clock, leakage)
