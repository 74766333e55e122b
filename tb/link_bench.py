"""Two link layers, a faulty PHY each way, and as much traffic as fits: what a link carries, and whether it is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trajectile.hw.d2d.link import D2DLink
from trajectile.hw.d2d.link_layer import LinkLayer
from trajectile.hw.lib.emitter import Emitter
from trajectile.hw.params import Params
from trajectile.sw_model.config import ArrayConfig, Config
from trajectile.tb import clocked, faults, faulty_link
from trajectile.tb.faults import Injected, LinkFaults
from trajectile.tb.runner import Build
from trajectile.tb.top import TOP, span

#: the two ends as an array, to name its links
_PAIR = ArrayConfig(rows=1, cols=2, ddr_tiles=(0,))
_END = Path(__file__).parent / "rtl" / "link_end.v"


@dataclass(frozen=True)
class Measured:
    """What came through in a run, both directions together."""

    #: cycles in which flits were counted; fewer than asked for if the link went down
    cycles: int
    #: flits that came in them
    flits: int
    #: what the link layers counted: DATA frames sent (first time and again), replays, spoilt frames
    sends: int
    replays: int
    bad: int
    #: flits, count words, requests, grants, permits, credits that differ from what was sent, come twice or unasked
    wrong: int
    #: flits that were taken and had not come when everything had come to rest; directions whose permits are not as many
    lost: int
    #: an end has found the link down
    down: bool
    #: everything came to rest, or the link is down
    ended: bool
    #: what the PHYs did
    injected: Sequence[Injected]

    @property
    def goodput(self) -> float:
        """Flits per cycle and direction: the share of the link rate."""
        return self.flits / (2 * self.cycles) if self.cycles else 0.0

    @property
    def undetected(self) -> int:
        """Errors that the link layer let through."""
        return self.wrong + self.lost


def _bench(config: Config) -> str:
    params = Params(config)
    lanes = {"flit": params.flit_layout.size, "request": params.request_layout.size, "grant": params.grant_layout.size,
             "count": params.count_layout.size,
             **({"permit": params.permit_layout.size} if config.array.shares else {})}
    # reset, then full rate until the PHY's faults begin
    warm = 8 + 8 * config.link_flight_cycles
    body = []
    for end in range(2):
        wires = [("flit_ready", 1), ("credit", 1), ("rx_credit", 1)]
        for lane, width in lanes.items():
            wires += [(f"{way}{lane}{part}", bits) for way in ("", "rx_") for part, bits in (("_valid", 1), ("", width))]
        wires += [("frame", params.frame_bits), ("far", params.frame_bits), ("down", 1), ("sends", 1), ("replays", 1),
                  ("bad", 1), ("quiet", 1),
                  *((name, 64) for name in ("counted", "taken", "received", "given", "permitted", "wrong"))]
        body += [f"    wire {span(width)}{name}_{end};\n" for name, width in wires]
        parameters = ", ".join(f".{lane.upper()}_BITS({width})" for lane, width in lanes.items())
        ports = {"clk": "clk", "rst": "rst", "run": "run", "counting": "count"}
        named = [name for name, _ in wires if name not in ("frame", "far", "down", "sends", "replays", "bad")]
        body.append(f"    link_end #({parameters}, .CREDITS({config.link_credits})) end_{end} (\n        "
                    + ", ".join([*(f".{port}({name})" for port, name in ports.items()),
                                 *(f".{name}({name}_{end})" for name in named)])
                    + ");\n")
        lane_ports = {"lanes__tx__flit__valid": "flit_valid", "lanes__tx__flit__payload": "flit",
                      "lanes__tx__flit__ready": "flit_ready", "lanes__tx__credit": "credit", "lanes__rx__credit": "rx_credit",
                      "pins__tx__frame": "frame", "pins__rx__frame": "far"}
        lane_ports |= {f"lanes__{way}__{lane}{part}": f"{'rx_' if way == 'rx' else ''}{lane}{part}"
                       for way in ("tx", "rx") for lane in lanes for part in ("_valid", "")
                       if (way, lane) != ("tx", "flit")}
        lane_ports |= {"status__down": "down", "status__frames": "sends", "status__replays": "replays",
                       "status__errors": "bad"}
        body.append(f"    trajectile_link_layer layer_{end} (\n        .clk(clk), .rst(rst), "
                    + ", ".join(f".{port}({name}_{end})" for port, name in lane_ports.items()) + ");\n")
        body.append(f"    trajectile_d2d_link link_{end}_to_{1 - end} (.clk(clk), .rst(rst), .hold(1'b0), "
                    f".near__frame(frame_{end}), .far__frame(far_{1 - end}));\n")
    return f"""// Goodput bench of configuration '{config.name}'. Generated.
`timescale 1ns / 1ps
module {TOP} (input wire clk);
    reg [31:0] fault_run;
    reg [63:0] cycle, cycles, patience, sends, replays, bad;
    reg run, count, ended, rested;
    wire rst = cycle < 4;
    initial begin
        cycle = 0;
        fault_run = 0;
        run = 0;
        count = 0;
        ended = 0;
        sends = 0;
        replays = 0;
        bad = 0;
        patience = 0;
        if (!$value$plusargs("cycles=%d", cycles)) cycles = 1000;
    end
{"".join(body)}    wire down = down_0 || down_1;
    wire permits = given_0 == permitted_1 && given_1 == permitted_0;
    wire rest = quiet_0 && quiet_1 && taken_0 == received_1 && taken_1 == received_0 && permits;
    always @(posedge clk) begin
        cycle <= cycle + 1;
        if (cycle == 5) run <= 1;
        if (cycle == {warm}) begin
            fault_run <= 1;
            count <= 1;
        end
        if (fault_run != 0) begin
            sends <= sends + sends_0 + sends_1;
            replays <= replays + replays_0 + replays_1;
            bad <= bad + bad_0 + bad_1;
        end
        if (count && (down || cycle == {warm} + cycles)) begin
            run <= 0;
            count <= 0;
            cycles <= cycle - {warm};
        end
        if (cycle > {warm + 1} && !count) begin
            patience <= patience + 1;
            // at rest for good: nothing may come twice afterwards either
            if (!ended && (down || rest || patience == 64'd{100 * config.link_down_cycles})) begin
                ended <= 1;
                patience <= 0;
                fault_run <= 0;
                rested <= down || rest;
            end
            if (ended && patience == {4 * config.link_timeout_cycles}) begin
                $display("cycles %0d flits %0d sends %0d replays %0d bad %0d wrong %0d lost %0d down %0d ended %0d", cycles,
                         counted_0 + counted_1, sends, replays, bad, wrong_0 + wrong_1,
                         down ? 64'd0 : taken_0 - received_1 + taken_1 - received_0
                                        + (given_0 != permitted_1) + (given_1 != permitted_0), down, rested);
                $finish;
            end
        end
    end
endmodule
"""


def build(config: Config) -> Build:
    """Compile the bench.

    Raises:
        SimulationError: if Verilator is missing or fails.
    """
    params, emitter = Params(config), Emitter()
    emitter.emit(LinkLayer(params))
    emitter.emit(D2DLink(params))
    modules = emitter.verilog()
    phy = faulty_link.faulty_link(modules.pop("trajectile_d2d_link"), config.link.latency_cycles)
    texts = {"bench.v": _bench(config), "link_layer.v": "\n".join(modules.values()), "phy.v": phy}
    return clocked.build(texts | {path.name: path.read_text(encoding="utf-8") for path in (_END, faulty_link.CORE)})


def measure(made: Build, folder: Path, what: LinkFaults, *, cycles: int, seed: int) -> Measured:
    """Count flits for some cycles with faults in both directions, then let everything come to rest.

    Raises:
        SimulationError: if the simulation stops otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = clocked.run(made, folder, [*faults.write_plan(_PAIR, [(seed, [what])], folder), f"+cycles={cycles}"])
    words = next(line for line in shown.splitlines() if line.startswith("cycles ")).split()
    counts = dict(zip(words[::2], map(int, words[1::2]), strict=True))
    down, ended = bool(counts.pop("down")), bool(counts.pop("ended"))
    return Measured(**counts, down=down, ended=ended, injected=tuple(faults.injected(folder / faults.LOG).values()))
