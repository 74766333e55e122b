"""Which multipliers of an ECP5 get registers, and what becomes of the flip-flops that these were."""

import copy
import json

import pytest

from trajectile.hw.lib import yosys
from trajectile.scripts.fpga import flow
from trajectile.scripts.fpga.devices import ECP5, NEXUS
from trajectile.scripts.fpga.multipliers import registered

CLOCK = 1
#: nets: bit 0 and 1 of the operands before their registers and behind them, of the product, and of that a cycle later
BEFORE = {"A": (2, 3), "B": (4, 5)}
BEHIND = {"A": (12, 13), "B": (14, 15)}
PRODUCT, LATER = (22, 23), (32, 33)
#: pins that registers listen to
CONTROL = {"CLK0": [CLOCK], "CE0": ["1"], "RST0": ["0"]}


def cell(kind, inputs, outputs, **parameters):
    """A cell of Yosys' JSON."""
    return {"type": kind, "parameters": parameters, "connections": {pin: [net] for pin, net in (inputs | outputs).items()},
            "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output")}


def flip_flop(d, q):
    """A flip-flop as Yosys writes it that takes its input in every cycle."""
    return cell("TRELLIS_FF", {"CLK": CLOCK, "DI": d, "LSR": "0"}, {"Q": q}, CEMUX="1 ", CLKMUX="CLK", GSR="DISABLED",
                LSRMUX="LSR", REGSET="RESET")


def multiplier(a, b, product):
    """A multiplier of two bits each, with as many of the product; sign bits are bit 1, or 0 if that is 0."""
    def operand(side, nets):
        return {f"{side}{bit}": nets[min(bit, 1)] for bit in range(18)}
    return cell("MULT18X18D", operand("A", a) | operand("B", b) | {"SIGNEDA": "1", "SIGNEDB": "1"}, {
        f"P{bit}": net for bit, net in enumerate(product)} | {"P2": 99})  # bit 2 is read by nobody


@pytest.fixture
def module():
    """Registers, a multiplier, registers: ``a0``, ``a1``, ``b0``, ``b1``, ``product``, ``p0`` and ``p1``."""
    return {
        "ports": {"clk": {"bits": [CLOCK]}, "in": {"bits": [*BEFORE["A"], *BEFORE["B"]]}, "out": {"bits": list(LATER)}},
        "cells": {
            "product": multiplier(BEHIND["A"], BEHIND["B"], PRODUCT),
            **{f"{side.lower()}{bit}": flip_flop(BEFORE[side][bit], BEHIND[side][bit]) for side in "AB" for bit in range(2)},
            **{f"p{bit}": flip_flop(PRODUCT[bit], LATER[bit]) for bit in range(2)}}}


def nets(cell, *pins):
    return [net for pin in pins for net in cell["connections"][pin]]


def has(cell):
    """The registers of a multiplier that are in use, with all that they are set to and listen to."""
    found = {key[4:-4] for key in cell["parameters"] if key.endswith("_CLK")}
    for name in found:
        assert [cell["parameters"][f"REG_{name}_{pin}"] for pin in ("CLK", "CE", "RST")] == ["CLK0", "CE0", "RST0"]
    if found:
        assert cell["parameters"]["GSR"] == "DISABLED"
        assert {pin: cell["connections"][pin] for pin in CONTROL} == CONTROL
    assert cell["port_directions"].keys() == cell["connections"].keys()
    return found


def test_all_registers(module):
    """The multiplier stands between the nets before and behind the flip-flops, of which none is left."""
    assert registered(module) == (1, 1)
    assert list(module["cells"]) == ["product"]
    found = module["cells"]["product"]
    assert has(found) == {"INPUTA", "INPUTB", "OUTPUT"}
    assert nets(found, "A0", "A1", "A17", "B0", "B1", "B17") == [2, 3, 3, 4, 5, 5]
    assert nets(found, "P0", "P1", "P2") == [32, 33, 99]


def test_once(module):
    """A multiplier that has registers stays as it is, with flip-flops before and behind it."""
    registered(module)
    module["cells"] |= {"earlier": flip_flop(40, 2), "later": flip_flop(32, 41)}
    before = copy.deepcopy(module)
    assert registered(module) == (0, 0) and module == before


def with_reader(net):
    return lambda cells, ports: cells.update(other=cell("LUT4", {"A": net}, {"Z": 77}))


def with_port(net):
    return lambda cells, ports: ports.update(seen={"bits": [net]})


def with_parameters(*names, **parameters):
    return lambda cells, ports: [cells[name]["parameters"].update(parameters) for name in names]


def with_nets(*names, **given):
    return lambda cells, ports: [cells[name]["connections"].update({pin: [net] for pin, net in given.items()})
                                 for name in names]


def with_kind(name, kind):
    return lambda cells, ports: cells[name].update(type=kind)


#: what is no plain register, by the names of some flip-flops
ODD = {
    "enable": lambda *names: with_parameters(*names, CEMUX="CE"),
    "inverted enable": lambda *names: with_parameters(*names, CEMUX="INV"),
    "never": lambda *names: with_parameters(*names, CEMUX="0 "),
    "begins with 1": lambda *names: with_parameters(*names, REGSET="SET"),
    "falling edge": lambda *names: with_parameters(*names, CLKMUX="INV"),
    "reset": lambda *names: with_nets(*names, LSR=78),
    "always reset": lambda *names: with_parameters(*names, LSRMUX="INV"),
    "input from elsewhere": lambda *names: with_parameters(*names, SD="0 "),
}


@pytest.mark.parametrize("change", [
    with_reader(PRODUCT[1]), with_port(PRODUCT[1]), with_kind("p1", "LUT4"), with_nets("p0", CLK=80),
    with_nets("p1", DI=79, LSR=PRODUCT[1]), lambda cells, ports: cells.update(twice=flip_flop(PRODUCT[1], 81)),
    *(odd(*names) for odd in ODD.values() for names in (["p1"], ["p0", "p1"])),
    lambda cells, ports: [cells.pop(name) for name in ("p0", "p1")]])
def test_no_output_register(module, change):
    """A second reader, a port, a bit that is not registered, flip-flops that differ or are of another kind, none at all. What
    is before the multiplier is as good as ever.
    """
    change(module["cells"], module["ports"])
    before = copy.deepcopy(module["cells"])
    assert registered(module) == (0, 1)
    product = module["cells"].pop("product")
    assert has(product) == {"INPUTA", "INPUTB"} and nets(product, "P0", "P1") == list(PRODUCT)
    assert module["cells"] == {name: cell for name, cell in before.items() if name not in ("product", "a0", "a1", "b0", "b1")}


def test_unread_bit(module):
    """A bit of the product that nobody reads needs no flip-flop."""
    with_nets("p1", DI=79)(module["cells"], module["ports"])
    assert registered(module) == (1, 1)
    assert list(module["cells"]) == ["product", "p1"] and nets(module["cells"]["product"], "P0", "P1") == [32, PRODUCT[1]]


def only_output(module, change):
    """A change leaves no more than the output register."""
    change(module["cells"], module["ports"])
    before = copy.deepcopy(module["cells"])
    assert registered(module) == (1, 0)
    product, was = module["cells"].pop("product"), before.pop("product")
    assert has(product) == {"OUTPUT"}
    assert all(product["connections"][pin] == was["connections"][pin] for pin in was["connections"] if pin[0] in "ABS")
    assert module["cells"] == {name: cell for name, cell in before.items() if name not in ("p0", "p1")}


@pytest.mark.parametrize("change", [
    *(odd(*names) for odd in ODD.values() for names in (["b1"], ["b0", "b1"], ["a0", "a1", "b0", "b1"])),
    with_kind("b0", "LUT4"), with_nets("b0", CLK=80), with_nets("a0", "a1", CLK=80),
    with_nets("a0", "a1", "b0", "b1", CLK=80),  # the product has the other one
    with_nets("product", A1=BEFORE["A"][1]), with_nets("product", B5="1"), with_nets("product", A9="x"),
    with_nets("product", SIGNEDA=82),
    with_nets("product", **{f"A{bit}": "0" for bit in range(18)})])
def test_no_operand_registers(module, change):
    """An operand that is registered in part, otherwise, not at all, or on another clock; a bit that is always 1 would be 0 at
    first. One operand's registers alone stay where they are, too.
    """
    only_output(module, change)


def test_constant_bits(module):
    """Bits that are always 0 are so behind a register."""
    with_nets("product", **{f"B{bit}": "0" for bit in range(1, 18)})(module["cells"], module["ports"])
    assert registered(module) == (1, 1)
    assert list(module["cells"]) == ["product", "b1"]  # which nothing reads any more
    assert nets(module["cells"]["product"], "B0", "B1", "B17") == [4, "0", "0"]


def test_square(module):
    """Flip-flops that both operands come from."""
    with_nets("product", **{f"B{bit}": BEHIND["A"][min(bit, 1)] for bit in range(18)})(module["cells"], module["ports"])
    assert registered(module) == (1, 1)
    assert list(module["cells"]) == ["product", "b0", "b1"]
    assert nets(module["cells"]["product"], "A0", "A17", "B0", "B17") == [2, 3, 2, 3]


@pytest.mark.parametrize("change", [
    with_reader(BEHIND["A"][0]), with_port(BEHIND["A"][0]), with_nets("a0", DI=BEHIND["A"][0])])
def test_copy(module, change):
    """A flip-flop that something else reads, a port or itself, stays; the multiplier has a copy."""
    change(module["cells"], module["ports"])
    kept = copy.deepcopy(module["cells"]["a0"])
    assert registered(module) == (1, 1)
    assert {*module["cells"]} - {"other"} == {"product", "a0"} and module["cells"]["a0"] == kept
    assert nets(module["cells"]["product"], "A0") == kept["connections"]["DI"]


def test_shared_operand(module):
    """Two multipliers read the same flip-flops: both have copies, nobody needs the flip-flops."""
    module["cells"]["second"] = multiplier(BEHIND["A"], BEHIND["B"], (90, 91))
    assert registered(module) == (1, 2)
    assert list(module["cells"]) == ["product", "second"]
    assert has(module["cells"]["second"]) == {"INPUTA", "INPUTB"}
    assert nets(module["cells"]["second"], "A0", "A17", "B0", "B17") == [2, 3, 4, 5]


@pytest.mark.parametrize("reverse", [False, True])
def test_between_two(module, reverse):
    """The registers of a product that are an operand's become the product's; the other operand's alone stay."""
    module["cells"]["next"] = multiplier(LATER, (50, 51), (92, 93))
    module["cells"] |= {f"c{bit}": flip_flop(52 + bit, 50 + bit) for bit in range(2)}
    del module["ports"]["out"]
    if reverse:
        module["cells"] = dict(reversed(module["cells"].items()))
    assert registered(module) == (1, 1)
    assert {*module["cells"]} == {"product", "next", "c0", "c1"}
    assert has(module["cells"]["next"]) == set() and nets(module["cells"]["next"], "A0", "A1") == list(LATER)
    assert nets(module["cells"]["product"], "P0", "P1") == list(LATER)


@pytest.mark.parametrize("reverse", [False, True])
def test_two_registers_between(module, reverse):
    """With two registers between, one goes into each multiplier."""
    module["cells"]["next"] = multiplier((42, 43), (50, 51), (92, 93))
    module["cells"] |= {f"c{bit}": flip_flop(52 + bit, 50 + bit) for bit in range(2)}
    module["cells"] |= {f"d{bit}": flip_flop(LATER[bit], 42 + bit) for bit in range(2)}
    del module["ports"]["out"]
    if reverse:
        module["cells"] = dict(reversed(module["cells"].items()))
    assert registered(module) == (1, 2)
    assert {*module["cells"]} == {"product", "next"}
    assert nets(module["cells"]["next"], "A0", "A1", "B0", "B1") == [*LATER, 52, 53]
    assert nets(module["cells"]["product"], "P0", "P1") == list(LATER)


def test_no_multiplier(module):
    """There may be none, nor anything that one would have to know."""
    del module["cells"]["product"]
    before = copy.deepcopy(module)
    assert registered(module) == (0, 0) and module == before
    assert registered({"cells": {}}) == (0, 0)


def written(folder, family, monkeypatch, module, files):
    """Netlist of :func:`flow.synthesized` where Yosys would write a module."""
    monkeypatch.setenv("TRAJECTILE_BUILD", str(folder))
    monkeypatch.setattr(yosys, "run", lambda script, place, name: (place / "netlist.json").write_text(
        json.dumps({"modules": {"dut": module, "LUT4": {"cells": {}}}})))
    return json.loads((flow.synthesized(files, "commands", family) / "netlist.json").read_text())["modules"]["dut"]


def test_in_the_flow(module, tmp_path, monkeypatch):
    """What Yosys has written is changed before it is kept, for an ECP5 only."""
    monkeypatch.setattr(yosys, "wheel", lambda: "yosys 1.0")
    assert written(tmp_path, NEXUS, monkeypatch, module, {"design.v": "for another family"}) == module
    assert list(written(tmp_path, ECP5, monkeypatch, module, {"design.v": ""})["cells"]) == ["product"]


def test_kept_by_what_changes_it(module, tmp_path, monkeypatch):
    """A netlist is made again when the file has changed that says how it is changed."""
    monkeypatch.setattr(yosys, "wheel", lambda: "yosys 1.0")
    other = tmp_path / "other.py"
    other.write_text("# not the same")
    assert list(written(tmp_path, ECP5, monkeypatch, module, {"design.v": ""})["cells"]) == ["product"]
    monkeypatch.setattr(type(ECP5), "finish", lambda self, module: False)
    assert list(written(tmp_path, ECP5, monkeypatch, module, {"design.v": ""})["cells"]) == ["product"]
    monkeypatch.setattr(type(ECP5), "finisher", other)
    assert written(tmp_path, ECP5, monkeypatch, module, {"design.v": ""}) == module
