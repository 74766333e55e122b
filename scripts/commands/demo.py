"""The whole path on one batch: Verilog, simulation against the golden model, area, a report; then the toy model writes."""

import argparse
from dataclasses import replace
from pathlib import Path

from trajectile.hw.design import design
from trajectile.scripts.area.synthesis import synthesize
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.batch import add_run_arguments, simulated
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.command_line.tables import simulation_table
from trajectile.scripts.commands import chat
from trajectile.scripts.commands.report import command_line
from trajectile.scripts.flow.workload import is_toy
from trajectile.scripts.folders import private
from trajectile.scripts.json_file import write_json
from trajectile.scripts.plots import batch as picture
from trajectile.scripts.report import page
from trajectile.scripts.soc import bundle
from trajectile.sw_model.config import Config

#: the configuration without CONFIG
DEFAULT_CONFIG = "demo"
#: what the toy model writes at the end
TEXT_BYTES = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile demo``: those of ``simulate`` that choose a batch and a simulator."""
    add_run_arguments(parser)
    parser.add_argument("--waves", action="store_true", help="record waves into the output folder")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile demo``. The Verilog is generated once, for the simulation; what is not built of it is generated after."""
    console = terminal.console(args)
    # one build for the batch and for what is written after it
    writes = is_toy(config) and not (args.timing_only or args.waves) and args.simulator in (None, "native")
    if writes:
        args.simulator = "native"
    folder = args.output or Path("build") / config.name
    with private(folder, keep_failed=True) as work:
        done = replace(simulated(args, config, console, work, waves=args.waves,
                                 layers=chat.blocks() if writes else 1), folder=folder)
        values = done.summary()
        with terminal.status("synthesizing the tile"):
            made = design(config) if args.timing_only else done.design
            verilog = [folder / "verilog" / path.name for path in bundle.write(made, work / "verilog")]
            area = synthesize(config, work / "area", made=made)
        picture.timeline_picture(config, done.events, done.cycles, work / picture.FILE,
                                 f"{done.load.source}, order {args.order}: {done.cycles:,} cycles "
                                 f"({done.cycles / max(done.roofline.cycles, 1):.3f} of the roofline)")
        for name, content in (("run.json", values), ("area.json", area)):
            write_json(work / name, content)
        page.write(work / page.FILE, config, done.plan, done.events, values, area, command_line(args, "demo"))
    report = folder / page.FILE
    console.print(simulation_table(values))
    cells, srams = (f"{area['totals'][key] / 1e6:.2f} mm2" for key in ("cell_area", "sram_area"))
    console.print(f"area of a tile    {cells} of cells, {srams} of SRAM macros, {area['technology']['title']}\n"
                  f"                  (by block: trajectile synthesize {args.config})\n", highlight=False, soft_wrap=True)
    written = chat.written(config, console, TEXT_BYTES) if writes else {}
    terminal.answer(args, values | {"area": area, "chat": written, "verilog": [str(path) for path in verilog],
                                    "picture": str(folder / picture.FILE), "report": str(report)})
    console.print(f"\nVerilog      {folder / 'verilog'}\nreport       {report}\npicture      {folder / picture.FILE}\n"
                  f"numbers      {folder / 'run.json'}, {folder / 'area.json'}", highlight=False)
    return Exit.DONE if done.exact and written.get("equal", True) else Exit.NOT_EXACT
