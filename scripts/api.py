"""The work of the commands as functions, for notebooks and other programs (docs/python.md).

Nothing is printed. Files go to the folder that is named; without one to a temporary folder, which is gone at the end. Builds
are kept as for the command line (``TRAJECTILE_BUILD``). Errors are those of the command line, with the same one line.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trajectile.hw.design import Design, design
from trajectile.hw.lib.yosys import YosysError
from trajectile.scripts.area import synthesis, technology
from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.flow import comparison, experiments, simulation, workload
from trajectile.scripts.flow.simulation import Simulation
from trajectile.scripts.soc import bundle
from trajectile.sw_model import config as configuration
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.selection import Selection
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.schedule.scheduler import ORDERS, ScheduleError
from trajectile.sw_model.timeline.model import Timeline
from trajectile.sw_model.timeline.model import simulate as play
from trajectile.tb.runner import SimulationError

#: a configuration, the name of a preset, a TOML file, or its tables as nested dictionaries
Configured = Config | str | Path | Mapping[str, Any]
#: a trace file, or its arrays: ``topk_ids`` and ``topk_weights``, [tokens, top_k] or [layers, tokens, top_k]
Traced = str | Path | Mapping[str, Any] | None


def load(config: Configured, overrides: Mapping[str, Any] | None = None) -> Config:
    """A configuration, with some of its fields changed.

    Args:
        config: a preset's name, a TOML file, nested dictionaries, or a configuration.
        overrides: values by ``section.field``, as in ``{"tile.slots": 4}``.

    Raises:
        ConfigError: for a file or a field that does not exist, or a value that is not legal.
    """
    if isinstance(config, str | Path):
        config = configuration.load(config)
    values = config.as_dict if isinstance(config, Config) else config
    name = str(config.name if isinstance(config, Config) else values.get("name", "unnamed"))
    tables = {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items() if key != "name"}
    for field, value in (overrides or {}).items():
        section, _, rest = field.partition(".")
        if not isinstance(tables.get(section), dict) or not rest:
            raise configuration.ConfigError(field, value, f"section.field, with a section of {', '.join(tables)}")
        tables[section][rest] = value
    return configuration.from_dict(tables, name)


@contextmanager
def _folder(folder: str | Path | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder)
        return
    with tempfile.TemporaryDirectory(prefix="trajectile-") as name:
        yield Path(name)


@contextmanager
def _trace(trace: Traced, experts: int) -> Iterator[Path | None]:
    """The path of a trace; arrays, of a gate of so many experts, are written to a temporary file."""
    if not isinstance(trace, Mapping):
        yield None if trace is None else Path(trace)
        return
    arrays = {key: np.asarray(value) for key, value in trace.items()}
    for key in ("topk_ids", "topk_weights"):
        if key in arrays and arrays[key].ndim == 2:
            arrays[key] = arrays[key][None]
    if "topk_ids" in arrays:
        arrays = {"layers": np.arange(len(arrays["topk_ids"])), "num_experts": np.array(experts)} | arrays
    with tempfile.TemporaryDirectory(prefix="trajectile-") as name:
        path = Path(name) / "arrays.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        yield path


def simulate(config: Configured, overrides: Mapping[str, Any] | None = None, *, trace: Traced = None, order: str = "balanced",
             dataflow: str = "spread", simulator: str | None = None, timing_only: bool = False, waves: bool = False,
             folder: str | Path | None = None, **source: Any) -> Simulation:
    """Run a batch through the Verilog and compare it with the golden model: ``trajectile simulate``.

    Args:
        config: the accelerator, as :func:`load` takes it.
        overrides: of its fields.
        trace: gate decisions; None: the toy model's for its shape, else a synthetic gate's.
        order: load order.
        dataflow: ``spread``, ``shared`` or ``auto`` (docs/dataflows.md).
        simulator: ``verilator``, ``icarus`` or ``native``; None: the command's choice.
        timing_only: controllers only: events, no results.
        waves: record waves.
        folder: for job, logs and waves; None: a temporary one.
        source: more fields of :class:`trajectile.scripts.flow.workload.Source`: ``tokens``, ``layer``, ``offset``, ``seed``,
            ``skew``, ``weights``, ``activations``, ``trace_as``, ``select``.

    Raises:
        UserError: for a batch that does not exist or does not fit.
        ToolError: if the simulator is missing or fails.
    """
    accelerator = load(config, overrides)
    with _trace(trace, accelerator.layer.experts) as path, _folder(folder) as place:
        batch = workload.load(accelerator, gate_only=timing_only, trace=path, **source)
        try:
            return simulation.simulate(
                accelerator, batch, folder=place, order=order, dataflow=dataflow, timing_only=timing_only, waves=waves,
                simulator=simulator or simulation.usual_simulator(timing_only=timing_only))
        except ScheduleError as error:
            raise UserError(str(error)) from None
        except (SimulationError, YosysError) as error:
            raise ToolError(str(error)) from error


def generate(config: Configured, folder: str | Path | None = None, overrides: Mapping[str, Any] | None = None, *,
             timing_only: bool = False, mhz: float = bundle.DEFAULT_MHZ) -> Design:
    """The Verilog of a configuration, by module in ``modules``; with a folder all files of ``trajectile generate`` there.

    Raises:
        ToolError: if Amaranth's Yosys is missing or fails.
    """
    try:
        made = design(load(config, overrides), timing_only=timing_only)
    except YosysError as error:
        raise ToolError(str(error)) from error
    if folder is not None:
        bundle.write(made, Path(folder), mhz=mhz)
    return made


@dataclass(frozen=True)
class Synthesis:
    """What a tile takes. Areas in the unit of the technology."""

    #: what ``trajectile synthesize --json`` writes
    values: Mapping[str, Any]

    @property
    def cell_area(self) -> float:
        """All cells."""
        return float(self.values["totals"]["cell_area"])

    @property
    def sram_area(self) -> float | None:
        """All macros; None if the technology has none."""
        area = self.values["totals"]["sram_area"]
        return None if area is None else float(area)

    def summary(self) -> dict[str, Any]:
        """What ``trajectile synthesize --json`` writes."""
        return dict(self.values)

    def __repr__(self) -> str:
        name = self.values["config"]["name"]
        return f"<Synthesis of a {name} tile: {self.cell_area:,.0f} of cells, {self.sram_area} of SRAM>"


def synthesize(config: Configured, overrides: Mapping[str, Any] | None = None, *, cells: str = "sg13g2",
               liberty: Sequence[str | Path] = (), folder: str | Path | None = None) -> Synthesis:
    """Area of a tile by block: ``trajectile synthesize``.

    Args:
        config: the accelerator, as :func:`load` takes it.
        overrides: of its fields.
        cells: one of ``sg13g2``, ``asap7``, ``generic``.
        liberty: Liberty files in place of the areas that come with the project.
        folder: for scripts and logs; None: a temporary one.

    Raises:
        UserError: for libraries that a tile cannot be made of.
        ToolError: if Yosys is missing or fails.
    """
    with _folder(folder) as place:
        made_of = technology.load(cells, [Path(path) for path in liberty])
        return Synthesis(synthesis.synthesize(load(config, overrides), place, made_of))


def compare(*configs: Configured, trace: str | Path | None = None, tokens: Sequence[int] = (1, 16, 256),
            strategies: Sequence[str] = experiments.STRATEGIES, orders: Sequence[str] = ORDERS, dataflow: str = "spread",
            windows: int = 4, layer: int | None = None, skew: float = workload.DEFAULT_SKEW, seed: int = 1,
            select: str | None = None, folder: str | Path | None = None) -> list[dict[str, Any]]:
    """Streaming, EP and Hydra over batch sizes: the entries that ``trajectile compare --json`` writes.

    Args:
        configs: the accelerators, as :func:`load` takes them.
        trace: gate decisions; None: a synthetic gate with ``skew`` and ``seed``.
        tokens: batch sizes.
        strategies: of them.
        orders: load orders of streaming.
        dataflow: of streaming (``fse``): ``spread``, ``shared`` or ``auto``.
        windows: of the trace, for each batch size.
        layer: of the trace; None: its first.
        skew: of the synthetic gate.
        seed: of the synthetic gate.
        select: rule and share of the experts that each batch keeps, as ``xshare:0.7``; None: all.
        folder: keeps what was played, so that it is not played again; None: a temporary one.

    Raises:
        UserError: for a trace or a batch that does not fit, or a rule that there is not.
    """
    try:
        rule = None if select is None else Selection.of(select)
    except ValueError as error:
        raise UserError(str(error)) from error
    gate = experiments.Gate(None if trace is None else str(trace), layer, skew, seed, select=rule)
    tasks = comparison.tasks_of([load(config) for config in configs], gate, tokens=tokens, strategies=strategies,
                                orders=orders, dataflow=dataflow, windows=windows)
    with _folder(folder) as place:
        return comparison.means(experiments.run_all(tasks, place))


def timeline(config: Configured, overrides: Mapping[str, Any] | None = None, *, trace: Traced = None, order: str = "balanced",
             dataflow: str = "spread", **source: Any) -> Timeline:
    """What the golden model says of a batch, at once: cycles and every event. Arguments as of :func:`simulate`.

    Raises:
        UserError: for a batch that does not exist or does not fit.
    """
    accelerator = load(config, overrides)
    with _trace(trace, accelerator.layer.experts) as path:
        batch = workload.load(accelerator, gate_only=True, trace=path, **source)
        try:
            return play(planned(accelerator, batch.topk_ids, order, dataflow))
        except ScheduleError as error:
            raise UserError(str(error)) from None
