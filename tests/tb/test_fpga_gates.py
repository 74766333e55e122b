"""The tile as cells of an FPGA in the array: the same results and events as the model, from the netlist that is placed."""

import re

import pytest

from tests.support.batches import exact, synthetic
from tests.support.configurations import REGISTERS, REGISTERS_SET, TINY, small
from tests.support.tools import require_nextpnr
from trajectile.scripts.fpga import devices
from trajectile.scripts.fpga.gates import gate_level, routed_level
from trajectile.sw_model.config import load


def gates(made):
    """The netlist in cells of an ECP5."""
    files = gate_level(made)
    netlist = files["trajectile_tile.v"]
    assert not re.search(r"\b(?:always|initial|case|reg)\b", netlist)  # cells and wires, nothing else
    assert netlist.count("TRELLIS_FF #(") > 3000 and netlist.count("LUT4 #(") > 5000 and "MULT18X18D" in netlist
    return files


@pytest.mark.regress
@pytest.mark.timeout(3600)
def test_tiny(tmp_path):
    """Two tiles of 13,000 cells each: synthesized in a minute, compiled in another."""
    config = small(**TINY)
    exact(config, synthetic(config, 4, 7), tmp_path, optimise="-O0", files=gates)


@pytest.mark.regress
@pytest.mark.timeout(7200)
def test_smoke(tmp_path):
    """The smoke tile, whose clock and size docs/fpga.md reports: its lanes, block RAMs and multipliers have more to do."""
    config = load("smoke")
    exact(config, synthetic(config, 12, 1), tmp_path, optimise="-O0", files=gates)


@pytest.mark.regress
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("name", "tokens"), [("tiny", 4), ("smoke", 12)])
def test_nexus(name, tokens, tmp_path):
    """As cells of a Nexus: registers in the multipliers, carry chains with our beginning."""
    config = small(**TINY) if name == "tiny" else load(name, ["tile.register_products=true"])

    def gates(made):
        files = gate_level(made, devices.NEXUS)
        netlist = files["trajectile_tile.v"]
        assert not re.search(r"\b(?:always|initial|case|reg)\b", netlist)
        assert netlist.count("FD1P3IX ") > 3000 and netlist.count("LUT4 #(") > 4000 and netlist.count("CCU2 #(") > 300
        assert 'REGOUTPUT("REGISTER")' in netlist and "PDPSC16K #(" in netlist
        return files
    exact(config, synthetic(config, tokens, 7), tmp_path, optimise="-O0", files=gates)


@pytest.mark.regress
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("name", "tokens"), [("tiny", 4), ("smoke", 12)])
def test_routed(name, tokens, tmp_path):
    """What nextpnr has packed, placed and routed, and the bitstream is made from, with all registers that an FPGA wants."""
    require_nextpnr()
    config = small(**TINY, **REGISTERS) if name == "tiny" else load(name, REGISTERS_SET)

    def routed(made):
        files = routed_level(made, tmp_path / "routed", devices.target("lfe5u-85f"))
        tile = files["trajectile_tile.v"]
        assert not re.search(r"\b(?:always|initial|case|reg)\b", tile)
        assert tile.count("TRELLIS_FF #(") > 3000 and tile.count("TRELLIS_COMB #(") > 5000
        assert re.search(r'\.REG_INPUTA_CLK\("CLK\d"\)', tile) and re.search(r'\.REG_OUTPUT_CLK\("CLK\d"\)', tile)
        return files
    exact(config, synthetic(config, tokens, 7), tmp_path, optimise="-O0", files=routed)
