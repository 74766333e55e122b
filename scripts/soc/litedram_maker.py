"""Run by itself, with LiteDRAM's Python: writes the Verilog of a controller with a model of its memory.

Argument: a JSON object with the fields of :class:`trajectile.scripts.soc.litedram_core.Core`, and of its memory. The Verilog
goes to the standard output. This file imports nothing of the project, and nothing of the project imports it.
"""

import json
import re
import sys
from typing import Any

from litedram import modules
from litedram.core.controller import ControllerSettings, LiteDRAMController
from litedram.core.crossbar import LiteDRAMCrossbar
from litedram.frontend.axi import LiteDRAMAXI2Native, LiteDRAMAXIPort
from litedram.phy.model import SDRAM_VERBOSE_OFF, SDRAM_VERBOSE_STD, SDRAMPHYModel
from migen import Module, Signal
from migen.fhdl import verilog

#: signals of an AXI4 read port: channel and field in LiteX, and whether the controller drives it
READ_PORT = {
    "araddr": ("ar", "addr", False), "arlen": ("ar", "len", False), "arsize": ("ar", "size", False),
    "arburst": ("ar", "burst", False), "arvalid": ("ar", "valid", False), "arready": ("ar", "ready", True),
    "rdata": ("r", "data", True), "rresp": ("r", "resp", True), "rlast": ("r", "last", True),
    "rvalid": ("r", "valid", True), "rready": ("r", "ready", False)}


def _part(name: str, rows: int, clock_hz: float, rate: str, speed: str | None) -> Any:
    """A memory part of LiteDRAM's list with another number of rows."""
    kind = type(name, (getattr(modules, name),), {"nrows": rows})
    return kind(clock_hz, rate, speedgrade=speed)


class Controller(Module):
    """Crossbar, controller and model of the memory; ``ports`` AXI4 read ports named ``p<n>_araddr`` and so on.

    There is nothing to initialise: LiteDRAM's model of a PHY needs no training, and mode registers mean nothing to it.
    """

    def __init__(self, core: dict[str, Any]):
        clock_hz, rate = core["clock_mhz"] * 1e6, f"1:{core['phases']}"
        part = _part(core["part"], core["rows"], clock_hz, rate, core["speed"])
        kept = _part(core["part"], core["rows_kept"], clock_hz, rate, core["speed"])
        # rows beyond those that are kept are the same words again; every address line is there
        kept.geom_settings.addressbits = part.geom_settings.addressbits = max(part.geom_settings.addressbits, 11)
        self.submodules.phy = phy = SDRAMPHYModel(
            kept, data_width=8 * core["bytes_per_cycle"] // (2 * core["phases"]), clk_freq=clock_hz,
            we_granularity=0, verbosity=SDRAM_VERBOSE_STD if core["checker"] else SDRAM_VERBOSE_OFF)
        self.submodules.controller = controller = LiteDRAMController(
            phy.settings, part.geom_settings, part.timing_settings, clock_hz,
            ControllerSettings(with_refresh=core["refresh"]))
        self.comb += controller.dfi.connect(phy.dfi)
        self.submodules.crossbar = crossbar = LiteDRAMCrossbar(controller.interface)
        self.ios: set[Any] = set()
        for number in range(core["ports"]):
            native = crossbar.get_port(mode="read")
            axi = LiteDRAMAXIPort(data_width=native.data_width, address_width=core["address_bits"], id_width=1)
            self.submodules += LiteDRAMAXI2Native(axi, native, w_buffer_depth=2, r_buffer_depth=core["buffer_beats"])
            for name, (channel, field, driven) in READ_PORT.items():
                inside = getattr(getattr(axi, channel), field)
                pin = Signal(len(inside), name_override=f"p{number}_{name}")
                self.ios.add(pin)
                self.comb += pin.eq(inside) if driven else inside.eq(pin)


def main() -> None:
    """Write the Verilog; a second line of the header has the timings as the controller counts them."""
    core = json.loads(sys.argv[1])
    made = Controller(core)
    text = str(verilog.convert(made, made.ios, name=core["module"]))
    if core["contents"]:
        # of each bank's memory, its file: the name that the instance gives, and the bank's number
        width = 8 * core["bytes_per_cycle"]
        memory = re.compile(rf"^reg \[{width - 1}:0\] (mem(?:_(\d+))?)\[0:\d+\];$", re.M)
        text, banks = memory.subn(
            lambda found: f'{found[0]}\ninitial $readmemh({{CONTENTS, ".{found[2] or 0}"}}, {found[1]});', text)
        if banks != core["banks"]:
            sys.exit(f"{banks} memories of {core['banks']} banks in LiteDRAM's Verilog")
        text = text.replace(f"module {core['module']}(", f'module {core["module"]} #(parameter CONTENTS = "dram") (', 1)
    # one model of it in Verilator, however many channels there are
    text = text.replace("\n);\n", "\n);\n/* verilator no_inline_module */\n", 1)
    timing = made.controller.settings.timing
    print(f"// timing, in cycles of the controller: "
          f"{json.dumps({name: getattr(timing, name) for name in ('tREFI', 'tRFC', 'tRP', 'tRCD')})}")
    print(text)


if __name__ == "__main__":
    main()
