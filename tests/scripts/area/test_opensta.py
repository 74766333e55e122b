"""OpenSTA beside the project's own analysis: the same paths at the same assumptions; the shipped constraints on a netlist."""

import json

import pytest

from tests.support import timed_cells
from tests.support.configurations import TINY, small
from tests.support.tools import require_sta
from trajectile.hw.design import design
from trajectile.scripts import cli
from trajectile.scripts.area import opensta, speed, technology
from trajectile.scripts.area.flow import map_tile
from trajectile.scripts.area.memories import choose
from trajectile.scripts.area.sram_compiler import compile_memory
from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.soc import constraints
from trajectile.scripts.soc.ports import ports_of

#: that the tiny tile is sized for: more than it reaches, so that cells change
PERIOD_PS = 1000.0


@pytest.fixture
def sta():
    require_sta()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return timed_cells.write(tmp_path_factory.mktemp("cells") / "timed.lib")


@pytest.fixture(scope="module")
def sized(library, tmp_path_factory):
    """The tiny tile under each assumption about wires."""
    cells, made = technology.load(paths=[library]), design(small(**TINY))
    choices = choose(made, cells, registers=1 << 20)
    mapped = map_tile(made, None, cells, choices, PERIOD_PS)
    return made, cells, {one.wire.name: one for one in speed.sizes(made, mapped, cells, choices, PERIOD_PS)}


def test_what_wires_cost(sized):
    """More wire, fewer MHz; sizing and short trees of buffers make every one of them faster; no net is left too heavy."""
    _, cells, found = sized
    assert list(found) == ["none", "placed", "large", "library"]
    assert found["none"].mhz > found["placed"].mhz > found["large"].mhz
    assert cells.wire_load and cells.wire_load.title == "wire-load model some of trajectile"
    for one in found.values():
        # what is fast enough with its buffers keeps its sizes
        assert one.mhz > one.before_mhz and one.buffers > 10 and (one.resized > 10 or one.mhz >= 1e6 / PERIOD_PS)
    assert found["large"].resized > 10
    assert any(kind.endswith(("_4", "_strong")) for kind, _ in found["large"].timing.graph.flat.cells)


def test_sizes_are_those_of_the_netlist(sized):
    """An analysis made anew of the sized cells says the same."""
    _, cells, found = sized
    one = found["large"]
    again = speed.timing.Timing(one.timing.graph.flat, cells.cells, cells.loads, {}, one.wire, trees=False)
    assert again.paths(1)[0].ps == pytest.approx(one.timing.paths(1)[0].ps)


@pytest.mark.usefixtures("sta")
@pytest.mark.parametrize("name", ["none", "placed", "large", "library"])
def test_it_agrees(name, sized, tmp_path):
    """The longest path from register to register is the same to a hundredth, whatever is assumed about wires."""
    made, cells, found = sized
    values = opensta.check(made, cells, tmp_path, PERIOD_PS, found[name])
    own = [path for path in found[name].timing.paths(1_000_000) if not path.block.endswith("_tile")
           and not path.start.startswith("trajectile_tile/")]
    assert values["mhz"] == pytest.approx(1e6 / own[0].ps, rel=0.01)
    path = values["paths"]["register to register"]
    assert sum(step["ns"] for step in path["through"]) == pytest.approx(
        0.95 * PERIOD_PS / 1000 - path["slack_ns"] - timed_cells.SETUP_PS / 1000, abs=1e-3)


@pytest.mark.usefixtures("sta")
def test_the_constraints_hold(sized, tmp_path):
    """At a clock that the tile reaches with what is outside; each kind of path is there, and what limits it has names."""
    made, cells, found = sized
    values = opensta.check(made, cells, tmp_path, 5000.0, found["large"])
    assert values["holds"] and values["slack_ns"] >= 0 and list(values["paths"]) == list(opensta.KINDS)
    assert "rule_engine" in str(values)
    assert not [path for path in values["paths"].values() if "$" in path["from"] + path["to"]]
    assert (tmp_path / "tile.sdc").read_text().startswith("# trajectile_tile")


@pytest.mark.usefixtures("sta")
def test_the_command(library, tmp_path, capsys):
    """At a clock that is too fast it says no, with the path."""
    tiny = [part for name, value in TINY.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]
    out = tmp_path / "sta.json"
    assert cli.main(["synthesize", "smoke", *tiny, "--liberty", str(library), "--registers", str(1 << 20), "--sta", "--clock",
                     f"{1e6 / PERIOD_PS:g}", "-o", str(tmp_path / "o"), "--json", str(out)]) == 1
    speed_values = json.loads(out.read_text())["speed"]
    assert not speed_values["sta"]["holds"] and speed_values["range_mhz"][0] == speed_values["sta"]["mhz_of_the_estimate"]
    text = capsys.readouterr().out
    assert "do NOT hold" in text and "before sizing" in text


@pytest.mark.regress
@pytest.mark.usefixtures("sta")
def test_clocks_of_links(library, tmp_path):
    """A tile with clocks of its links: paths of these and between them and the tile's are there, each in its place."""
    die = [part for name, value in TINY.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]
    die += ["--set", "link.crc_bits=16", "--set", "array.clocks=independent"]
    out, folder = tmp_path / "sta.json", tmp_path / "o"
    assert cli.main(["synthesize", "smoke", *die, "--liberty", str(library), "--registers", str(1 << 20), "--sta", "--clock",
                     "200", "-o", str(folder), "--json", str(out)]) == 0
    values = json.loads(out.read_text())
    sta, paths = values["speed"]["sta"], values["speed"]["sta"]["paths"]
    assert sta["holds"] and sta["mhz"] > 200
    assert {opensta.LINK, opensta.TO_LINK, opensta.FROM_LINK} <= set(paths)
    # within the crossing the pointers and the memory, and nothing that comes from further away
    for kind in (opensta.TO_LINK, opensta.FROM_LINK):
        assert "crossing" in paths[kind]["from"] and "crossing" in paths[kind]["to"]
        assert {step["block"].partition("__")[0] for step in paths[kind]["through"]} == {"crossing"}
    crossing = next(memory for memory in values["memories_in_blocks"] if memory["block"] == "crossing")
    assert crossing["made_of"] == "flip-flops"


def test_memories_without_times(library):
    """A speed estimate is refused, with what to do about it."""
    cells = technology.load(paths=[library])
    memory = compile_memory(cells.srams, 32, 97, two_port=True)
    assert memory is not None and memory.access_ps is None
    with pytest.raises(UserError, match="--registers 3104 and more"):
        speed.macro_timing(memory, cells, cells.wires[0])


@pytest.mark.usefixtures("sta")
@pytest.mark.parametrize("preset", ["smoke", pytest.param("demo", marks=pytest.mark.regress)])
def test_the_constraints_hold_in_sg13g2(preset, shared, tmp_path):
    """On the tile as it ships, with the foundry's Liberty, at the clock that docs/area.md states."""
    libraries = sorted((shared / "pdk" / "ihp-sg13g2").glob("sg13g2_stdcell*"))
    if not libraries:
        pytest.skip("no Liberty of IHP SG13G2 in the shared data")
    out = tmp_path / "sta.json"
    assert cli.main(["synthesize", preset, "--liberty", str(libraries[0]), "--sta", "-o", str(tmp_path / "o"), "--json",
                     str(out)]) == 0
    values = json.loads(out.read_text())["speed"]
    assert values["sta"]["slack_ns"] >= 0
    assert values["sta"]["mhz"] == pytest.approx(values["sta"]["mhz_of_the_estimate"], rel=0.05)


def test_paths_from_input_to_output_end_near(sized):
    """Every path from an input through to an output has an end that the constraints call near."""
    made, _, found = sized
    graph = found["none"].timing.graph
    onward = {}
    for source, target in graph.arcs[:, :2]:
        onward.setdefault(int(source), set()).add(int(target))
    top, ports = graph.flat.top, {port.name: port for port in ports_of(made.components[made.tile])}
    outputs = {}
    for net in top.outputs:
        outputs.setdefault(int(graph.root[net]), []).append(top.nets[net].split("[")[0])
    pairs = set()
    for net in top.inputs:
        if (name := top.nets[net].split("[")[0]) in ("clk", "rst", constraints.STRAP):
            continue
        seen = {int(graph.root[net])}
        waiting = list(seen)
        while waiting:
            at = waiting.pop()
            pairs |= {(name, output) for output in outputs.get(at, ())}
            fresh = onward.get(at, set()) - seen
            seen |= fresh
            waiting += fresh
    assert len(pairs) > 10 and ("reset", "halt_out") in pairs
    far = {pair for pair in pairs if not any(constraints.near(ports[name]) for name in pair)}
    assert not far


def test_without_opensta(library, tmp_path, monkeypatch):
    """One line that says what to install, before anything is synthesized."""
    monkeypatch.setattr(opensta.shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match="apt install opensta"):
        opensta.require()
    assert cli.main(["synthesize", "smoke", "--liberty", str(library), "--sta", "-o", str(tmp_path / "o")]) == 3
    assert not (tmp_path / "o").exists()
