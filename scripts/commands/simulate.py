"""A batch through the RTL, checked against the golden model."""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from trajectile.hw.params import Params
from trajectile.scripts.area import technology
from trajectile.scripts.area.gates import gate_level
from trajectile.scripts.command_line import tables as report
from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit, ToolError, UserError
from trajectile.scripts.commands import generate
from trajectile.scripts.flow import workload
from trajectile.scripts.flow.outcomes import Outcome, read_outcomes
from trajectile.scripts.soc.ports import ports_of
from trajectile.scripts.soc.waves import gtkwave
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics import image
from trajectile.sw_model.schedule.scheduler import ORDERS, Roofline, Schedule, roofline, schedule
from trajectile.sw_model.timeline.activity import ddr_cycles
from trajectile.sw_model.timeline.model import Timeline
from trajectile.sw_model.timeline.model import simulate as model_timeline
from trajectile.tb import faults, native, runner
from trajectile.tb.faulty_link import faulty_link
from trajectile.tb.instruments import OFF, Instruments
from trajectile.tb.job import JOB, Job, Run
from trajectile.tb.program import tile_image
from trajectile.tb.top import bench_top

SIMULATORS = (*runner.SIMULATORS, "native")


@dataclass(frozen=True)
class Simulation:
    """All batches of a simulation, what the model says, and what the steps took."""

    config: Config
    plan: Schedule
    model: Timeline
    roofline: Roofline
    outcomes: Sequence[Outcome]
    wall_seconds: dict[str, float]
    folder: Path

    @property
    def first(self) -> Outcome:
        """The first batch."""
        return self.outcomes[0]


def simulate(config: Config, load: workload.Workload, *, folder: Path, order: str = "balanced",
             simulator: str = "verilator", waves: bool = False, timing_only: bool = False,
             runs: Sequence[Run] = (Run(),), optimise: str = "-O2", axi_models: bool = False,
             files: Callable[[generate.Design], Mapping[str, str]] = generate.Design.files,
             plusargs: Sequence[str] = (), may_fail: bool = False, instruments: Instruments = OFF,
             say: Callable[[str], object] = str) -> Simulation:
    """Run a batch through the RTL and compare it with the golden model.

    Args:
        config: the accelerator.
        load: the batch.
        folder: where job, logs and waves go.
        order: load order.
        simulator: ``verilator`` or ``icarus``, both with cocotb; or ``native``, Verilator's model under a C++ main: for
            millions of cycles, one run, no waves.
        waves: record waves, and write a save file for GTKWave beside them.
        timing_only: the build without payload and arithmetic; results are not compared then.
        runs: how often, with which random stalls and faults of links; events are compared for runs without.
        optimise: option of the C++ compiler (Verilator).
        axi_models: drive the AXI ports with cocotbext-axi instead of this project's host driver and DDR model; give ``runs``
            with seeds, since its timing is its own.
        files: what is built of the design: its Verilog, or something in its place (:mod:`trajectile.scripts.area.gates`).
        plusargs: more of them for the simulator, for such Verilog.
        may_fail: a batch that tiles report as failed is an outcome, with verdicts that say so (not native).
        instruments: what is observed besides (coverage).
        say: told what is being done.

    Raises:
        ScheduleError: if the batch does not fit.
        SimulationError: if the simulator fails, or hangs.
    """
    if simulator == "native" and tuple(runs) != (Run(),):
        raise ValueError(f"runs = {runs} is not legal with simulator native; legal: one run without stalls")
    began = time.monotonic()
    plan = schedule(config, load.topk_ids, order)
    model = model_timeline(plan)
    say("generating the Verilog")
    made = generate.design(config, timing_only=timing_only)
    link_faults = any(run.faults for run in runs)
    if link_faults:
        phy = "trajectile_d2d_link"
        made = replace(made, modules=made.modules | {phy: faulty_link(made.modules[phy], config.link.latency_cycles)})
    generated = time.monotonic()
    say(f"building it for {simulator}, once for this design")
    top = bench_top(config, timing_only=timing_only, ddr_model=not axi_models, held_inputs=simulator == "native",
                    link_faults=link_faults)
    if simulator == "native":
        built = native.build(files(made), top, config.array.tiles, optimise=optimise, instruments=instruments)
    else:
        built = runner.build(files(made), top, simulator, waves=waves, optimise=optimise, instruments=instruments)
    start_run = time.monotonic()
    say(f"running {model.cycles:,} cycles")
    folder.mkdir(parents=True, exist_ok=True)
    values = None if timing_only else load.given
    # stalls stretch a batch; ten times the model's cycles and then some is a hang
    job = replace(make_job(plan, values, max_cycles=model.cycles * (1 if runs == (Run(),) else 40) + 10_000, runs=runs),
                  may_fail=may_fail)
    job.save(folder / "job.json")
    plusargs = [*plusargs, *write_files(config, values, folder)]
    if link_faults:
        plusargs += faults.write_plan(config.array, [(run.seed, run.faults) for run in runs], folder)
    if simulator == "native":
        native.run(built, job, folder, plusargs)
    else:
        bench = "bench_axi" if axi_models else "bench_link_faults" if link_faults else "bench_array"
        runner.run(built, bench, folder,
                   environment={JOB: str((folder / "job.json").resolve())}, plusargs=plusargs, seed=runs[0].seed)
    if waves:
        ports = ports_of(made.components[made.top])
        (folder / "waves.gtkw").write_text(gtkwave(config, ports), encoding="utf-8")
    outcomes = read_outcomes(job, plan, model, values and values.results(), folder)
    ended = time.monotonic()
    return Simulation(config, plan, model, roofline(plan), outcomes, {
        "generate": round(generated - began, 2), "build": round(start_run - generated, 2),
        "run": round(ended - start_run, 2)}, folder)


def make_job(plan: Schedule, values: workload.Values | None, *, max_cycles: int, runs: Sequence[Run] = (Run(),)) -> Job:
    """What the host does; without ``values`` for the timing-only build."""
    config, params = plan.config, Params(plan.config, timing_only=values is None)
    return Job(
        config, [tile_image(params, plan, tile, values and values.batch) for tile in range(config.array.tiles)],
        read={} if values is None else {(tile, lane): len(tokens)
                                        for tile, program in enumerate(plan.tiles)
                                        for lane, tokens in enumerate(program.lanes)},
        max_cycles=max_cycles, runs=runs, timing_only=values is None)


def write_files(config: Config, values: workload.Values | None, folder: Path) -> list[str]:
    """Write the contents of the DDR channels; returns the plusargs that name them and the event logs."""
    plusargs = [f"+events={folder.resolve() / 'events'}"]
    if values:
        for channel in range(config.array.channels):
            path = folder / f"ddr{channel}.hex"
            image.write_hex(path, image.channel_image(config, values.layer, channel), config.ddr.bytes_per_cycle)
            plusargs.append(f"+ddr{channel}={path.resolve()}")
    return plusargs


def summary(done: Simulation, load: workload.Workload, args: argparse.Namespace) -> dict[str, Any]:
    """What ``--json`` writes."""
    first, cycles = done.first, max(done.first.cycles, 1)
    config, counters = done.config, done.first.counters
    fidelity: dict[str, Any] = {}
    if load.values and len(load.topk_ids):
        fidelity = {**load.values.fidelity(load.values.results()), "against": load.values.against}
    return {
        "config": {"name": config.name, **config.as_dict},
        "trace": load.source, "tokens": len(load.topk_ids), "order": args.order, "seed": args.seed,
        "simulator": args.simulator, "timing_only": args.timing_only, "gate_level": getattr(args, "gate_level", False),
        "results_exact": None if args.timing_only else bool(first.results), "results": first.results.message,
        "events_exact": bool(first.events), "events": first.events.message,
        "cycles_rtl": first.cycles, "cycles_model": done.model.cycles, "roofline_cycles": done.roofline.cycles,
        "roofline": {"ddr": done.roofline.ddr, "mac": done.roofline.mac, "d2d": done.roofline.d2d},
        "ddr_cycles": vars(ddr_cycles(config, first.log, first.cycles)),
        "utilisation": {
            "ddr": sum(c["COUNT_DDR_BEAT"] for c in counters) / (cycles * config.array.channels),
            "mac": sum(c["COUNT_WORD"] for c in counters) / (cycles * config.array.tiles),
            "d2d": sum(c["COUNT_FLIT_OUT"] for c in counters) / (cycles * config.array.tiles)},
        "counters": list(counters),
        "fidelity": fidelity,
        "wall_seconds": done.wall_seconds,
        "files": str(done.folder),
    }


def exact(done: Simulation) -> bool:
    """Whether everything that was compared is equal."""
    return all(outcome.results and outcome.events for outcome in done.outcomes)


def add_batch_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that say which batch runs, and on what."""
    workload.add_arguments(parser)
    parser.add_argument("--order", choices=ORDERS, default="balanced", help="load order (default balanced)")
    parser.add_argument("--simulator", choices=SIMULATORS, help="verilator and icarus run under cocotb; native is "
                        "Verilator's model without Python in the loop (default verilator; native with --timing-only)")
    parser.add_argument("--timing-only", action="store_true", help="controllers only: events, no results")


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that runs a batch and keeps a folder of it."""
    add_batch_arguments(parser)
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, help="folder for logs and waves "
                        "(default build/run/CONFIG)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``trajectile simulate``."""
    add_run_arguments(parser)
    parser.add_argument("--waves", action="store_true", help="record waves into the output folder, "
                        "with a save file for GTKWave")
    parser.add_argument("--gate-level", action="store_true", help="the synthesized netlist in place of the tile's Verilog: "
                        "for small configurations; on Icarus where it is installed, with x until reset")
    parser.add_argument("--liberty", metavar="FILE", type=Path, action="append", default=[],
                        help="with --gate-level: Liberty file of the cells, as for synthesize; may be repeated")


def with_progress(args: argparse.Namespace, config: Config, console: Console, *, waves: bool = False,
                  files: Callable[[generate.Design], Mapping[str, str]] = generate.Design.files,
                  ) -> tuple[Simulation, workload.Workload]:
    """Simulate what the arguments say, with progress on the console; ``waves`` and ``files`` as for :func:`simulate`.

    Raises:
        UserError: if the batch is wrong.
        ToolError: if the simulator is missing or fails.
    """
    with terminal.status("making the batch"):
        load = workload.from_arguments(args, config, gate_only=args.timing_only)
    args.simulator = args.simulator or ("native" if args.timing_only else "verilator")
    if waves and args.simulator == "native":
        raise UserError("--waves is not legal with --simulator native; legal: verilator, icarus")
    folder = args.output or Path("build/run") / config.name
    console.print(f"[bold]{config.name}[/]: {load.source}, order {args.order}, {args.simulator}, seed {args.seed}",
                  highlight=False)
    with terminal.status("scheduling") as line:
        try:
            done = simulate(config, load, folder=folder, order=args.order, simulator=args.simulator, waves=waves,
                            timing_only=args.timing_only, files=files, say=line.update)
        except runner.SimulationError as error:
            raise ToolError(str(error)) from error
    return done, load


def run(args: argparse.Namespace, config: Config) -> int:
    """``trajectile simulate``."""
    console = terminal.console(args)
    files = generate.Design.files
    if args.gate_level:
        cells = technology.load(paths=args.liberty)
        args.simulator = args.simulator or ("icarus" if runner.have_icarus() else "verilator")

        def files(made: generate.Design) -> Mapping[str, str]:
            return gate_level(made, cells)
    elif args.liberty:
        raise UserError("--liberty is not legal without --gate-level")
    done, load = with_progress(args, config, console, waves=args.waves, files=files)
    values = summary(done, load, args)
    terminal.answer(args, values)
    console.print(report.simulation_table(values))
    return Exit.DONE if exact(done) else Exit.NOT_EXACT
