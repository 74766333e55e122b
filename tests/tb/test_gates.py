"""The synthesized tile in the array: the same results and events as the model, from a state in which every flip-flop is x."""

import re

import pytest

from tests.support.batches import exact, synthetic
from tests.support.configurations import TINY, small
from trajectile.scripts import cli
from trajectile.scripts.area import technology
from trajectile.scripts.area.gates import gate_level
from trajectile.tb import runner


def gates(made):
    """The netlist of the shipped cells."""
    files = gate_level(made, technology.load())
    netlist = files["trajectile_tile.v"]
    assert not re.search(r"\b(?:always|initial|case|reg)\b", netlist)  # cells and wires, nothing else
    assert netlist.count("sg13g2_dfrbpq_1 ") > 500
    return files


@pytest.mark.parametrize("changes", [
    {},
    pytest.param({"array__cols": 3, "array__ddr_tiles": (0, 1, 2), "tile__slices": 4, "link__crc_bits": 16},
                 marks=pytest.mark.regress),
], ids=["two tiles", "three tiles with link layer"])
def test_tiny(changes, icarus, tmp_path):
    """A tile of 25,000 cells, or 34,000."""
    config = small(**TINY | changes)
    exact(config, synthetic(config, 4, 7), tmp_path, simulator=icarus, files=gates)


@pytest.mark.regress
@pytest.mark.parametrize("block", ["host_port", "slot_table"])
def test_a_block_without_reset(block, icarus, tmp_path):
    """The x of its flip-flops is seen. (The RTL has initial values: there a missing reset would pass.)"""
    def files(made):
        texts = gates(made)
        netlist, count = re.subn(rf"(trajectile_{block} \w+ \([^;]*?\.rst\()rst\)", r"\g<1>1'b0)", texts["trajectile_tile.v"])
        assert count == 1
        return texts | {"trajectile_tile.v": netlist}

    config = small(**TINY)
    with pytest.raises((runner.SimulationError, AssertionError, ValueError)):
        exact(config, synthetic(config, 4, 7), tmp_path, simulator=icarus, files=files)


@pytest.mark.regress
@pytest.mark.timeout(3600)
def test_smoke(icarus, tmp_path):
    """The smoke tile of two tiles with 60,000 cells each, through the command."""
    assert cli.main(["simulate", "smoke", "--gate-level", "--simulator", icarus, "--tokens", "12", "-o", str(tmp_path)]) == 0


@pytest.mark.regress
@pytest.mark.timeout(3600)
def test_tiny_on_verilator(tmp_path):
    """The same netlist on the other simulator."""
    config = small(**TINY)
    exact(config, synthetic(config, 4, 7), tmp_path, optimise="-O0", files=gates)


def test_the_command_says_what_is_wrong(capsys):
    """Cells without a netlist."""
    assert cli.main(["simulate", "smoke", "--liberty", "x.lib"]) == 2
    assert "--liberty is not legal without --gate-level" in capsys.readouterr().err
