"""What is read from nextpnr: its report, its log, why a design does not fit; what is said where it is missing."""

import json

import pytest

from trajectile.scripts.errors import ToolError
from trajectile.scripts.fpga import nextpnr
from trajectile.scripts.fpga.nextpnr import Step

CLOCK, OUTSIDE = "posedge $glbnet$clk", "<async>"


def stage(kind, delay, cell, net=None):
    """A stage of a path in the report's form."""
    place = {"cell": cell, "loc": [1, 2], "port": "Q"}
    return {"type": kind, "delay": delay, "from": place, "to": place, **({"net": net} if net else {})}


def report(**changes):
    """A report with one path from register to register between two that leave the chip and are longer."""
    inside = [stage("clk-to-q", 0.5, "tile.a"), stage("routing", 1.25, "tile.b", "tile.wire"), stage("logic", 0.25, "tile.b"),
              stage("routing", 2.0, "tile.c", "tile.other"), stage("setup", 0.0, "tile.c")]
    outside = [stage("source", 0.0, "rst"), stage("routing", 30.0, "reset", "rst")]
    return {
        "utilization": {"TRELLIS_COMB": {"used": 12, "available": 100}, "TRELLIS_FF": {"used": 3, "available": 100}},
        "fmax": {"$glbnet$clk": {"achieved": 250.0, "constraint": 100}},
        "critical_paths": [{"from": OUTSIDE, "to": CLOCK, "path": outside}, {"from": CLOCK, "to": CLOCK, "path": inside},
                           {"from": CLOCK, "to": OUTSIDE, "path": outside},
                           {"from": OUTSIDE, "to": OUTSIDE, "path": outside}],
    } | changes


def test_report():
    """Sites, speed, and of the paths the one inside."""
    read = nextpnr.read_report(json.dumps(report()))
    assert read.used == {"TRELLIS_COMB": (12, 100), "TRELLIS_FF": (3, 100)} and read.fmax_mhz == 250
    assert read.path == (Step("clk-to-q", 0.5, "tile.a"), Step("routing", 1.25, "tile.b", "tile.wire"),
                         Step("logic", 0.25, "tile.b"), Step("routing", 2.0, "tile.c", "tile.other"),
                         Step("setup", 0.0, "tile.c"))
    assert sum(step.ns for step in read.path) == 1000 / read.fmax_mhz


def test_report_without_a_clock():
    """Nothing from register to register: no speed, no path."""
    read = nextpnr.read_report(json.dumps(report(fmax={}, critical_paths=[])))
    assert read.fmax_mhz is None and read.path == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", json.dumps(report(utilization={"X": {"used": 1}})),
                                  json.dumps(report(critical_paths=[{"from": CLOCK, "to": CLOCK, "path": [{}]}]))])
def test_no_report(text):
    """Says so."""
    with pytest.raises(ToolError, match="report cannot be read"):
        nextpnr.read_report(text)


LOG = """Info: Total LUT4s:     90/100    90%
Info: Device utilisation:
Info: \t          TRELLIS_IO:       4/    365     1%
Info: \t        TRELLIS_COMB:   {luts}/  24288    80%
Info: \t              DP16KD:       2/     56     3%
{more}
"""


def test_log():
    """The table of sites and nothing before it; no table, no sites."""
    log = LOG.format(luts=19504, more="Info: Placed 0 cells based on constraints.")
    assert nextpnr.read_used(log) == {"TRELLIS_IO": (4, 365), "TRELLIS_COMB": (19504, 24288), "DP16KD": (2, 56)}
    assert nextpnr.does_not_fit(log) is None and nextpnr.read_used("Info: Total LUT4s: 3/4 75%") == {}


@pytest.mark.parametrize(("luts", "more", "why"), [
    (30_000, "ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'TRELLIS_COMB'",
     "too large: TRELLIS_COMB 30,000 of 24,288"),
    (20_000, "ERROR: Unable to find legal placement for cell 'x' after 10 attempts.", "Unable to find legal placement"),
    (20_000, "ERROR: cannot open netlist.json", None),
])
def test_why_not(luts, more, why):
    """What does not fit is an answer; any other error is a failure."""
    found = nextpnr.does_not_fit(LOG.format(luts=luts, more=more))
    assert found is None if why is None else found.startswith(why)


def test_phases():
    """In their order, and nothing else changes what is said."""
    said = ["Info: Packing IOs..", "Info: Packing LUTs...", "Info: Running Static placer...",
            "Info: Running main analytical placer, max", "Info:     iter=2 wires=3", "Info: Running router2...",
            "Info: Critical path report for clock 'clk'"]
    assert list(map(nextpnr.phase, said)) == ["packing", "packing", "placing", "placing", None, "routing", "measuring"]
