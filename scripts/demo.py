"""The whole path on one batch: Verilog, simulation against the golden model, area, a picture of the timeline."""

import argparse
from pathlib import Path

from rich.console import Console

from scripts import generate, picture, report, simulate, synthesize
from scripts.area import tile_report
from sw_model.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile demo``: those of ``simulate``."""
    simulate.add_arguments(parser)


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile demo``."""
    console = Console()
    folder = args.output = args.output or Path("build") / config.name
    with console.status("generating Verilog"):
        generate.write(generate.design(config), folder / "verilog")
    done, load = simulate.with_progress(args, config, console, waves=args.waves)
    values = simulate.summary(done, load, args)
    with console.status("synthesizing the tile"):
        area = synthesize.synthesize(config, folder / "area")
    picture.timeline_picture(config, done.first.log, done.first.cycles, folder / picture.FILE,
                             f"{load.source}, order {args.order}: {done.first.cycles:,} cycles "
                             f"({done.first.cycles / max(done.roofline.cycles, 1):.3f} of the roofline)")
    for path, content in ((args.json or folder / "run.json", values), (folder / "area.json", area)):
        report.write_json(path, content)
    console.print(report.simulation_table(values))
    console.print()
    tile_report.show(area, console)
    console.print(f"\nVerilog      {folder / 'verilog'}\npicture      {folder / picture.FILE}\n"
                  f"numbers      {folder / 'run.json'}, {folder / 'area.json'}", highlight=False)
    return 0 if simulate.exact(done) else 1
