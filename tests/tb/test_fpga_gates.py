"""The tile as cells of an ECP5 in the array: the same results and events as the model, from the netlist that is placed."""

import re

import pytest

from tests.support.batches import exact, synthetic
from tests.support.configurations import TINY, small
from trajectile.scripts.fpga.gates import gate_level


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
