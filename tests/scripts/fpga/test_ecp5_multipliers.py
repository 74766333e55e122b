"""Which multipliers of an ECP5 get a register, and what becomes of the flip-flops that it was."""

import copy

import pytest

from trajectile.scripts.fpga.families.ecp5_multipliers import registered

FLIP_FLOP = {"CEMUX": "1 ", "CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET"}
#: nets: 1 clock, 11 and 12 two bits of a product, of which a third is read by nothing, 21 and 22 the same a cycle later
MODULE = {
    "ports": {"clk": {"bits": [1]}, "out": {"bits": [21, 22]}},
    "cells": {
        "product": {"type": "MULT18X18D", "parameters": {}, "port_directions": {"A0": "input", **{
            f"P{bit}": "output" for bit in range(3)}}, "connections": {"A0": [5], "P0": [11], "P1": [12], "P2": [13]}},
        **{f"kept_{bit}": {
            "type": "TRELLIS_FF", "parameters": FLIP_FLOP,
            "port_directions": {"CLK": "input", "DI": "input", "LSR": "input", "CE": "input", "Q": "output"},
            "connections": {"CLK": [1], "DI": [11 + bit], "LSR": ["0"], "CE": [], "Q": [21 + bit]}} for bit in range(2)}},
}


def test_register():
    """The product is what the flip-flops were; these are gone."""
    module = copy.deepcopy(MODULE)
    assert registered(module) == 1
    (cell,) = module["cells"].values()
    assert cell["parameters"]["REG_OUTPUT_CLK"] == "CLK0"
    assert cell["connections"] == {"A0": [5], "P0": [21], "P1": [22], "P2": [13], "CLK0": [1], "CE0": ["1"], "RST0": ["0"]}
    assert set(cell["port_directions"]) == set(cell["connections"])


def _two_readers(cells, ports):
    cells["other"] = {"type": "LUT4", "connections": {"A": [12]}, "port_directions": {"A": "input"}}


@pytest.mark.parametrize("change", [
    _two_readers,
    lambda cells, ports: ports.update(early={"bits": [11]}),
    lambda cells, ports: cells["kept_1"].update(parameters=FLIP_FLOP | {"CEMUX": "CE"}),
    lambda cells, ports: cells["kept_1"].update(parameters=FLIP_FLOP | {"REGSET": "SET"}),
    lambda cells, ports: cells["kept_1"].update(parameters=FLIP_FLOP | {"CLKMUX": "INV"}),
    lambda cells, ports: cells["kept_1"]["connections"].update(LSR=[7]),
    lambda cells, ports: cells["kept_1"]["connections"].update(CLK=[2]),
    lambda cells, ports: cells["kept_1"]["connections"].update(DI=[6], M=[12]) or cells["kept_1"]["port_directions"].update(
        M="input"),
    lambda cells, ports: cells["kept_1"].update(type="LUT4"),
    lambda cells, ports: [cells.pop(name) for name in ("kept_0", "kept_1")],
])
def test_no_register(change):
    """Where it would do something else: a second reader, a port, an enable, a reset, a set, another clock or edge."""
    module = copy.deepcopy(MODULE)
    change(module["cells"], module["ports"])
    before = copy.deepcopy(module)
    assert registered(module) == 0 and module == before
