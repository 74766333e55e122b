"""The whole path on one batch: Verilog, simulation against the golden model, area, a report."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from trajectile.scripts.command_line import tables as report
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.commands import generate, simulate, synthesize
from trajectile.scripts.commands import report as run_report
from trajectile.scripts.plots import batch as picture
from trajectile.sw_model.config import Config

#: the configuration without CONFIG
DEFAULT_CONFIG = "demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile demo``: those of ``simulate`` that choose a batch and a simulator."""
    simulate.add_run_arguments(parser)
    parser.add_argument("--waves", action="store_true", help="record waves into the output folder")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile demo``. The Verilog is generated once, for the simulation; what is not built of it is generated after."""
    console = terminal.console(args)
    folder = args.output = args.output or Path("build") / config.name
    generated: list[generate.Design] = []

    def files(made: generate.Design) -> Mapping[str, str]:
        generated.append(made)
        return made.files()

    done, load = simulate.with_progress(args, config, console, waves=args.waves, files=files)
    values = simulate.summary(done, load, args)
    with terminal.status("synthesizing the tile"):
        made = generate.design(config) if args.timing_only else generated[0]
        verilog = generate.write(made, folder / "verilog")
        area = synthesize.synthesize(config, folder / "area", made=made)
    picture.timeline_picture(config, done.first.log, done.first.cycles, folder / picture.FILE,
                             f"{load.source}, order {args.order}: {done.first.cycles:,} cycles "
                             f"({done.first.cycles / max(done.roofline.cycles, 1):.3f} of the roofline)")
    for path, content in ((folder / "run.json", values), (folder / "area.json", area)):
        report.write_json(path, content)
    page = run_report.write(folder / run_report.FILE, done, values, area, run_report.command_line(args, "demo"))
    terminal.answer(args, values | {"area": area, "verilog": [str(path) for path in verilog],
                                    "picture": str(folder / picture.FILE), "report": str(page)})
    console.print(report.simulation_table(values))
    cells, srams = (f"{area['totals'][key] / 1e6:.2f} mm2" for key in ("cell_area", "sram_area"))
    console.print(f"area of a tile    {cells} of cells, {srams} of SRAM macros, {area['technology']['title']}\n"
                  f"                  (by block: trajectile synthesize {args.config})", highlight=False, soft_wrap=True)
    console.print(f"\nVerilog      {folder / 'verilog'}\nreport       {page}\npicture      {folder / picture.FILE}\n"
                  f"numbers      {folder / 'run.json'}, {folder / 'area.json'}", highlight=False)
    return Exit.DONE if simulate.exact(done) else Exit.NOT_EXACT
