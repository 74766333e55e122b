"""Trees of buffers and other sizes, on netlists by hand; and the flat netlist as Verilog."""

from dataclasses import replace

import pytest

from tests.support import timed_cells
from tests.support.netlists import module
from trajectile.scripts.area import liberty
from trajectile.scripts.area.buffers import add_trees
from trajectile.scripts.area.cells import Cells
from trajectile.scripts.area.flat import flatten, verilog
from trajectile.scripts.area.sizing import resize
from trajectile.scripts.area.timing import Timing
from trajectile.scripts.area.wires import Wire

WIRE = Wire("x", "", ff_per_pin=1.0)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    path = timed_cells.write(tmp_path_factory.mktemp("cells") / "timed.lib")
    return Cells(liberty.read(path, path.read_text())[1])


def analysis(flat, cells, trees=False):
    return Timing(flat, cells, timed_cells.NO_WIRE, {}, WIRE, trees=trees)


def wide(cells, sinks):
    """A flip-flop that drives many inverters, the last of them with a long way behind it."""
    flop = next(name for name, cell in cells.items() if cell.sequential and not name.endswith(("_4", "_strong")))
    cell = cells[flop]
    pins = {pin: "$false" for pin in cell.capacitance} | {cell.clock: "clk"}
    data = next(pin for pin in cell.capacitance if pin != cell.clock)

    def register(source, target):
        names = pins | {data: source, next(iter(cell.functions)): target}
        return " ".join([flop, *(f"{pin}={net}" for pin, net in names.items())])
    chain = [f"sg13g2_inv_1 A=c{i} Y=c{i + 1}" for i in range(6)]
    fans = [part for i in range(sinks) for part in (f"sg13g2_inv_1 A=q Y=y{i}", register(f"y{i}", f"r{i}"))]
    made = module("top", ["clk"], [], register("$false", "q"), *fans, "sg13g2_inv_1 A=q Y=c0", *chain, register("c6", "end"))
    return flatten({"top": made}, "top", cells)


def test_no_tree_on_a_clock(cells):
    """Whatever it is called, and however much hangs on it."""
    flat = wide(cells, 60)
    flat.top.nets[flat.top.inputs[0]] = "north__rx__clk"
    clock = flat.top.inputs[0]
    before = sum(net == clock for _, pins in flat.cells for _, net in pins)
    add_trees(flat, analysis(flat, cells, trees=True), 500.0)
    assert before > 60 and sum(net == clock for _, pins in flat.cells for _, net in pins) == before


def test_a_tree(cells):
    """Every net is light enough afterwards; the critical sink stays at the driver, so the tile is faster than with all there,
    and than behind a tree of equal depth.
    """
    flat = wide(cells, 60)
    heavy, equal = analysis(flat, cells), analysis(flat, cells, trees=True)
    worst, before = heavy.paths(1)[0].ps, equal.paths(1)[0].ps
    assert heavy.graph.load.max() > 3 * heavy.tree.limit
    added = add_trees(flat, equal, 500.0)
    after = analysis(flat, cells)
    clock = int(after.root[flat.top.inputs[0]])
    assert 5 <= added <= 16 and max(load for net, load in enumerate(after.graph.load) if net != clock) <= after.tree.limit
    longest = after.paths(1)[0]
    assert longest.end == "top/end" and longest.ps < before and longest.ps < worst
    critical = next(pins for kind, pins in flat.cells if ("Y", flat.names.index("c0")) in pins)
    assert critical[0][1] == flat.names.index("q")
    assert add_trees(flat, after, 500.0) == 0


def test_sinks_that_each_fill_a_stage(cells):
    """Buffers of which no two fit behind one have one each: their driver sees inputs of the reference buffer only."""
    flop = next(name for name, cell in cells.items() if cell.sequential and not name.endswith(("_4", "_strong")))
    cell = cells[flop]
    pins = {pin: "$false" for pin in cell.capacitance} | {cell.clock: "clk", next(iter(cell.functions)): "q"}
    reference = timed_cells.NO_WIRE.buffer
    light = next(iter(cells[reference].capacitance.values()))
    heavy, weight = max(((name, weight) for name, other in cells.items() if not other.sequential
                         for weight in other.capacitance.values() if len(other.capacitance) == 1), key=lambda item: item[1])
    pin, out = next(iter(cells[heavy].capacitance)), next(iter(cells[heavy].functions))
    gates = [f"{heavy} {pin}=q {out}=y{i}" for i in range(40)]
    loads = replace(timed_cells.NO_WIRE, fanout=2)
    made = module("top", ["clk"], [], " ".join([flop, *(f"{pin}={net}" for pin, net in pins.items())]), *gates)
    flat = flatten({"top": made}, "top", cells)
    before = Timing(flat, cells, loads, {}, Wire("none", ""), trees=False)
    assert weight < before.tree.limit < 2 * weight and weight > light
    add_trees(flat, before, 500.0)
    after = Timing(flat, cells, loads, {}, Wire("none", ""), trees=False)
    clock = int(after.root[flat.top.inputs[0]])
    assert max(load for net, load in enumerate(after.graph.load) if net != clock) <= after.tree.limit


def test_sizes(cells):
    """Strong cells where time is short, and no more of them than that takes; a period that is long enough changes nothing."""
    flat = wide(cells, 3)
    first = analysis(flat, cells)
    before = first.paths(1)[0].ps
    assert resize(first, before + 1) == 0
    changed = resize(first, 0.9 * before)
    assert 0 < changed <= 12 and first.paths(1)[0].ps <= 0.9 * before
    assert analysis(flat, cells).paths(1)[0].ps == pytest.approx(first.paths(1)[0].ps)
    assert sum(kind.endswith(("_4", "_strong")) for kind, _ in flat.cells) == changed


def test_verilog(cells):
    """Ports with their ranges, one wire a net across blocks, two ports of one net, constants."""
    child = module("child", ["a"], ["y"], "sg13g2_inv_1 A=a Y=y")
    top = module("top", ["in[0]", "in[1]", "clk"], ["out", "same", "one"], "child a=in[1] y=w", "sg13g2_inv_1 A=w Y=out",
                 "sg13g2_inv_1 A=$true Y=one")
    number = {net: index for index, net in enumerate(top.nets)}
    top.aliases.append((number["out"], number["same"]))
    flat = flatten({"child": child, "top": top}, "top", cells)
    text = verilog(flat, analysis(flat, cells).root, "top").splitlines()
    assert text[:7] == ["module top (in, clk, out, same, one);", "  input [1:0] in;", "  input clk;", "  output out;",
                        "  output same;", "  output one;", text[6]]
    wire = text[6].removeprefix("  wire ").removesuffix(";")
    assert f"  sg13g2_inv_1 c2 (.A(in[1]), .Y({wire}));" in text and "  assign same = out;" in text
    assert f"  sg13g2_inv_1 c0 (.A({wire}), .Y(out));" in text and "  sg13g2_inv_1 c1 (.A(1'b1), .Y(one));" in text
