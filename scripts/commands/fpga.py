"""A tile or the array on an FPGA: resources by block, speed with its critical path, bitstream."""

import argparse
from pathlib import Path

from trajectile.hw.design import design
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import UserError
from trajectile.scripts.folders import private
from trajectile.scripts.fpga import devices, flow, nextpnr, report, seeds
from trajectile.scripts.fpga.harness import PINS, harness
from trajectile.sw_model.config import Config

#: more take days
MOST_SEEDS = 1000
_PLACERS = sorted({placer for device in devices.DEVICES.values() for placer in device.family.placers})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile fpga``."""
    parser.add_argument("--device", metavar="NAME", default=devices.DEFAULT,
                        help=f"{', '.join(devices.DEVICES)} (default {devices.DEFAULT})")
    parser.add_argument("--package", metavar="NAME", help="its package (default: CABGA381 of an ECP5, of others the "
                        "first that an error names)")
    parser.add_argument("--speed", metavar="GRADE", type=int, help="its speed grade: 6, 7 or 8 of an ECP5, 7, 8 or "
                        "9 of Nexus and GW2A, 1 or 2 of GW5A (default: the slowest)")
    parser.add_argument("--array", action="store_true", help="all tiles with the links between them, in place of one tile")
    parser.add_argument("--clock", metavar="MHZ", type=float, default=100.0,
                        help="what place and route aim at (default 100)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="of the placer (default 1)")
    parser.add_argument("--seeds", metavar="N", type=int, default=1, help="try so many, --seed and those after it, and "
                        "keep the fastest (default 1)")
    parser.add_argument("--placer", metavar="NAME", help=f"of nextpnr: {', '.join(_PLACERS)} (default: static of an "
                        "ECP5, heap of others); another one if routing does not come to an end")
    parser.add_argument("--by-block", action="store_true",
                        help="optimise each block by itself: use by block is exact then, with more look-up tables (default: "
                             "optimisation crosses blocks)")
    parser.add_argument("--pins", metavar="FILE", type=Path, help="places of the four pins: LPF of an ECP5, PDC of Nexus, "
                        "CST of Gowin (default: anywhere)")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path,
                        help="folder for netlist, logs and bitstream (default build/fpga/CONFIG-DEVICE)")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile fpga``: exit code 1 if the design does not fit or is not routed."""
    target = devices.target(args.device, args.package, args.speed)
    for name, low, high in (("clock", 1, 1000), ("seeds", 1, MOST_SEEDS), ("seed", 0, 2**31 - args.seeds)):
        value = getattr(args, name)
        if not low <= value <= high:
            raise UserError(f"--{name} = {value} is not legal; legal values: {low} to {high}")
    if args.pins and not args.pins.is_file():
        raise UserError(f"--pins = {args.pins} is not legal (no such file); legal values: a file ({target.family.pins}) "
                        f"that places {', '.join(PINS)}")
    placer = args.placer or target.family.placers[0]
    if placer not in target.family.placers:
        raise UserError(f"--placer = {placer} is not legal for {target.device.name}; legal values: "
                        f"{', '.join(target.family.placers)}")
    nextpnr.check(target.family)
    folder = args.output or Path("build/fpga") / f"{config.name}{'-array' * args.array}-{target.device.name}"
    with terminal.status("generating the design") as line:
        made = design(config)
        wrapped = harness(made, made.top if args.array else made.tile)
        line.update("synthesizing")
        netlist = flow.synthesize(made, wrapped, target.family, not args.by_block)
        line.update("packing")
        with private(folder, keep_failed=True) as place:
            tried = seeds.place_and_route(netlist, place, range(args.seed, args.seed + args.seeds), line.update,
                                          target=target, freq_mhz=args.clock, placer=placer, pins=args.pins)
    values = report.values_of(made, wrapped, "array" if args.array else "one tile", target, flow.cells(netlist), tried,
                              freq_mhz=args.clock, placer=placer, flat=not args.by_block)
    if tried.routed.bitstream:
        values["bitstream"] = str(folder / tried.routed.bitstream.name)
    terminal.answer(args, values)
    report.show(values, terminal.console(args))
    return Exit.DONE if values["routed"] else Exit.NOT_EXACT
