"""A batch through the RTL, checked against the golden model."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.hw.design import Design, design
from trajectile.hw.params import Params
from trajectile.scripts.area.gates import gate_level
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.outcomes import Outcome, read_outcomes
from trajectile.scripts.flow.workload import Values, Workload
from trajectile.scripts.folders import private
from trajectile.scripts.soc.ports import ports_of
from trajectile.scripts.soc.waves import gtkwave
from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.schedule.scheduler import Roofline, Schedule, roofline, schedule
from trajectile.sw_model.timeline.activity import ddr_cycles
from trajectile.sw_model.timeline.model import Event, Timeline
from trajectile.sw_model.timeline.model import simulate as play
from trajectile.tb import faults, native, runner
from trajectile.tb.faulty_link import faulty_link
from trajectile.tb.instruments import OFF, Instruments
from trajectile.tb.job import JOB, Job, Run
from trajectile.tb.program import tile_image
from trajectile.tb.top import bench_top

SIMULATORS = (*runner.SIMULATORS, "native")


def usual_simulator(*, timing_only: bool = False, gate_level: bool = False) -> str:
    """The simulator that is taken where none is named: for gates one that starts with x, if it is there."""
    if gate_level:
        return "icarus" if runner.have_icarus() else "verilator"
    return "native" if timing_only else "verilator"


@dataclass(frozen=True, repr=False)
class Simulation:
    """All batches of a simulation, what the model says, and what the steps took."""

    config: Config
    load: Workload
    order: str
    simulator: str
    timing_only: bool
    #: the tile was a netlist of cells
    gate_level: bool
    #: the Verilog that ran
    design: Design
    plan: Schedule
    model: Timeline
    roofline: Roofline
    #: results and clips of the golden model; None in the timing-only build
    golden: Results | None
    outcomes: Sequence[Outcome]
    wall_seconds: dict[str, float]
    folder: Path

    @property
    def first(self) -> Outcome:
        """The first batch."""
        return self.outcomes[0]

    @property
    def exact(self) -> bool:
        """Whether everything that was compared is equal."""
        return all(outcome.results and outcome.events for outcome in self.outcomes)

    @property
    def cycles(self) -> int:
        """Cycles of the RTL."""
        return self.first.cycles

    @property
    def results(self) -> NDArray[np.int32] | None:
        """Outputs of the layer as the RTL computed them, int32 [tokens, d_model]; None if it computed none."""
        return None if self.first.values is None else self.first.values.y

    @property
    def clips(self) -> NDArray[np.int64] | None:
        """Clips of each token as the RTL counted them, int64 [tokens]; None if it computed nothing."""
        return None if self.first.values is None else self.first.values.clips

    @property
    def events(self) -> Sequence[Event]:
        """What the RTL did, in order."""
        return self.first.log

    def __repr__(self) -> str:
        return f"<Simulation of {self.config.name}: {'exact' if self.exact else 'NOT EXACT'}, {self.cycles:,} cycles>"

    def summary(self) -> dict[str, Any]:
        """What ``trajectile simulate --json`` writes."""
        first, load, cycles = self.first, self.load, max(self.cycles, 1)
        config, counters = self.config, self.first.counters
        fidelity: dict[str, Any] = {}
        if load.values and self.golden and len(load.topk_ids):
            fidelity = {**load.values.fidelity(self.golden), "against": load.values.against}
        return {
            "config": {"name": config.name, **config.as_dict},
            "trace": load.source, "tokens": len(load.topk_ids), "order": self.order, "seed": load.seed,
            "simulator": self.simulator, "timing_only": self.timing_only, "gate_level": self.gate_level,
            "results_exact": None if self.timing_only else bool(first.results), "results": first.results.message,
            "events_exact": bool(first.events), "events": first.events.message,
            "cycles_rtl": first.cycles, "cycles_model": self.model.cycles, "roofline_cycles": self.roofline.cycles,
            "roofline": {"ddr": self.roofline.ddr, "mac": self.roofline.mac, "d2d": self.roofline.d2d},
            "ddr_cycles": vars(ddr_cycles(config, first.log, first.cycles)),
            "utilisation": {
                "ddr": sum(c["COUNT_DDR_BEAT"] for c in counters) / (cycles * config.array.channels),
                "mac": sum(c["COUNT_WORD"] for c in counters) / (cycles * config.array.tiles),
                "d2d": sum(c["COUNT_FLIT_OUT"] for c in counters) / (cycles * config.array.tiles)},
            "counters": list(counters),
            "fidelity": fidelity,
            "wall_seconds": self.wall_seconds,
            "files": str(self.folder),
        }


def simulate(config: Config, load: Workload, *, folder: Path, order: str = "balanced",
             simulator: str = "verilator", waves: bool = False, timing_only: bool = False,
             runs: Sequence[Run] = (Run(),), optimise: str = "-O2", axi_models: bool = False,
             cells: Technology | None = None, files: Callable[[Design], Mapping[str, str]] | None = None,
             plusargs: Sequence[str] = (), may_fail: bool = False, instruments: Instruments = OFF,
             say: Callable[[str], object] = str) -> Simulation:
    """Run a batch through the RTL and compare it with the golden model.

    Args:
        config: the accelerator.
        load: the batch.
        folder: where job, logs and waves are at the end (:func:`~trajectile.scripts.folders.private`).
        order: load order.
        simulator: ``verilator`` or ``icarus``, both with cocotb; or ``native``, Verilator's model under a C++ main: for
            millions of cycles, one run, no waves.
        waves: record waves, and write a save file for GTKWave beside them.
        timing_only: the build without payload and arithmetic; results are not compared then.
        runs: how often, with which random stalls and faults of links; events are compared for runs without.
        optimise: option of the C++ compiler (Verilator).
        axi_models: drive the AXI ports with cocotbext-axi instead of this project's host driver and DDR model; give ``runs``
            with seeds, since its timing is its own.
        cells: run the synthesized netlist of the tile in these cells, in place of its Verilog.
        files: what is built of the design, if it is neither.
        plusargs: more of them for the simulator, for such Verilog.
        may_fail: a batch that tiles report as failed is an outcome, with verdicts that say so (not native).
        instruments: what is observed besides (coverage).
        say: told what is being done.

    Raises:
        ScheduleError: if the batch does not fit.
        UserError: if the simulator cannot do what is asked of it.
        SimulationError: if the simulator fails, or hangs.
    """
    if waves and simulator == "native":
        raise UserError("--waves is not legal with --simulator native; legal: verilator, icarus")
    if simulator == "native" and tuple(runs) != (Run(),):
        raise ValueError(f"runs = {runs} is not legal with simulator native; legal: one run without stalls")
    began = time.monotonic()
    plan = schedule(config, load.topk_ids, order)
    model = play(plan)
    say("generating the Verilog")
    made = design(config, timing_only=timing_only)
    link_faults = any(run.faults for run in runs)
    if link_faults:
        phy = "trajectile_d2d_link"
        made = replace(made, modules=made.modules | {phy: faulty_link(made.modules[phy], config.link.latency_cycles)})
    generated = time.monotonic()
    say(f"building it for {simulator}, once for this design")
    top = bench_top(config, timing_only=timing_only, ddr_model=not axi_models, held_inputs=simulator == "native",
                    link_faults=link_faults)
    sources = files(made) if files else gate_level(made, cells) if cells else made.files()
    if simulator == "native":
        built = native.build(sources, top, config.array.tiles, optimise=optimise, instruments=instruments)
    else:
        built = runner.build(sources, top, simulator, waves=waves, optimise=optimise, instruments=instruments)
    start_run = time.monotonic()
    say(f"running {model.cycles:,} cycles")
    with private(folder, keep_failed=True) as work:
        values = None if timing_only else load.given
        # stalls stretch a batch; ten times the model's cycles and then some is a hang
        job = replace(make_job(plan, values, max_cycles=model.cycles * (1 if runs == (Run(),) else 40) + 10_000, runs=runs),
                      may_fail=may_fail)
        job.save(work / "job.json")
        plusargs = [*plusargs, *write_files(config, values, work)]
        if link_faults:
            plusargs += faults.write_plan(config.array, [(run.seed, run.faults) for run in runs], work)
        if simulator == "native":
            native.run(built, job, work, plusargs)
        else:
            bench = "bench_axi" if axi_models else "bench_link_faults" if link_faults else "bench_array"
            runner.run(built, bench, work,
                       environment={JOB: str((work / "job.json").resolve())}, plusargs=plusargs, seed=runs[0].seed)
        if waves:
            ports = ports_of(made.components[made.top])
            (work / "waves.gtkw").write_text(gtkwave(config, ports), encoding="utf-8")
        golden = values.results(config) if values else None
        outcomes = read_outcomes(job, plan, model, golden, work)
    ended = time.monotonic()
    return Simulation(
        config, load, order, simulator, timing_only, cells is not None, made, plan, model, roofline(plan), golden,
        outcomes,
        {"generate": round(generated - began, 2), "build": round(start_run - generated, 2),
         "run": round(ended - start_run, 2)}, folder)


def make_job(plan: Schedule, values: Values | None, *, max_cycles: int, runs: Sequence[Run] = (Run(),)) -> Job:
    """What the host does; without ``values`` for the timing-only build."""
    config, params = plan.config, Params(plan.config, timing_only=values is None)
    return Job(
        config, [tile_image(params, plan, tile, values.batch if values else None) for tile in range(config.array.tiles)],
        read={} if values is None else {(tile, lane): len(tokens)
                                        for tile, program in enumerate(plan.tiles)
                                        for lane, tokens in enumerate(program.lanes)},
        max_cycles=max_cycles, runs=runs, timing_only=values is None)


def write_files(config: Config, values: Values | None, folder: Path) -> list[str]:
    """Write the contents of the DDR channels; returns the plusargs that name them and the event logs."""
    plusargs = [f"+events={folder.resolve() / 'events'}"]
    if values:
        for channel in range(config.array.channels):
            path = folder / f"ddr{channel}.hex"
            image.write_hex(path, image.channel_image(config, values.layer, channel), config.ddr.bytes_per_cycle)
            plusargs.append(f"+ddr{channel}={path.resolve()}")
    return plusargs
