"""A batch through the RTL, checked against the golden model."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile.hw.design import Design, design
from trajectile.hw.host.regmap import RegisterMap
from trajectile.hw.params import Params
from trajectile.scripts.area.gates import gate_level
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.outcomes import Golden, Outcome, read_outcomes
from trajectile.scripts.flow.workload import Values, Workload
from trajectile.scripts.folders import private
from trajectile.scripts.soc import litedram_core
from trajectile.scripts.soc.ports import ports_of
from trajectile.scripts.soc.waves import gtkwave
from trajectile.sw_model import latencies
from trajectile.sw_model.batch.records import blank_batch
from trajectile.sw_model.config import BF16_BYTES, INT32_BYTES, Config
from trajectile.sw_model.config.memories import with_memory
from trajectile.sw_model.numerics import image
from trajectile.sw_model.numerics.integer import Results
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.schedule.scheduler import Roofline, Schedule, refreshed, roofline
from trajectile.sw_model.timeline.activity import ddr_cycles, ddr_share_of_peak
from trajectile.sw_model.timeline.model import Event, Timeline
from trajectile.sw_model.timeline.model import simulate as play
from trajectile.tb import clocks, faults, native, runner
from trajectile.tb.faulty_link import faulty_link
from trajectile.tb.host_ops import descriptor_ops, doorbell_op
from trajectile.tb.instruments import OFF, Instruments
from trajectile.tb.job import JOB, Descriptor, Job, Run
from trajectile.tb.program import descriptors, write_records
from trajectile.tb.toolchain import OPTIMISE
from trajectile.tb.top import bench_top, layer_pitch

SIMULATORS = (*runner.SIMULATORS, "native")
#: controllers that can stand behind the DDR ports, by the name of ``--ddr``
DDR_CORES = {f"litedram-{name}": memory for name, memory in litedram_core.MEMORIES.items()}


def usual_simulator(*, timing_only: bool = False, gate_level: bool = False, independent: bool = False) -> str:
    """The simulator that is taken where none is named: for gates one that starts with x, if it is there."""
    if gate_level:
        return "icarus" if runner.have_icarus() else "verilator"
    return "native" if timing_only or independent else "verilator"


@dataclass(frozen=True, repr=False)
class Simulation:
    """All runs of a simulation, what the model says, and what the steps took."""

    config: Config
    load: Workload
    order: str
    simulator: str
    timing_only: bool
    #: the tile was a netlist of cells
    gate_level: bool
    #: what was behind the DDR ports: empty for the model of latency and rate, else one of ``DDR_CORES``
    ddr: str
    #: the Verilog that ran
    design: Design
    #: what the array makes of each batch
    plans: Sequence[Schedule]
    #: what the model says when all doorbells ring as early as they can
    model: Timeline
    roofline: Roofline
    #: results and clips of the golden model, of each batch; None in the timing-only build
    golden: Sequence[Results | None]
    outcomes: Sequence[Outcome]
    wall_seconds: dict[str, float]
    folder: Path

    @property
    def first(self) -> Outcome:
        """The first run."""
        return self.outcomes[0]

    @property
    def plan(self) -> Schedule:
        """What the array makes of the first batch."""
        return self.plans[0]

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
        """Outputs of the first batch as the RTL computed them, int32 [tokens, d_model]; None if it computed none."""
        values = next(iter(self.first.values), None)
        return None if values is None else values.y

    @property
    def clips(self) -> NDArray[np.int64] | None:
        """Clips of each token of the first batch as the RTL counted them, int64 [tokens]; None if it computed nothing."""
        values = next(iter(self.first.values), None)
        return None if values is None else values.clips

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
        model = first.model or self.model
        golden = self.golden[0]
        fidelity: dict[str, Any] = {}
        if load.values and golden and len(load.topk_ids):
            fidelity = {**load.values.fidelity(golden), "against": load.values.against}
        loads, releases = ([event.cycle for event in first.log if event.kind == kind] for kind in ("load", "release"))
        return {
            "config": {"name": config.name, **config.as_dict},
            "trace": load.source, "tokens": len(load.topk_ids), "order": self.order, "dataflow": self.plan.dataflow,
            "seed": load.seed,
            "batches": len(self.plans),
            "simulator": self.simulator, "timing_only": self.timing_only, "gate_level": self.gate_level,
            "results_exact": None if self.timing_only else bool(first.results), "results": first.results.message,
            "events_exact": None if self.ddr or config.array.independent else bool(first.events),
            "events": first.events.message,
            "ddr": self.ddr or "model", "ddr_share_of_peak": ddr_share_of_peak(config, first.log),
            "cycles_rtl": first.cycles, "cycles_model": model.cycles, "roofline_cycles": self.roofline.cycles,
            "roofline_refresh_cycles": refreshed(config, self.roofline).cycles,
            "streaming_cycles": max(releases, default=0) - min(loads, default=0),
            "first_load_cycles": min(loads) + latencies.ADDRESS_CYCLES if loads else 0,
            "host_accesses": batch_accesses(config),
            "roofline": {**vars(self.roofline)},
            "ddr_cycles": vars(ddr_cycles(config, first.log, first.cycles)),
            "utilisation": {
                "ddr": sum(c["COUNT_DDR_BEAT"] for c in counters) / (cycles * config.array.channels),
                "mac": sum(c["COUNT_WORD"] for c in counters) / (cycles * config.array.tiles),
                "d2d": sum(c["COUNT_FLIT_OUT"] for c in counters) / (cycles * config.array.tiles)},
            "counters": [dict(tile) for tile in counters],
            "completion": [[asdict(record) for record in batch] for batch in first.records],
            "fidelity": fidelity,
            "wall_seconds": self.wall_seconds,
            "files": str(self.folder),
            **(self._dies() if config.array.independent else {}),
        }

    def _dies(self) -> dict[str, Any]:
        """What :meth:`summary` says besides of tiles with clocks of their own."""
        common = replace(self.config, array=replace(self.config.array, clocks="common"))
        model = play([replace(plan, config=common) for plan in self.plans], record=False)
        log = self.first.log
        return {
            "events_in_order": bool(self.first.events),
            "clocks": [{"ppm": round(clock.ppm, 3), **asdict(clock)} for clock in self.first.run.clocks],
            "cycles_by_tile": [
                max((event.cycle for event in log if event.tile == tile and event.kind == "complete"), default=0)
                for tile in range(self.config.array.tiles)],
            "cycles_common": model.cycles, "ratio_to_common": self.cycles / model.cycles,
        }


def simulate(config: Config, load: Workload | Sequence[Workload], *, folder: Path, order: str = "balanced",
             dataflow: str | Sequence[str] = "spread", bf16: bool = False, records: Sequence[Sequence[int]] | None = None,
             simulator: str = "verilator", waves: bool = False, timing_only: bool = False,
             runs: Sequence[Run] = (Run(),), optimise: str = OPTIMISE, axi_models: bool = False,
             cells: Technology | None = None, ddr: str = "", files: Callable[[Design], Mapping[str, str]] | None = None,
             plusargs: Sequence[str] = (), ppm: float = clocks.PPM, may_fail: bool = False, layers: int = 1,
             instruments: Instruments = OFF, say: Callable[[str], object] = str) -> Simulation:
    """Run a batch, or several one after the other, through the RTL and compare them with the golden model.

    Args:
        config: the accelerator.
        load: the batch, or batches of one layer.
        folder: where job, logs and waves are at the end (:func:`~trajectile.scripts.folders.private`).
        order: load order.
        dataflow: one of :data:`~trajectile.sw_model.schedule.dataflow.WISHES` for all batches, or one for each.
        bf16: results as bf16 instead of int32.
        records: of each tile its tokens in the order of their records, for every batch; None: spread as a host would.
        simulator: ``verilator`` or ``icarus``, both with cocotb; or ``native``, Verilator's model under a C++ main: for
            millions of cycles, one run, no waves.
        waves: record waves, and write a save file for GTKWave beside them.
        timing_only: the build without payload and arithmetic; results are not compared then.
        runs: how often, with which random stalls and faults of links; events are compared for runs without.
        optimise: option of the C++ compiler (Verilator); ``-O0`` suits netlists of gates.
        axi_models: drive the AXI ports with cocotbext-axi instead of this project's host driver and memory models; events are
            not compared then, since its timing is its own.
        cells: run the synthesized netlist of the tile in these cells, in place of its Verilog.
        ddr: one of ``DDR_CORES``: this controller, with refresh, behind each DDR port in place of the model of latency and
            rate (Verilator and native). Results are compared; events are not, since it answers when its memory lets it.
        files: what is built of the design, if it is neither.
        plusargs: more of them for the simulator, for such Verilog.
        ppm: how far the clocks of tiles that have their own are off at the most; they are drawn from the seed of ``load``,
            where ``runs`` have none.
        may_fail: a batch that tiles report as failed is an outcome, with verdicts that say so (not native).
        layers: for how many layers the DDR models have room.
        instruments: what is observed besides (coverage).
        say: told what is being done.

    Raises:
        ScheduleError: if the batch does not fit.
        UserError: if the simulator cannot do what is asked of it.
        SimulationError: if the simulator fails, or hangs.
    """
    if waves and simulator == "native":
        raise UserError("--waves is not legal with --simulator native; legal: verilator, icarus")
    if simulator == "native" and [replace(run, clocks=()) for run in runs] != [Run()]:
        raise ValueError(f"runs = {runs} is not legal with simulator native; legal: one run without stalls")
    if config.array.independent and simulator != "native" and any(run.faults for run in runs):
        raise ValueError("runs with faults of links are not legal where tiles have clocks of their own")
    if config.ddr.pauses and not ddr:
        raise UserError("ddr.refresh_cycles and ddr.row_cycles are not legal in a simulation that compares every event: "
                        f"the model of DDR never pauses; legal values: 0, or --ddr with one of {', '.join(DDR_CORES)}")
    if ddr and simulator == "icarus":
        raise UserError(f"--simulator icarus is not legal with --ddr {ddr}; legal: verilator, native")
    if ddr and (axi_models or any(run.stalls for run in runs)):
        raise ValueError(f"ddr = {ddr} is not legal with axi_models, stalls or faults; legal: runs without")
    began = time.monotonic()
    loads = [load] if isinstance(load, Workload) else list(load)
    calm = tuple(runs) == (Run(),)
    if config.array.independent:
        runs = [run if run.clocks else replace(run, clocks=clocks.draw(config.array.tiles, loads[0].seed, ppm))
                for run in runs]
    if any(one.values and loads[0].values and one.values.layer is not loads[0].values.layer for one in loads):
        raise ValueError("batches of different layers are not legal; legal: batches that share one layer's weights")
    wishes = [dataflow] * len(loads) if isinstance(dataflow, str) else dataflow
    plans = [planned(config, one.topk_ids, order, wish, result_bytes=BF16_BYTES if bf16 else INT32_BYTES, records=records,
                     strict=False) for one, wish in zip(loads, wishes, strict=True)]
    core = litedram_core.core_of(
        config, ddr, DDR_CORES[ddr], layers * layer_pitch(config), address_bits=Params(config).address_bits,
        contents=not timing_only) if ddr else None
    # the timeline follows the controller; the hardware knows nothing of that
    timed = config if not ddr or config.ddr.pauses else with_memory(config, DDR_CORES[ddr].timeline)
    model = play([replace(plan, config=timed) for plan in plans])
    say("generating the Verilog")
    made = design(config, timing_only=timing_only)
    link_faults = any(run.faults for run in runs)
    if link_faults:
        phy = "trajectile_d2d_link"
        made = replace(made, modules={**made.modules, phy: faulty_link(made.modules[phy], config.link.latency_cycles)})
    generated = time.monotonic()
    say(f"building it for {simulator}, once for this design")
    top = bench_top(config, timing_only=timing_only, memory_models=not axi_models, held_inputs=simulator == "native",
                    link_faults=link_faults, layers=layers, ddr_core=core.module if core else "")
    sources = files(made) if files else gate_level(made, cells) if cells else made.files()
    if core:
        sources = {**sources, f"{core.module}.v": core.verilog()}
    if simulator == "native":
        built = native.build(sources, top, config.array.tiles, optimise=optimise, instruments=instruments,
                             independent=config.array.independent)
    else:
        built = runner.build(sources, top, simulator, waves=waves, optimise=optimise, instruments=instruments)
    start_run = time.monotonic()
    say(f"running {model.cycles:,} cycles")
    with private(folder, keep_failed=True) as work:
        values = [None if timing_only else one.given for one in loads]
        # stalls and refresh stretch a batch; so many times the model's cycles and then some is a hang
        job = Job(config, [descriptors(plan, number, bf16=bf16) for number, plan in enumerate(plans)],
                  max_cycles=model.cycles * (40 if not calm else 4 if ddr else 1) + 10_000, runs=runs,
                  timing_only=timing_only, may_fail=may_fail, foreign=axi_models or bool(ddr))
        job.save(work / "job.json")
        plusargs = [*plusargs, *write_files(config, values[0], work, core), *write_records(plans, [
            one.batch if one else blank_batch(config, load.topk_ids) for one, load in zip(values, loads, strict=True)], work)]
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
        # of choices that are wrong nothing comes
        golden = [replace(one, batch=replace(one.batch, topk_ids=plan.topk_ids)).results(config) if one else None
                  for one, plan in zip(values, plans, strict=True)]
        outcomes = read_outcomes(job, [Golden(plan, results, one.layer if one else None)
                                       for plan, results, one in zip(plans, golden, values, strict=True)], work)
    ended = time.monotonic()
    return Simulation(
        timed, loads[0], order, simulator, timing_only, cells is not None, ddr, made, plans, model, roofline(plans[0]),
        golden, outcomes,
        {"generate": round(generated - began, 2), "build": round(start_run - generated, 2),
         "run": round(ended - start_run, 2)}, folder)


def batch_accesses(config: Config) -> int:
    """Accesses of a tile's host port for a batch of any size: its description, its doorbell, its interrupt cleared."""
    registers = RegisterMap(Params(config))
    batch = Descriptor(tokens=0, order=0, bf16=False, tag=0, layer=0, records=0, results=0)
    return len([*descriptor_ops(registers, batch), doorbell_op(registers, batch)]) + 1


def write_files(config: Config, values: Values | None, folder: Path, core: litedram_core.Core | None = None) -> list[str]:
    """Write the contents of the DDR channels, or of the memory behind each one's controller; returns the plusargs that
    name them and the event logs.
    """
    plusargs = [f"+events={folder.resolve() / 'events'}"]
    if values:
        for channel in range(config.array.channels):
            if core:
                core.write_contents(folder / f"ddr{channel}", image.channel_image(config, values.layer, channel))
                continue
            path = folder / f"ddr{channel}.hex"
            image.write_hex(path, image.channel_image(config, values.layer, channel), config.ddr.bytes_per_cycle)
            plusargs.append(f"+ddr{channel}={path.resolve()}")
    return plusargs
