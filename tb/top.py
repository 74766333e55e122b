"""The top of a simulation: the array, and around it models of DDR and io memory, event monitors and sources of random stalls.

Everything that runs every cycle is Verilog, so that the cocotb side wakes only to talk to the host ports.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

from amaranth.hdl import Value
from amaranth.lib.wiring import In, Member, Signature

from trajectile.hw.events import EventPort, PhasePort
from trajectile.hw.host.axi import Axi4, Axi4Read, AxiLite
from trajectile.hw.params import Params
from trajectile.sw_model.config import Config, ceil_div
from trajectile.sw_model.config.topology import links

#: Verilog that the bench needs beside the design
SOURCES = tuple(sorted((Path(__file__).parent / "rtl").glob("*.v")))

#: name of the top module
TOP = "bench_top"
#: batches whose token records fit into the memory behind a tile's io port
IO_BATCHES = 8
#: bits of a tile's count of completion records
COMPLETED_BITS = 8


def io_beats(config: Config) -> int:
    """Beats of the memory from which a tile reads token records."""
    pitch = records_pitch(config)
    return IO_BATCHES * pitch // config.io.bytes_per_cycle


def records_pitch(config: Config) -> int:
    """Bytes from one batch's token records to the next's, in whole pages."""
    return ceil_div(config.tile.tokens * config.record_bytes, 4096) * 4096


def layer_pitch(config: Config) -> int:
    """Bytes of a DDR channel from one layer to the next, in whole pages."""
    return ceil_div(config.channel_slices * config.slice_pitch_bytes, 4096) * 4096


def _members(signature: Signature) -> list[tuple[str, bool, int]]:
    """Name, whether it flows into whoever owns the port as given, and width, of each member."""
    found = signature.flatten(signature.create())
    # amaranth-stubs has a Flow where Amaranth has the Member
    return [("__".join(map(str, path)), cast(Member, member).flow == In, len(Value.cast(value)))
            for path, member, value in found]


def span(width: int) -> str:
    """The range of a vector, as it is declared."""
    return f"[{width - 1}:0] " if width > 1 else ""


def _instance(module: str, name: str, ports: dict[str, str], parameters: dict[str, object] | None = None) -> str:
    head = "" if not parameters else " #(\n" + ",\n".join(
        f"        .{key}({value})" for key, value in parameters.items()) + "\n    )"
    body = ",\n".join(f"        .{port}({wire})" for port, wire in ports.items())
    return f"    {module}{head} {name} (\n{body}\n    );\n"


def _merge(channel: int, own: dict[str, str], pins: list[dict[str, str]], clocked: dict[str, str], params: Params,
           queue_bits: int) -> str:
    """Between the ports of a tile and a channel with one: ``own`` are the channel's wires, ``pins`` those of each port."""
    shared = {"rdata", "rresp", "rlast"}
    every = {f"all_{name}": f"{{{', '.join(one[name] for one in reversed(pins))}}}" for name in own if name not in shared}
    seen = {name: wire for name, wire in own.items() if name not in shared - {"rlast"}}
    return _instance("ddr_merge", f"ddr_merge_{channel}", {**clocked, **every, **seen}, {
        "PORTS": len(pins), "ADDR_BITS": params.address_bits, "BEAT_BITS": params.beat_bits, "QUEUE_BITS": queue_bits,
        "ID": channel,
    }) + "".join(f"    assign {one[name]} = {own[name]};\n" for one in pins for name in sorted(shared))


def bench_top(config: Config, *, timing_only: bool = False, memory_models: bool = True, held_inputs: bool = False,
              link_faults: bool = False, layers: int = 1, ddr_core: str = "") -> str:
    """Verilog of the top.

    Inputs: ``clk``, ``rst``, ``host_<tile>_*`` (AXI4-Lite), ``stall_seed``, ``stall_ddr``, ``stall_io``, ``stall_link``,
    ``ddr_fault`` (three bits per channel), ``ddr_fault_at``, ``io_fault`` (three bits per tile), ``io_fault_at``, ``mark``
    (begin new logs), ``wanted`` (completion records of each tile, counted from the last ``mark`` on). Outputs: ``irq`` (one
    bit per tile), ``all_done`` (every tile has written as many completion records as are wanted). Without ``memory_models``
    DDR and io ports come out as ``ddr_<channel>_*`` and ``io_<tile>_*``, with the IDs that AXI models want (always 0:
    everything stays in order), and there are no faults of theirs. With ``link_faults`` there is ``fault_run``, for
    ``tb/rtl/faulty_link.v``.

    With ``held_inputs`` every input but the clock is taken over at a rising edge of ``host_clk``, which the native simulation
    moves only when it has something to say: Verilator evaluates what follows an input at every call.

    Where tiles have clocks of their own, there are ``clk_<tile>``, ``rst_<tile>`` and ``mark_<tile>`` in place of those of
    all, and all that is around a tile runs in its clock.

    The DDR models have room for so many ``layers``, one behind the other (:func:`layer_pitch`). With ``ddr_core`` a
    controller of this module name, with a model of its memory, stands in place of each of them; it neither stalls nor fails
    at random. Its contents are in the files that begin with ``ddr<channel>``, beside the run.
    """
    params, array = Params(config, timing_only=timing_only), config.array
    own = of_tile(config)
    clocks, resets, marks = ([(name, 1) for name in dict.fromkeys(own(tile)(what) for tile in range(array.tiles))]
                             for what in ("clk", "rst", "mark"))
    inputs: list[tuple[str, int]] = [*clocks, *resets, ("stall_seed", 32), ("stall_ddr", 1), ("stall_io", 1),
                                      ("stall_link", 1), *marks, ("wanted", COMPLETED_BITS)]
    if memory_models:
        inputs += [("ddr_fault", 3 * array.channels), ("ddr_fault_at", 32),
                   ("io_fault", 3 * array.tiles), ("io_fault_at", 32)]
    if link_faults:
        inputs.append(("fault_run", 32))
    outputs: list[tuple[str, int]] = [("irq", array.tiles), ("all_done", 1)]
    wires: list[tuple[str, int]] = []
    body = []
    ports = {"clk": "clk", "rst": "rst"}
    if array.independent:
        ports = {f"{port}__{tile}": own(tile)(name) for port, name in (("clocks", "clk"), ("resets", "rst"))
                 for tile in range(array.tiles)}
    ports |= {"irq": "irq", "link_hold": "link_hold"}
    wires.append(("link_hold", len(links(array))))

    # Members of a signature as its manager sees them: In comes back from the subordinate.
    host = _members(AxiLite())
    for tile in range(array.tiles):
        for name, is_in, width in host:
            (outputs if is_in else inputs).append((f"host_{tile}_{name}", width))
            ports[f"host__{tile}__{name}"] = f"host_{tile}_{name}"
    ddr = _members(Axi4Read(params.address_bits, params.beat_bits))
    beats = layers * layer_pitch(config) // config.ddr.bytes_per_cycle
    for channel, owner in enumerate(array.ddr_tiles):
        pins = {name: f"ddr_{channel}_{name}" for name, _, _ in ddr}
        clocked = {"clk": own(owner)("clk"), "rst": own(owner)("rst")}
        count, queue_bits = config.ddr.ports, (config.loads_in_flight * config.slice_bursts + 1).bit_length()
        if count == 1:
            each = [pins]
            ports |= {f"ddr__{channel}__{name}": wire for name, wire in pins.items()}
        else:
            each = [{name: f"ddr_{channel}_{port}_{name}" for name in pins} for port in range(count)]
            wires += [(one[name], width) for one in each for name, _, width in ddr]
            ports |= {f"ddr__{channel}__{port}__{name}": one[name] for port, one in enumerate(each) for name in pins}
        if count == 1 or not ddr_core:
            for name, is_in, width in ddr:
                (wires if memory_models else inputs if is_in else outputs).append((pins[name], width))
        if ddr_core:
            body.append(_instance(ddr_core, f"ddr_{channel}", {
                "sys_clk": clocked["clk"], "sys_rst": clocked["rst"],
                **{f"p{port}_{name}": wire for port, one in enumerate(each) for name, wire in one.items()}},
                {} if timing_only else {"CONTENTS": f'"ddr{channel}"'}))
            continue
        if count > 1:
            body.append(_merge(channel, pins, each, clocked, params, queue_bits))
        if not memory_models:
            inputs.append((f"ddr_{channel}_rid", 1))
            outputs.append((f"ddr_{channel}_arid", 1))
            body.append(f"    assign ddr_{channel}_arid = 1'b0;\n")
        else:
            faults = f"ddr_fault[{3 * channel + 2}:{3 * channel}]"
            body.append(_instance("ddr_model", f"ddr_{channel}", {
                **clocked, "stall_enable": "stall_ddr", "stall_seed": "stall_seed",
                "fault": faults, "fault_at": "ddr_fault_at", **pins,
            }, {
                "ADDR_BITS": params.address_bits, "BEAT_BITS": params.beat_bits,
                "BEAT_BYTES_LOG2": config.ddr.bytes_per_cycle.bit_length() - 1,
                "LATENCY": config.ddr.latency_cycles, "DEPTH": beats,
                "QUEUE_BITS": queue_bits,
                "DATA": int(not timing_only), "ID": channel, "PLUSARG": f'"ddr{channel}=%s"',
            }))
    io = _members(Axi4(params.address_bits, params.io_bits))
    for tile in range(array.tiles):
        pins = {}
        for name, is_in, width in io:
            # of "read__araddr" the AXI name
            pins[name.split("__")[-1]] = wire = f"io_{tile}_{name.split('__')[-1]}"
            (wires if memory_models else inputs if is_in else outputs).append((wire, width))
            ports[f"io__{tile}__{name}"] = wire
        if not memory_models:
            inputs += [(f"io_{tile}_rid", 1), (f"io_{tile}_bid", 1)]
            outputs += [(f"io_{tile}_arid", 1), (f"io_{tile}_awid", 1)]
            body.append(f"    assign io_{tile}_arid = 1'b0;\n    assign io_{tile}_awid = 1'b0;\n")
        else:
            faults = f"io_fault[{3 * tile + 2}:{3 * tile}]"
            body.append(_instance("io_model", f"io_{tile}", {
                "clk": own(tile)("clk"), "rst": own(tile)("rst"), "mark": own(tile)("mark"), "stall_enable": "stall_io",
                "stall_seed": "stall_seed", "fault": faults, "fault_at": "io_fault_at", **pins,
            }, {
                "ADDR_BITS": params.address_bits, "BEAT_BITS": params.io_bits,
                "BEAT_BYTES_LOG2": config.io.bytes_per_cycle.bit_length() - 1, "LATENCY": config.io.latency_cycles,
                "DEPTH": io_beats(config), "ID": tile, "PLUSARG": f'"io{tile}=%s"',
            }))
    for tile in range(array.tiles):
        monitored = {"summed": "1'b0"}  # where no batch is shared
        for port, signature in (("events", EventPort(params)), ("phases", PhasePort(params))):
            for name, _, width in _members(signature):
                wires.append((f"{port}_{tile}_{name}", width))
                ports[f"{port}__{tile}__{name}"] = f"{port}_{tile}_{name}"
                monitored[{"release": "released", "begin": "begun"}.get(name, name)] = f"{port}_{tile}_{name}"
        clk, rst, mark = map(own(tile), ("clk", "rst", "mark"))
        start = " = 0" if array.independent else ""  # a tile may never see a clock
        body.append(f"    reg [{COMPLETED_BITS - 1}:0] completed_{tile}{start};\n"
                    f"    always @(posedge {clk}) if ({rst} || {mark}) completed_{tile} <= 0;\n"
                    f"        else if (phases_{tile}_complete) completed_{tile} <= completed_{tile} + 1'b1;\n")
        body.append(_instance("event_monitor", f"monitor_{tile}", {"clk": clk, "rst": rst, "mark": mark, **monitored}, {
            "TILE": tile, "SLOTS": config.tile.slots, "SLOT_BITS": params.slot_bits,
            "EXPERT_BITS": params.expert_bits, "INDEX_BITS": params.index_bits}))
    for number, link in enumerate(links(array)):
        body.append(_instance("stall_source", f"hold_{number}", {
            "clk": own(link.tile)("clk"), "rst": own(link.tile)("rst"), "enable": "stall_link", "seed": "stall_seed",
            "stall": f"link_hold[{number}]",
        }, {"ID": 4 * number + 2}))
    body.append(_instance("trajectile_array", "dut", ports))
    held = []
    if held_inputs:
        held = [f"    reg {span(width)}{name};\n    always @(posedge host_clk) {name} <= in_{name};\n"
                for name, width in inputs[len(clocks):]]
        inputs = [*inputs[:len(clocks)], ("host_clk", 1), *((f"in_{name}", width) for name, width in inputs[len(clocks):])]
    done = " && ".join(f"completed_{tile} >= wanted" for tile in range(array.tiles))
    declared = [f"    input wire {span(width)}{name}" for name, width in inputs]
    declared += [f"    output wire {span(width)}{name}" for name, width in outputs]
    return (f"// Bench of configuration '{config.name}'. Generated.\n`timescale 1ns / 1ps\nmodule {TOP} (\n"
            + ",\n".join(declared) + "\n);\n"
            + "".join(f"    wire {span(width)}{name};\n" for name, width in wires)
            + "".join(held) + f"    assign all_done = {done};\n" + "".join(body) + "endmodule\n")


def of_tile(config: Config) -> Callable[[int], Callable[[str], str]]:
    """By tile: the name of what each tile has of its own, where each has a clock, and all have together otherwise."""
    return lambda tile: lambda name: f"{name}_{tile}" if config.array.independent else name


def visible(top: str) -> str:
    """A Verilator control file: cocotb sees the ports of ``top`` and nothing below, so that everything else stays fast."""
    ports = re.findall(r"^    (?:input|output) wire (?:\[\d+:0\] )?(\w+)", top, re.M)
    return "`verilator_config\n" + "".join(f'public_flat_rw -module "{TOP}" -var "{port}"\n' for port in ports)
