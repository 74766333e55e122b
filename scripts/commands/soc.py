"""A system on a chip around the array, for an FPGA board with DDR3: generated, simulated with its firmware, built."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trajectile.hw.design import design
from trajectile.scripts.board import bitstream, firmware, layout, simulation, system, toy
from trajectile.scripts.board.job import BoardJob
from trajectile.scripts.board.port import Port
from trajectile.scripts.board.run import Machine, run_job
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.batch import add_dataflow
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow import workload
from trajectile.scripts.folders import private
from trajectile.scripts.fpga import nextpnr
from trajectile.scripts.fpga.flow import helpers
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.schedule.scheduler import ORDERS

DEFAULT_CONFIG = "board"
#: of the board, and so of the simulation
CLOCK_MHZ = simulation.CLOCK_HZ / 1e6
#: of the UART on the board
BAUD = 1_000_000
#: what a text has no say in: its batches have one token each, int32 results, and the firmware's order and dataflow
OF_BATCHES = {"tokens": None, "batches": 2, "order": "balanced", "dataflow": "spread", "bf16": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile soc``."""
    parser.add_argument("--simulate", action="store_true", help="run the system with its firmware in Verilator: batches, "
                        "checked by the firmware and once more here")
    parser.add_argument("--port", metavar="DEVICE", type=Path, help="run the same on a board with the bitstream, at this "
                        "serial port")
    parser.add_argument("--tokens", metavar="N", type=int, help="of a batch (default: as many as there "
                        "is room for, 64 at the most)")
    parser.add_argument("--batches", metavar="N", type=int, default=OF_BATCHES["batches"],
                        help="one after the other (default 2)")
    parser.add_argument("--order", choices=ORDERS, default=OF_BATCHES["order"], help="load order (default balanced)")
    add_dataflow(parser)
    parser.add_argument("--bf16", action="store_true", help="results in bf16 (default int32)")
    parser.add_argument("--prompt", metavar="TEXT", help="with --simulate or --port, in place of batches: the firmware goes "
                        "on with this text, the toy model's experts on the array and all else on its processor")
    parser.add_argument("--bytes", metavar="N", type=int, default=4, help="with --prompt: bytes to write (default 4)")
    parser.add_argument("--build", action="store_true", help="for the board: synthesis, place and route, bitstream; needs "
                        "nextpnr, and some twenty minutes")
    parser.add_argument("--clock", metavar="MHZ", type=float, default=CLOCK_MHZ,
                        help=f"of the system on the board (default {CLOCK_MHZ:g}); DDR3 has twice as much")
    parser.add_argument("--seed", type=int, default=1, help="of weights and tokens that are drawn; with --build, of the "
                        "placer (default 1)")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path,
                        help="folder for Verilog, pins and firmware of the board (default build/soc/CONFIG)")


def runs(args: argparse.Namespace) -> bool:
    """Whether something is to run, in a simulation or on a board."""
    return args.simulate or args.port is not None


def checked(args: argparse.Namespace, config: Config) -> None:
    """Whether the arguments are legal, and the configuration can stand on the board.

    Raises:
        UserError: if not.
    """
    if not 1 <= args.batches <= 1000:
        raise UserError(f"--batches = {args.batches} is not legal; legal values: 1 to 1000")
    if args.simulate and args.port:
        raise UserError("--simulate is not legal with --port")
    if runs(args) and (args.build or args.clock != CLOCK_MHZ):
        raise UserError(f"--{'build' if args.build else f'clock = {args.clock:g}'} is not legal with --simulate or --port")
    if not 24 <= args.clock <= 100:
        raise UserError(f"--clock = {args.clock:g} is not legal; legal values: 24 to 100")
    layout.check(config)
    if args.dataflow == "shared" and not config.array.shares:
        raise UserError(f"--dataflow = shared is not legal with array.dataflows = {config.array.dataflows}; legal: spread, "
                        "auto")
    if args.prompt is not None:
        if not runs(args):
            raise UserError("--prompt is not legal without --simulate or --port")
        for name, default in OF_BATCHES.items():
            if getattr(args, name) != default:
                raise UserError(f"--{name} = {getattr(args, name)} is not legal with --prompt; legal: without it")
        toy.check(config)
        length = len(args.prompt.encode())
        if not length:
            raise UserError("--prompt = '' is not legal; legal: at least one byte")
        if not 1 <= args.bytes <= toy.CONTEXT + 1 - length:
            raise UserError(f"--bytes = {args.bytes} is not legal after a prompt of {length} bytes; legal: at least 1, "
                            f"{toy.CONTEXT + 1} together")


def simulated(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Batches or a text through the simulated system: what ``--json`` has of it."""
    with terminal.status("building the simulation, once for this design"):
        folder = simulation.build(config)
    began = time.monotonic()
    with simulation.Board(folder, spoken(args)) as machine:
        values = done(args, config, machine)
        cycles = machine.cycles
    return {**values, "simulated_cycles": cycles, "seconds": round(time.monotonic() - began, 1)}


def on_board(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """The same through a board at a serial port."""
    began = time.monotonic()
    with Port(args.port, BAUD, spoken(args)) as machine:
        values = done(args, config, machine)
    return {**values, "port": str(args.port), "seconds": round(time.monotonic() - began, 1)}


def spoken(args: argparse.Namespace) -> Callable[[str], None]:
    """Shows what the firmware says."""
    console = terminal.console(args)
    return lambda text: console.print(text, end="", highlight=False, markup=False, soft_wrap=True)


def done(args: argparse.Namespace, config: Config, machine: Machine) -> dict[str, Any]:
    """What came of batches or of a text."""
    machine.command()
    values = batches(args, config, machine) if args.prompt is None else text(args, config, machine)
    return {**values, "equal": not values["wrong"]}


def batches(args: argparse.Namespace, config: Config, machine: Machine) -> dict[str, Any]:
    """Batches of drawn tokens."""
    work = workload.load(config, tokens=args.tokens, seed=args.seed)
    plan = planned(config, work.topk_ids, args.order, args.dataflow)
    done = run_job(machine, BoardJob(config, plan, work.given.batch, work.given.layer, batches=args.batches, bf16=args.bf16))
    return {"source": work.source, "tokens": len(work.topk_ids), "batches": args.batches, "dataflow": plan.dataflow,
            "wrong": done.wrong, "cycles": done.cycles, "cycles_with_driver": done.with_driver}


def text(args: argparse.Namespace, config: Config, machine: Machine) -> dict[str, Any]:
    """A text of the toy model."""
    done = toy.write_text(machine, config, args.prompt.encode(), args.bytes)
    return {"source": "the toy model", "prompt": args.prompt, "text": done.text.decode("latin-1"),
            "numpy": done.wanted.decode("latin-1"), "batches": done.batches, "wrong": done.wrong,
            "cycles": done.batch_cycles, "text_cycles": done.cycles}


def generated(args: argparse.Namespace, config: Config) -> dict[str, Any]:
    """Verilog, pins and firmware for the board; with ``--build``, what came of place and route."""
    folder = args.output or Path("build/soc") / config.name
    values: dict[str, Any] = {}
    with terminal.status("generating the system") as line, private(folder, keep_failed=True) as place:
        made = design(config)
        parts = system.for_board(config, made, args.clock * 1e6, BAUD)
        (place / "firmware").mkdir()
        program = firmware.compile_into(place / "firmware", parts)
        system.set_rom(parts, firmware.rom_words(program))
        sources = system.write_project(parts, place, made)
        script = {f"{system.NAME}.ys": bitstream.script(sources, made)}
        for name, content in (script | helpers(bitstream.TARGET.family)).items():
            (place / name).write_text(content, encoding="utf-8")
        if args.build:
            line.update("synthesizing")
            netlist = bitstream.synthesize(place, sources, made)
            routed = bitstream.place_and_route(netlist, place, args.seed, lambda said: _phase(said, line.update))
            values = bitstream.values_of(netlist, routed, args.seed)
            values["bitstream"] = str(folder / routed.bitstream.name) if routed.bitstream else None
    return {"folder": str(folder), "sources": sources, "firmware_bytes": len(program), "dram_bytes": parts.memory.size,
            "clock_mhz": args.clock, **values}


def _phase(said: str, update: Callable[[str], None]) -> None:
    """Tell what nextpnr does now, if this line of its log says so."""
    phase = nextpnr.phase(said)
    if phase:
        update(phase)


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile soc``: exit code 1 if results differ, or if the system does not fit or is too slow for its clock."""
    checked(args, config)
    if args.port is None:
        system.check()
        firmware.check()
    if args.build:
        nextpnr.check(bitstream.TARGET.family)
    values: dict[str, Any] = {"config": {"name": config.name, **config.as_dict}}
    console = terminal.console(args)
    if runs(args):
        values |= simulated(args, config) if args.simulate else on_board(args, config)
        for message in values["wrong"]:
            console.print(message, style="bold red", highlight=False, markup=False, soft_wrap=True)
        verdict = "[green]equal[/] to the golden model, bit for bit" if values["equal"] else "[bold red]NOT EQUAL[/]"
        console.print(f"results in memory  {verdict}", highlight=False)
        if args.prompt is None:
            console.print(f"cycles of a batch  {', '.join(f'{count:,}' for count in values['cycles'])}; seen by the firmware "
                          f"{', '.join(f'{count:,}' for count in values['cycles_with_driver'])}", highlight=False)
        else:
            console.print(f"text               {values['text']!r}, NumPy {values['numpy']!r}\n"
                          f"cycles             {values['text_cycles']:,}, {sum(values['cycles']):,} of them in "
                          f"{values['batches']} batches", highlight=False, markup=False, soft_wrap=True)
        if args.simulate:
            console.print(f"this machine       {values['simulated_cycles']:,} cycles in {values['seconds']} s",
                          highlight=False)
        else:
            console.print(f"on the board       {values['seconds']} s, loading included", highlight=False)
    else:
        values |= generated(args, config)
        console.print(f"{values['folder']}: {', '.join(values['sources'])}, soc.lpf, firmware of "
                      f"{values['firmware_bytes']:,} bytes", highlight=False, soft_wrap=True)
        if args.build:
            bitstream.show(values, console)
    terminal.answer(args, values)
    return Exit.DONE if values.get("equal", True) and values.get("met", True) else Exit.NOT_EXACT
