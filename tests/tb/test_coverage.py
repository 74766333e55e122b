"""Functional coverage: watches see what happens and only that, and every point of the list is watched."""

import re

from tests.support.batches import exact, synthetic
from trajectile.hw.design import design
from trajectile.sw_model.config import load
from trajectile.tb import clocked, coverage
from trajectile.tb.coverage_points import POINTS, Point
from trajectile.tb.instruments import Instruments
from trajectile.tb.top import TOP

BENCH = f"""module {TOP} (input wire clk);
    reg [3:0] count = 0;
    trajectile_part part (.clk(clk), .rst(count < 2), .value(count));
    always @(posedge clk) begin
        count <= count + 1;
        if (count == 9) $finish;
    end
endmodule
module trajectile_part (input wire clk, input wire rst, input wire [3:0] value);
    wire high = value > 7;
endmodule
module trajectile_other (input wire clk);
endmodule
"""


def test_a_watch_sees_what_happens(simulator, tmp_path):
    """Once in an instance; not in reset; not what never happens; not what the module does not know, or another one does."""
    points = [Point(name, module, when, "") for name, module, when in (
        ("a.high", "part", "high"), ("a.three", "part", "value == 3"), ("a.one", "part", "value == 1"),
        ("a.ten", "part", "value == 10"), ("a.low", "part", "low"), ("b.high", "other", "high"))]
    built = clocked.build(coverage.instrumented({"bench.v": BENCH}, points), simulator)
    said = clocked.run(built, tmp_path)
    assert coverage.hits(said) == {"a.high", "a.three"} and said.count("a.high") == 1


def test_hits_are_merged(tmp_path):
    """Of all runs."""
    for said in ("x\nCOVERED a.b\nNOT COVERED a.d", "COVERED a.b", "COVERED a.e"):
        (tmp_path / "run.log").write_text(f"{said}\n")
        coverage.keep(tmp_path / "run.log", tmp_path / "hits")
    assert coverage.merged(tmp_path / "hits") == {"a.b", "a.e"} and len(list((tmp_path / "hits").iterdir())) == 2


def test_every_point_is_watched():
    """In builds with everything in them, once in a module; and each has a line of meaning."""
    # in a line of three tiles flits pass the one between; words of 64 inputs have two blocks
    seen = set()
    for changes in (["link.crc_bits=16", "tile.protect=secded", "array.cols=3", "array.dataflows=both", "layer.bias=true",
                     "tile.scale_mantissa=3"],
                    ["tile.mac_k=64", "layer.d_model=128"]):
        files = coverage.instrumented(design(load("smoke", changes)).files())
        watched = re.findall(r'"COVERED (\S+)"', "".join(files.values()))
        assert len(watched) == len(set(watched))
        seen.update(watched)
    assert seen == {point.name for point in POINTS}
    assert all(point.meaning and re.fullmatch(r"[a-z]+\.[a-z_]+", point.name) for point in POINTS)


def test_a_batch_with_watches(icarus, tmp_path):
    """They change nothing, and see the rules fire."""
    config = load("smoke")
    exact(config, synthetic(config, 12, 7), tmp_path / "run", simulator=icarus,
          instruments=Instruments(coverage=tmp_path / "hits"))
    found = coverage.merged(tmp_path / "hits")
    assert {"load.stop", "grant.stop", "compute.first", "forward.own", "release.one", "wait.mac", "flit.tail"} <= found
    assert not {name for name in found if name.startswith(("error.", "refused.", "frame.", "memory."))}
