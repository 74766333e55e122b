"""The timeline of a batch: trace events for the Perfetto viewer, and a picture."""

import argparse
import json
from pathlib import Path

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.batch import add_run_arguments, simulated, workload_of
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import UserError
from trajectile.scripts.folders import private
from trajectile.scripts.plots import batch as picture
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.timeline.model import simulate as play
from trajectile.sw_model.timeline.trace_events import trace_events


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile timeline``."""
    add_run_arguments(parser)
    parser.add_argument("--rtl", action="store_true", help="events of the Verilog, simulated; default: of the model, the "
                        "same events at once")


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile timeline``."""
    console = terminal.console(args)
    folder = args.output or Path("build/run") / config.name
    if args.rtl:
        done = simulated(args, config, console, folder)
        batch, events, cycles, exact = done.load.source, done.events, done.cycles, done.exact
    else:
        if args.simulator:
            raise UserError(f"--simulator = {args.simulator} is not legal without --rtl: the model needs none")
        with terminal.status("playing the batch"):
            load = workload_of(args, config, gate_only=True)
            line = play(planned(config, load.topk_ids, args.order, args.dataflow))
        batch, events, cycles, exact = load.source, line.events, line.cycles, True
    source = "RTL" if args.rtl else "model"
    trace, image = folder / "trace.json", folder / picture.FILE
    with terminal.status("writing events, drawing the picture"), private(folder) as work:
        (work / trace.name).write_text(json.dumps(trace_events(config, events, cycles)), encoding="utf-8")
        picture.timeline_picture(config, events, cycles, work / image.name,
                                 f"{batch}, order {args.order}, {source}: {cycles:,} cycles")
    console.print(f"{cycles:,} cycles, {len(events):,} events of the {source}\n"
                  f"trace        {trace} (open it at ui.perfetto.dev)\npicture      {image}", highlight=False)
    terminal.answer(args, {"config": {"name": config.name, **config.as_dict}, "trace": batch, "order": args.order,
                           "source": source, "exact": exact if args.rtl else None, "cycles": cycles, "events": len(events),
                           "files": {"trace": str(trace), "picture": str(image)}})
    return Exit.DONE if exact else Exit.NOT_EXACT
