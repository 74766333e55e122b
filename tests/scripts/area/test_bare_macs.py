"""The yardstick of the MAC array computes what an element computes, in every weight format."""

import subprocess

import numpy as np
import pytest

from tests.support.tools import require_icarus
from trajectile.scripts.area import bare_macs
from trajectile.sw_model.config import load

E2M1 = np.array([0, 1, 2, 3, 4, 6, 8, 12])


def word(values, bits):
    """A Verilog number of some fields, the first lowest."""
    return f"{len(values) * bits}'h{sum((int(value) % 2**bits) << bits * i for i, value in enumerate(values)):x}"


@pytest.mark.parametrize("weights", ["mx8", "int4", "mxfp4"])
@pytest.mark.parametrize("mantissa", [0, 3])
def test_the_dot_product(weights, mantissa, tmp_path):
    """Two blocks of 32 inputs, three cycles: what ``bare_dot`` adds up, against NumPy."""
    require_icarus()
    config = load("paper", [f"tile.weights={weights}", f"tile.scale_mantissa={mantissa}", "tile.mac_k=64"])
    rng, tile, total, steps = np.random.default_rng(1), config.tile, 0, ["clear = 1; #1 clk = 1; #1 clk = 0; clear = 0;"]
    for _ in range(3):
        activations = rng.integers(-127, 128, (2, 32))
        codes = rng.integers(0, 16, (2, 32)) if weights == "mxfp4" else rng.integers(-8, 8, (2, 32))
        values = np.where(codes < 8, 1, -1) * E2M1[codes % 8] if weights == "mxfp4" else codes
        shifts, factors = rng.integers(0, 11, 2), rng.integers(0, 8, 2)
        total += int(np.sum((activations * values).sum(axis=1) * ((8 + factors) if mantissa else 1) << shifts))
        steps.append(f"a = {word(activations.ravel(), 8)}; b = {word(codes.ravel(), tile.code_bits)}; "
                     f"s = {word(shifts, 4)}; m = {word(factors, 3)}; #1 clk = 1; #1 clk = 0;")
    (tmp_path / "bench.v").write_text(bare_macs.verilog(config)["bare_dot"] + f"""
module bench;
  reg clk = 0, clear; reg [511:0] a; reg [{64 * tile.code_bits - 1}:0] b; reg [7:0] s; reg [5:0] m;
  wire signed [{config.sum_bits - 1}:0] total;
  bare_dot dot(clk, clear, a, b, s, m, total);
  initial begin {" ".join(steps)} $display("%0d", total); end
endmodule
""")
    subprocess.run(["iverilog", "-g2005", "-o", "bench", "bench.v"], cwd=tmp_path, check=True)
    said = subprocess.run(["vvp", "bench"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert int(said.stdout) == total
