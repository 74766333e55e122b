"""A batch through the RTL, checked against the golden model."""

import argparse
from pathlib import Path

from trajectile.scripts.area import technology
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.batch import add_run_arguments, simulated
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.command_line.tables import simulation_table
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.simulation import DDR_CORES
from trajectile.scripts.soc import litedram_core
from trajectile.sw_model.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile simulate``."""
    add_run_arguments(parser)
    parser.add_argument("--ddr", choices=tuple(DDR_CORES), help="a controller with refresh and this memory behind each "
                        "DDR port, in place of the model of latency and rate (pip install 'trajectile[litedram]'; "
                        "docs/ddr.md)")
    parser.add_argument("--waves", action="store_true", help="record waves into the output folder, "
                        "with a save file for GTKWave")
    parser.add_argument("--gate-level", action="store_true", help="the synthesized netlist in place of the tile's Verilog: "
                        "for small configurations; on Icarus where it is installed, with x until reset")
    parser.add_argument("--liberty", metavar="FILE", type=Path, action="append", default=[],
                        help="with --gate-level: Liberty file of the cells, as for synthesize; may be repeated")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile simulate``."""
    console = terminal.console(args)
    if args.liberty and not args.gate_level:
        raise UserError("--liberty is not legal without --gate-level")
    if args.ddr:
        litedram_core.check()
    cells = technology.load(paths=args.liberty) if args.gate_level else None
    done = simulated(args, config, console, args.output or Path("build/run") / config.name, waves=args.waves, cells=cells,
                     ddr=args.ddr or "")
    values = done.summary()
    terminal.answer(args, values)
    console.print(simulation_table(values))
    return Exit.DONE if done.exact else Exit.NOT_EXACT
