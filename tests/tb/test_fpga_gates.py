"""The tile as cells of an ECP5 in the array: the same results and events as the model, from the netlist that is placed."""

import re

import pytest

from tests.support.batches import exact, synthetic
from tests.support.configurations import TINY, small
from trajectile.scripts.fpga.gates import gate_level
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
@pytest.mark.parametrize(("config", "tokens"), [(small(**TINY), 4), (load("smoke"), 12)], ids=["tiny", "smoke"])
def test_batch(config, tokens, tmp_path):
    """Two tiles of 13,000 cells each, or 33,000: synthesized in minutes, compiled in minutes."""
    exact(config, synthetic(config, tokens, 7), tmp_path, optimise="-O0", files=gates)
