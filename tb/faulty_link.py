"""The link of an array with the faulty PHY in place of the good one: Verilog with the same ports."""

import re
from pathlib import Path

#: the module that does it, whatever the frame is
CORE = Path(__file__).parent / "rtl" / "faulty_link.v"

_PORT = re.compile(r"^  (input|output) (?:wire|reg) (?:\[(\d+):0\] )?(near__\w+|far__\w+)\b", re.M)


def faulty_link(text: str, latency_cycles: int) -> str:
    """``trajectile_d2d_link`` with the ports of the emitted one, ``text``, whose frames go through ``tb/rtl/faulty_link.v``.

    A frame is all that comes in at the near end, the first port in the lowest bits; without a link layer that is all lanes.

    Raises:
        ValueError: if the ports at the far end are not those at the near end.
    """
    ports = {name: (direction, int(high or 0) + 1) for direction, high, name in _PORT.findall(text)}
    # a clock that goes with the frames goes beside them here, too
    clock = ports.pop("near__clk", None) and ports.pop("far__clk")
    near = [name for name, (direction, _) in ports.items() if direction == "input"]
    # of the lanes, the flit is a stream at the near end
    far_of = {"near__flit__valid": "far__flit_valid", "near__flit__payload": "far__flit"}
    far = [far_of.get(name, name.replace("near__", "far__")) for name in near]
    if not near or any(ports.get(b) != ("output", ports[a][1]) for a, b in zip(near, far, strict=True)):
        raise ValueError(f"no link: ports {ports}")
    width = sum(ports[name][1] for name in near)
    offered = {"near__flit__valid": "near__flit__valid & ~hold", "near__frame": f"hold ? {width}'d0 : near__frame"}
    declared = [f"    {direction} wire {f'[{bits - 1}:0] ' if bits > 1 else ''}{name}"
                for name, (direction, bits) in ({name: ("input", 1) for name in ("clk", "rst", "hold")}
                                               | ports | ({"near__clk": ("input", 1), "far__clk": ("output", 1)} if clock
                                                          else {})).items()]
    ready = "    assign near__flit__ready = ~hold;\n" if "near__flit__ready" in ports else ""
    passed = "    assign far__clk = near__clk;\n" if clock else ""
    return ("module trajectile_d2d_link (\n" + ",\n".join(declared) + "\n);\n" + ready + passed
            + f"    faulty_link #(.WIDTH({width}), .LATENCY({latency_cycles})) pipe (\n"
            + "        .clk(clk),\n        .rst(rst),\n"
            + "        .near({" + ", ".join(offered.get(name, name) for name in reversed(near)) + "}),\n"
            + "        .far({" + ", ".join(reversed(far)) + "})\n    );\nendmodule\n")
