"""What is generated for an RTL engineer: each file goes through the tool that it is for."""

import re
import shutil
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest
from systemrdl import RDLCompiler, RDLListener, RDLWalker

from tests.support.batches import exact, synthetic
from tests.support.configurations import small
from tests.support.lint import WAIVED, lint
from tests.support.paths import DOCS
from tests.support.tools import require_icarus
from tests.support.waves import check_save_file
from trajectile.hw.design import design
from trajectile.hw.host.regmap import Access, RegisterMap
from trajectile.hw.lib import yosys
from trajectile.hw.params import Params
from trajectile.hw.tile import Tile
from trajectile.scripts import cli
from trajectile.scripts.soc import bundle, constraints, fusesoc, verilog
from trajectile.scripts.soc.ports import Port, ports_of
from trajectile.scripts.soc.systemrdl import TILE_STRIDE, systemrdl
from trajectile.sw_model.config import load
from trajectile.tb.toolchain import environment

CONFIG = load("smoke", ["link.crc_bits=16"])
COMMAND = "trajectile generate smoke --set link.crc_bits=16 -o DIR"


@pytest.fixture(scope="module")
def made():
    return design(CONFIG)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generated")
    bundle.write(made, folder, command=COMMAND)
    return folder


def declared(folder: Path, name: str) -> dict[str, tuple[str, int]]:
    """Direction and width of the ports of tile or array, as the written Verilog has them."""
    text = (folder / f"trajectile_{name}.v").read_text().partition(f"module trajectile_{name} (\n")[2].partition("\n);\n")[0]
    found = re.findall(r"^  (input|output) (?:wire|reg) (?:\[(\d+):0\] )?(\w+)", text, re.M)
    return {port: (direction, int(high or 0) + 1) for direction, high, port in found}


def test_every_port_has_a_meaning(made, folder):
    """In the head of tile and array; and the files say what they are, the same each time."""
    for name in ("tile", "array"):
        ports = ports_of(made.components[f"trajectile_{name}"])
        assert {port.name: ("input" if port.is_input else "output", port.width) for port in ports} == declared(folder, name)
        assert all(port.meaning for port in ports), [port.name for port in ports if not port.meaning]
        text = (folder / f"trajectile_{name}.v").read_text()
        assert text.startswith(f"// trajectile_{name}.v: ") and f"//     {COMMAND}\n" in text and bundle.version() in text
        assert re.search(r"\n  output wire \[\d+:0\] ddr__(0__)?araddr,  // first byte of the burst\n", text)
        listed = re.search(r"^// Modules:\n((?://   .*\n)+)", text, re.M)[1]
        assert re.findall(r"^//   (\w+)", listed, re.M) == made.file_modules()[f"trajectile_{name}.v"]
    again = bundle.texts(made, COMMAND, 800)
    assert again == {name: (folder / name).read_text() for name in again}


def test_comments_are_all_that_is_added(made, folder):
    """What is simulated and synthesized is what is written."""
    for file, text in made.files().items():
        written = re.sub(r" *//.*", "", (folder / file).read_text())
        assert re.sub(r"\n+", "\n", written).strip() == re.sub(r"\n+", "\n", re.sub(r" *//.*", "", text)).strip()
    assert verilog.annotated("module a (\n  input wire b\n);\nwire b;\n", "a", "Sum.", [Port("b", True, 1, "why")]) == (
        "// Sum.\nmodule a (\n  input wire b  // why\n);\nwire b;\n")


@pytest.mark.parametrize("name", ["tile", "array"])
def test_instances_compile(name, folder):
    """The template in a module that has clock and reset: nothing to complain of but wires that nobody drives."""
    body = (folder / f"trajectile_{name}_instance.vh").read_text()
    (folder / "chip.v").write_text(f"module chip (input wire clk, input wire rst);\n{body}endmodule\n")
    files = ["trajectile_sram.v", "trajectile_tile.v", *(["trajectile_array.v"] if name == "array" else []), "chip.v"]
    report = lint(folder, files, "chip")
    assert set(re.findall(r"%(?:Warning|Error)[-\w]*(?!.*Exiting)", report)) == {"%Warning-UNDRIVEN"}, report
    (folder / "chip.v").write_text((folder / "chip.v").read_text().replace(".halt_out(", ".halted("))
    if name == "tile":
        assert "PINNOTFOUND" in lint(folder, files, "chip")
    (folder / "chip.v").unlink()


class _Tcl:
    """An interpreter with the constraint commands, which note what they are told."""

    def __init__(self):
        tkinter = pytest.importorskip("tkinter", reason="Python without Tcl")
        self.tcl = tkinter.Tcl()
        self.calls: list[tuple[str, ...]] = []
        self.tcl.eval("proc get_ports {names} { return $names }\nproc get_clocks {names} { return $names }")
        for name in ("create_clock", "set_clock_uncertainty", "set_input_delay", "set_output_delay", "set_false_path",
                     "set_case_analysis", "set_clock_groups", "set_max_delay"):
            self.tcl.createcommand(name, lambda *words, name=name: self.calls.append((name, *words)))

    def run(self, text: str) -> dict[str, list[tuple[str, ...]]]:
        self.tcl.eval(text)
        return {name: [call[1:] for call in self.calls if call[0] == name] for name, *_ in self.calls}

    def names(self, calls: list[tuple[str, ...]]) -> list[str]:
        return [name.removesuffix("[*]") for words in calls for name in self.tcl.splitlist(words[-1])]


@pytest.mark.parametrize("name", ["tile", "array"])
def test_constraints(name, folder):
    """Tcl runs them; every port of the Verilog is named once, on the right side; the period can be set from outside."""
    tcl, ports = _Tcl(), declared(folder, name)
    said = tcl.run((folder / f"trajectile_{name}.sdc").read_text())
    assert said["create_clock"] == [("-name", "clk", "-period", "1.250", "clk")]
    still = tcl.names(said.get("set_false_path", []) + said.get("set_case_analysis", []))
    assert still == {"tile": ["tile_id"], "array": ["link_hold"]}[name]
    inputs, outputs = tcl.names(said["set_input_delay"]), tcl.names(said["set_output_delay"])
    assert sorted(["clk", *still, *inputs]) == sorted(port for port, (way, _) in ports.items() if way == "input")
    assert sorted(outputs) == sorted(port for port, (way, _) in ports.items() if way == "output")
    for words in said["set_input_delay"] + said["set_output_delay"]:
        near = {constraints.near(Port(port, True, 1, "")) for port in tcl.names([words])}
        assert {0.125 if is_near else 0.5 for is_near in near} == {float(words[0])}
    text = (folder / f"trajectile_{name}.sdc").read_text()
    assert all((f"{{{port}[*]}}" in text) == (width > 1) for port, (_, width) in ports.items())
    assert _Tcl().run("set trajectile_period_ns 4.0\n" + text)["create_clock"][0][3] == "4.0"


def test_constraints_of_a_die():
    """A clock of its own with each link, uncertain as the tile's, and what comes with it is timed by it. No path between two
    clocks is looked at, or each takes less than a period; then both ways between any two are named once.
    """
    tile = Tile(small(link__crc_bits=16, array__clocks="independent"), timing_only=True)
    tile._MustUse__silence = True  # type: ignore[attr-defined]  # its ports are enough
    ports = ports_of(tile)
    text = constraints.sdc("trajectile_tile", ports, "", 800.0)
    said, limited = _Tcl().run(text), _Tcl().run("set trajectile_limit_crossings 1\n" + text)
    links = [port.name for port in ports if port.name.endswith(constraints.LINK)]
    clocks = [call[1] for call in said["create_clock"]]
    assert clocks == ["clk", *links] and len(links) == 4
    assert [call[1] for call in said["set_clock_uncertainty"]] == clocks
    timed = {call[-1]: call[2] for call in said["set_input_delay"] if call[2] != "clk"}
    assert timed == {f"{link.removesuffix('clk')}frame[*]": link for link in links}
    (groups,) = said["set_clock_groups"]
    assert list(groups[2::2]) == clocks and "set_max_delay" not in said
    assert "set_clock_groups" not in limited
    assert sorted(call[2::2] for call in limited["set_max_delay"]) == sorted(permutations(clocks, 2))
    assert {call[0] for call in limited["set_max_delay"]} == {"1.250"}
    assert "there is one clock" not in text


def test_near_ports():
    """Told by their names, also in the array."""
    def is_near(name):
        return constraints.near(Port(name, True, 1, ""))
    assert all(map(is_near, ("rst", "halt", "reset_out", "events__send", "events__0__send", "north__tx__flit__ready")))
    assert not any(map(is_near, ("irq", "host__rready", "io__read__rready", "io__read__rvalid", "north__rx__flit__ready",
                                 "resets")))


def test_the_clock_of_a_technology(tmp_path):
    """In the constraints; the command in their head says the same."""
    assert cli.main(["generate", "smoke", "--timing-only", "--technology", "sg13g2", "-o", str(tmp_path)]) == 0
    text = (tmp_path / "trajectile_tile.sdc").read_text()
    assert "set trajectile_period_ns 10.000 " in text and "--mhz 100 " in text


def test_fusesoc(folder, tmp_path):
    """FuseSoC finds the core, and its lint targets run Verilator: clean, and it complains of a wrong file."""
    core = fusesoc.core_name(CONFIG.name, bundle.version())
    assert fusesoc.WAIVED == tuple(WAIVED)
    shutil.copytree(folder, tmp_path / "core")

    def call(*words: str) -> subprocess.CompletedProcess:
        home = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
        return subprocess.run([sys.executable, "-m", "fusesoc.main", "--cores-root", "core", *words], cwd=tmp_path, text=True,
                              env=environment("-O0") | home, capture_output=True, check=False)
    shown = call("core", "show", core)
    assert shown.returncode == 0 and all(f"\n{target} " in shown.stdout for target in ("tile", "array", "lint", "lint_tile"))
    for target in ("lint", "lint_tile"):
        done = call("run", "--target", target, core)
        assert done.returncode == 0 and "%Warning" not in done.stdout + done.stderr, done.stdout + done.stderr
    file = tmp_path / "core" / "trajectile_tile.v"
    file.write_text(re.sub(r"^    \.ddr__rvalid\(.*\n", "", file.read_text(), flags=re.M))
    done = call("run", "--target", "lint_tile", core)
    assert done.returncode and "PINMISSING" in done.stdout + done.stderr


class _Registers(RDLListener):
    """Registers of an elaborated map by path."""

    def __init__(self):
        self.found = {}

    def enter_Reg(self, node) -> None:
        self.found[node.inst_name] = (node.raw_absolute_address, {
            field.inst_name: (field.low, field.width, field.get_property("reset"), field.is_sw_readable, field.is_sw_writable,
                              field.get_property("onwrite") and field.get_property("onwrite").name)
            for field in node.fields()})


@pytest.mark.parametrize(("source", "changes", "timing_only"), [
    ("smoke", ["link.crc_bits=16", "tile.protect=secded"], False),
    ("paper", ["array.rows=4", "array.cols=4"], True),
], ids=["all", "large"])
def test_systemrdl(source, changes, timing_only, tmp_path):
    """The compiler accepts the map and finds in it what the description says, at each tile of the array."""
    params = Params(load(source, changes), timing_only=timing_only)
    (tmp_path / "registers.rdl").write_text(systemrdl(params))
    compiler = RDLCompiler()
    compiler.compile_file(str(tmp_path / "registers.rdl"))
    root = compiler.elaborate("trajectile")
    tiles = root.top.get_child_by_name("tile")
    assert (tiles.array_dimensions, tiles.array_stride) == ([params.config.array.tiles], TILE_STRIDE)
    listener = _Registers()
    RDLWalker(unroll=False).walk(compiler.elaborate("trajectile_tile"), listener)
    expected = {}
    onwrite = {Access.W1C: "woclr", Access.W0C: "wclr", Access.W1S: "woset"}
    for register in RegisterMap(params).registers:
        expected[register.name] = (register.offset, {
            field.name: (field.low, field.width, field.reset, register.access is not Access.WO, register.writable,
                         onwrite.get(register.access)) for field in register.fields})
    assert listener.found == expected


def test_sign_of_life(tmp_path):
    """The module in docs/integration.md reads ID, with the array of the smoke configuration."""
    require_icarus()
    page = (DOCS / "integration.md").read_text()
    bundle.write(design(load("smoke"), timing_only=True), tmp_path)  # the same array's ports
    (tmp_path / "chip.v").write_text(re.search(r"```verilog\n(`timescale.*?)```", page, re.S).group(1))
    files = ["chip.v", "trajectile_sram.v", "trajectile_tile.v", "trajectile_array.v"]
    subprocess.run(["iverilog", "-g2005", "-s", "chip", "-o", "chip.vvp", *files], cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "chip.vvp"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60)
    assert "ID = TRAJ" in done.stdout.splitlines()


@pytest.mark.regress
@pytest.mark.parametrize("changes", [[], ["link.crc_bits=16", "tile.protect=secded"]], ids=["plain", "all"])
def test_paths_through_the_tile(changes, tmp_path):
    """From inputs to outputs without a register: those that docs/integration.md names, and no other."""
    made = design(load("smoke", changes))
    bundle.write(made, tmp_path)
    inputs = [name for name, (way, _) in declared(tmp_path, "tile").items() if way == "input" and name != "clk"]
    states = ",".join(f"${kind}" for kind in ("dff", "dffe", "sdff", "sdffe", "sdffce", "mem_v2", "memrd_v2", "memwr_v2"))
    cones = "".join(f"tee -q -o {name}.txt select -list i:{name} %co*:-{states} o:* %i\n" for name in inputs)
    yosys.run("read_verilog trajectile_sram.v trajectile_tile.v\nhierarchy -top trajectile_tile\nproc\nflatten\nopt_expr\n"
              f"opt_clean\n{cones}", tmp_path)
    paths = {name: {line.rpartition("/")[2] for line in (tmp_path / f"{name}.txt").read_text().split()} for name in inputs}
    found = {name: reached for name, outputs in paths.items() if (
        reached := {output for output in outputs if not output.startswith(("events__", "phases__"))})}
    valids = set() if changes else {f"{side}__tx__flit__valid" for side in ("north", "east", "south", "west")}
    responses = {name: {"halt_out"} for name in ("ddr__rvalid", "ddr__rresp", "io__write__bvalid", "io__write__bresp")}
    assert found == {**responses, "reset": {"halt_out", "reset_out", *valids}}


@pytest.mark.regress
def test_waves_of_verilator(tmp_path):
    """The save file fits its waves too (test_cli looks at those of Icarus)."""
    config = load("smoke")
    exact(config, synthetic(config, 3, 1), tmp_path, waves=True)
    check_save_file(tmp_path / "dump.vcd")
