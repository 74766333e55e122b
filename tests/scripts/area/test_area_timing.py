"""The static timing analysis against arithmetic by hand, and against all paths of random graphs."""

from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.netlists import module
from trajectile.scripts.area import liberty
from trajectile.scripts.area.cells import Cells
from trajectile.scripts.area.flat import flatten
from trajectile.scripts.area.graph import LoadModel, MacroTiming
from trajectile.scripts.area.netlist import read
from trajectile.scripts.area.timing import Timing

#: of each cell: inputs with their capacitance, output, sense, delay of rise and fall, slew out of rise and fall. A delay is
#: (constant, for each ps of slew, for each fF of load)
CELLS = {
    "INV": ({"A": 2.0}, "negative_unate", (1.0, 0.1, 0.5), (2.0, 0.2, 0.25), (4.0, 0.0, 1.0), (6.0, 0.0, 0.5)),
    "BUF": ({"A": 1.0}, "positive_unate", (3.0, 0.0, 1.0), (3.0, 0.0, 1.0), (5.0, 0.0, 0.0), (5.0, 0.0, 0.0)),
    "XOR": ({"A": 1.0, "B": 3.0}, "non_unate", (10.0, 0.0, 0.0), (20.0, 0.0, 0.0), (5.0, 0.0, 0.0), (5.0, 0.0, 0.0)),
}
LOADS = LoadModel(wire_ff=1.0, slew_ps=20.0, buffer="BUF", fanout=4)
#: clock to output of the flip-flop, its setup
LAUNCH, SETUP = 30.0, 7.0


def table(constant, of_slew, of_load):
    """Two by two points: what is linear is exact."""
    rows = ", ".join('"' + ", ".join(str(constant + of_slew * slew + of_load * load) for load in (0, 100)) + '"'
                     for slew in (0, 100))
    return f"(t) {{ values ({rows}); }}"


def arc(source, sense, kind, rise, fall, slow_rise, slow_fall):
    return (f'timing () {{ related_pin : "{source}"; timing_sense : {sense}; timing_type : {kind}; cell_rise {table(*rise)} '
            f"cell_fall {table(*fall)} rise_transition {table(*slow_rise)} fall_transition {table(*slow_fall)} }}")


def library():
    text = ('library (x) { time_unit : "1ps"; capacitive_load_unit (1, ff); '
            'lu_table_template (t) { variable_1 : input_net_transition; variable_2 : total_output_net_capacitance; '
            'index_1 ("0, 100"); index_2 ("0, 100"); } '
            'lu_table_template (s) { variable_1 : related_pin_transition; variable_2 : constrained_pin_transition; '
            'index_1 ("0, 100"); index_2 ("0, 100"); }')
    for name, (inputs, sense, *tables) in CELLS.items():
        pins = "".join(f"pin ({pin}) {{ direction : input; capacitance : {cap}; }}" for pin, cap in inputs.items())
        arcs = "".join(arc(pin, sense, "combinational", *tables) for pin in inputs)
        text += f'cell ({name}) {{ area : 1; {pins} pin (Y) {{ direction : output; function : "A"; {arcs} }} }}'
    launch = arc("CLK", "non_unate", "rising_edge", (LAUNCH, 0, 0), (LAUNCH, 0, 0), (8.0, 0, 0), (8.0, 0, 0))
    setup = f'rise_constraint (s) {{ values ("{SETUP}, {SETUP}", "{SETUP}, {SETUP}"); }}'
    return text + f"""cell (DFF) {{ area : 5; ff (IQ, IQN) {{ clocked_on : CLK; next_state : D; }}
        pin (CLK) {{ direction : input; clock : true; capacitance : 1; }}
        pin (D) {{ direction : input; capacitance : 4;
          timing () {{ related_pin : CLK; timing_type : setup_rising; {setup} }} }}
        pin (Q) {{ direction : output; function : IQ; {launch} }} }} }}"""


@cache
def all_cells():
    return Cells(liberty.read("x", library())[1])


@pytest.fixture
def cells():
    return all_cells()


def timing(cells, *modules, macros=None, wire=None):
    macros = macros or {}
    flat = flatten({part.name: part for part in modules}, modules[-1].name, {*cells, *macros})
    return Timing(flat, cells, LOADS, macros, wire)


def test_the_library(cells):
    """Loads and tables as written, at points and between them."""
    inverter = cells["INV"]
    assert inverter.capacitance == {"A": 2.0} and inverter.arcs[0].sense == "negative_unate"
    assert inverter.arcs[0].delay[0].at(50, 20) == pytest.approx(1 + 0.1 * 50 + 0.5 * 20)
    assert cells["DFF"].setup_ps == SETUP and cells["DFF"].clock == "CLK" and cells["DFF"].arcs[0].clocked


def test_two_inverters_by_hand(cells):
    """From a flip-flop through two inverters into another; a rise at the second is a fall at the first."""
    made = module("top", ["clk"], [], "DFF CLK=clk D=back Q=q", "INV A=q Y=n", "INV A=n Y=d", "DFF CLK=clk D=d Q=r",
                  "INV A=r Y=back")
    analysis = timing(cells, made)
    # q: launched with slew 8. n drives 2 + 1 fF, d drives 4 + 1 fF
    rise_n, slew_rise_n = LAUNCH + 1 + 0.1 * 8 + 0.5 * 3, 4 + 1.0 * 3
    fall_n, slew_fall_n = LAUNCH + 2 + 0.2 * 8 + 0.25 * 3, 6 + 0.5 * 3
    rise_d = fall_n + 1 + 0.1 * slew_fall_n + 0.5 * 5
    fall_d = rise_n + 2 + 0.2 * slew_rise_n + 0.25 * 5
    path = next(path for path in analysis.paths(9) if path.end == "top/r")
    assert path.ps == pytest.approx(max(rise_d, fall_d) + SETUP)
    assert path.start == "top/q" and [step.block for step in path.steps] == ["top"]
    assert sum(step.ps for step in path.steps) == pytest.approx(path.ps)
    short = next(path for path in analysis.paths(9) if path.end == "top/q")
    assert short.ps == pytest.approx(max(LAUNCH + 1 + 0.1 * 8 + 0.5 * 5, LAUNCH + 2 + 0.2 * 8 + 0.25 * 5) + SETUP)
    assert len(analysis.loops) == 0


def test_through_blocks(cells):
    """A path that begins in one block, passes another twice, and ends at a pin; each step has its block."""
    child = module("child", ["clk", "a", "c"], ["b", "y"], "BUF A=a Y=b", "DFF CLK=clk D=c Q=y")
    top = module("top", ["clk"], ["out"], "child clk=clk a=w c=$false b=x y=w", "child clk=clk a=x c=$false b=out y=unused")
    path = timing(cells, child, top).paths(1)[0]
    # the first buffer drives the second's input, the second what is outside: one reference buffer
    assert path.ps == pytest.approx(LAUNCH + (3 + 1.0 * (1 + 1)) + 3 + 1.0 * 1)
    assert (path.start, path.end) == ("child/y", "top/out")
    assert [step.block for step in path.steps] == ["child", "top"]


def test_two_clocks(cells):
    """From one clock to another there is no path, through a gate that both reach or straight; inputs belong to both."""
    slow = ["BUF A=a Y=b0", *(f"BUF A=b{i} Y=b{i + 1}" for i in range(9))]
    parts = ("DFF CLK=link D=b9 Q=a", *slow, "XOR A=b9 B=s Y=m", "DFF CLK=clk D=m Q=r", "BUF A=r Y=n",
             "DFF CLK=clk D=n Q=s", "DFF CLK=clk D=a Q=straight", "BUF A=pin Y=w", "DFF CLK=link D=w Q=u",
             "DFF CLK=clk D=w Q=v")
    two = timing(cells, module("top", ["clk", "link", "pin"], [], *parts))
    found = {path.end: path for path in two.paths(99)}
    assert sorted(found) == ["top/a", "top/r", "top/s", "top/u", "top/v"]
    assert found["top/a"].start == "top/a" and found["top/a"].ps > 80
    assert found["top/r"].start == "top/s" and found["top/r"].ps == pytest.approx(LAUNCH + 20 + SETUP)
    # the same with one clock: the slow way is the longest
    one = timing(cells, module("top", ["clk", "pin"], [], *(part.replace("=link", "=clk") for part in parts)))
    found = {path.end: path for path in one.paths(99)}
    assert found["top/r"].start == "top/a" and found["top/r"].ps > 80 and "top/straight" in found
    assert len(two.graph.clocks) == 2 and len(one.graph.clocks) == 1


def test_many_loads(cells):
    """Over ``fanout`` reference inputs a tree of buffers: its stages are counted, and the driver sees one stage's load."""
    loads = [f"XOR A=q B=q Y=x{i}" for i in range(5)]  # 2 pins of 1 and 3 fF and their wires: 6 fF each
    made = module("top", ["clk"], ["x0"], "DFF CLK=clk D=$false Q=q", *loads)
    # a stage drives 4 inputs of 1 + 1 fF: 8 fF, and takes 3 + 8 ps; 30 fF are within two stages (8 * 4)
    path = timing(cells, made).paths(1)[0]
    assert path.ps == pytest.approx(LAUNCH + 1 * (3 + 8) + 20)
    more = module("top", ["clk"], ["x0"], "DFF CLK=clk D=$false Q=q", *loads, "XOR A=q B=q Y=z")
    assert timing(cells, more).paths(1)[0].ps == pytest.approx(LAUNCH + 2 * (3 + 8) + 20)


def test_sram(cells):
    """Access time, then logic; address and data inputs end paths and are loads."""
    made = module("top", ["clk"], [], "ram clk=clk rdata[0]=r addr[0]=a wdata[0]=w", "BUF A=r Y=a", "BUF A=r Y=w")
    ram = MacroTiming(access_ps=100.0, setup_ps=9.0, address_setup_ps=20.0, data_ff=2.0, address_ff=5.0)
    analysis = timing(cells, made, macros={"ram": ram})
    assert sorted((path.end, path.ps) for path in analysis.paths(5)) == [
        ("top/a", pytest.approx(100 + 3 + (5 + 1) + 20)), ("top/w", pytest.approx(100 + 3 + (2 + 1) + 9))]


def test_inputs_and_reset(cells):
    """Inputs come at the clock's edge; ``rst`` and ``clk`` start no path."""
    made = module("top", ["clk", "rst", "in"], [], "BUF A=in Y=d", "BUF A=rst Y=e", "DFF CLK=clk D=d Q=q",
                  "DFF CLK=clk D=e Q=p")
    paths = {path.end: path for path in timing(cells, made).paths(9)}
    assert paths["top/q"].ps == pytest.approx(3 + 5 + SETUP) and paths["top/q"].start == "top/in" and "top/p" not in paths


def test_a_loop_is_found(cells):
    """Of gates without a flip-flop."""
    made = module("top", ["clk"], [], "INV A=a Y=b", "INV A=b Y=a", "DFF CLK=clk D=$false Q=q", "BUF A=q Y=z")
    assert len(timing(cells, made).loops) > 0


def test_an_inverted_output_has_its_registers_name(cells, tmp_path):
    """As Yosys writes it: the net has no name of its own, the cell has."""
    path = tmp_path / "x.blif"
    path.write_text(".model top\n.inputs clk\n.outputs o\n.gate DFF CLK=clk D=$false Q=$abc$1$n\n.cname kept[3]$_DFF_P_\n"
                    ".gate INV A=$abc$1$n \\\n Y=o\n.cname $abc$2\n.end\n")
    assert timing(cells, *read(path).values()).paths(1)[0].start == "top/kept[3]"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["BUF", "XOR"]), st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=12))
def test_random_graphs(gates):
    """Against the latest of all paths, edge by edge; delays of these two cells do not depend on slews."""
    cells = all_cells()
    nets, lines, drivers = ["q"], [], []
    for kind, first, second in gates:
        sources = [nets[first % len(nets)]] + ([nets[second % len(nets)]] if kind == "XOR" else [])
        pins = [f"{pin}={net}" for pin, net in zip("AB", sources, strict=False)]
        lines.append(" ".join([kind, *pins, f"Y=n{len(nets)}"]))
        drivers.append((kind, sources))
        nets.append(f"n{len(nets)}")
    made = module("top", ["clk"], nets[1:], "DFF CLK=clk D=$false Q=q", *lines)
    analysis = timing(cells, made)
    load = {net: (net != "q") + sum(CELLS[kind][0][pin] + 1 for kind, sources in drivers
                     for pin, other in zip("AB", sources, strict=False) if other == net) for net in nets}

    def behind(net, at):
        stages = int(np.ceil(max(np.log(load[net] / 8) / np.log(4), 0) - 1e-9)) if load[net] else 0
        return at + 11 * stages

    late = {("q", edge): behind("q", LAUNCH) for edge in (0, 1)}
    for (kind, sources), net in zip(drivers, nets[1:], strict=True):
        for edge in (0, 1):
            delay = CELLS[kind][2 + edge][0] + CELLS[kind][2 + edge][2] * min(load[net], 8)
            edges = (edge,) if kind == "BUF" else (0, 1)
            late[net, edge] = behind(net, max(late[other, e] for other, e in product(sources, edges)) + delay)
    assert {path.end: path.ps for path in analysis.paths(99)} == {
        f"top/{net}": pytest.approx(max(late[net, 0], late[net, 1])) for net in nets[1:]}
