"""Every device in every package and speed grade is one that nextpnr knows, with pins that any design may use."""

import pytest

from tests.support.tools import require_nextpnr
from trajectile.hw.lib import yosys
from trajectile.scripts.fpga import flow, nextpnr
from trajectile.scripts.fpga.devices import DEVICES, ECP5, GW2A, GW5A, NEXUS, target

#: with the wrapper's ports
DESIGN = """module trajectile_fpga(input clk, rst, serial_in, output reg serial_out);
  always @(posedge clk) serial_out <= serial_in & ~rst;
endmodule
"""


@pytest.mark.regress
@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", [ECP5, NEXUS, GW2A, GW5A], ids=["ecp5", "nexus", "gw2a", "gw5a"])
def test_nextpnr_knows_them(family, tmp_path):
    """A small design is packed for each of them, which places its pins."""
    require_nextpnr(family)
    for name, text in (flow.helpers(family) | {"design.v": DESIGN}).items():
        (tmp_path / name).write_text(text)
    yosys.run(flow.script(family, flat=True), tmp_path)
    tried = 0
    for device in (device for device in DEVICES.values() if device.family is family):
        for package in device.packages:
            for speed in device.speeds:
                one = target(device.name, package, speed)
                (tmp_path / "pins").write_text(one.places)
                # the code says nothing: what is only packed cannot be written
                _, log = nextpnr.run(family.nextpnr, [
                    *family.arguments(device.part, package, speed, "fpga", "pins" if one.places else None), *family.anywhere,
                    "--json", "netlist.json", "--pack-only"], tmp_path, "nextpnr.log")
                assert nextpnr.read_used(log) and not nextpnr.errors(log), f"{one}: {log[-500:]}"
                tried += 1
    assert tried >= 8
