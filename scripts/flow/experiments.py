"""Many runs of the timeline model: what one is, and how they are spread over processes or a cluster and taken up again."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trajectile import sw_model
from trajectile.scripts.area.outside import Outside
from trajectile.scripts.errors import ToolError, UserError
from trajectile.sw_model import baselines
from trajectile.sw_model.config import Config, from_dict
from trajectile.sw_model.config.topology import links
from trajectile.sw_model.gates import traces, workloads
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.selection import Selection, selected
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.schedule.scheduler import Schedule, refreshed, roofline, schedule
from trajectile.sw_model.timeline.counters import count
from trajectile.sw_model.timeline.model import simulate

#: streaming; the same without skipping tiles; every tile holds all tokens and computes slices of its own channel, as MoEShard
#: shards experts; EP; EP with two buffers of a whole expert; Hydra
STRATEGIES = ("fse", "fse-all-tiles", "tokens-travel", "ep", "ep-whole-experts", "hydra")
#: of these, what is played as a schedule
STREAMED = ("fse", "fse-all-tiles", "tokens-travel")
#: tokens of a synthetic trace
SYNTHETIC_TOKENS = 4096


@dataclass(frozen=True)
class Gate:
    """Where gate decisions come from: a trace file, or without one a synthetic gate."""

    trace: str | None
    layer: int | None
    skew: float
    seed: int
    #: how the trace is read
    how: Reading = field(default_factory=Reading)
    #: experts that a batch makes do with; None: all
    select: Selection | None = None

    def read(self, config: Config) -> workloads.Trace:
        """The trace.

        Raises:
            UserError: if there is none, or its shape is not the configuration's.
        """
        trace = _trace(self, config.layer.experts, config.layer.top_k)
        shape = (trace.experts, trace.topk_ids.shape[2])
        if shape != (config.layer.experts, config.layer.top_k):
            raise UserError(f"--trace = {self.trace} has {shape[0]} experts, top {shape[1]}; legal for {config.name}: "
                            f"{config.layer.experts} experts, top {config.layer.top_k}")
        if self.layer is not None and self.layer not in trace.layers:
            raise UserError(f"--layer = {self.layer} is not in {trace.name}; legal values: "
                            f"{', '.join(map(str, trace.layers))}")
        return trace

    def batch(self, config: Config, offset: int, tokens: int) -> GateBatch:
        """The choices of some tokens, without those that the selection drops.

        Raises:
            UserError: as :meth:`read`.
        """
        trace = self.read(config)
        layer = int(trace.layers[0]) if self.layer is None else self.layer
        wanted = trace.window(layer, offset, tokens)
        return wanted if self.select is None else selected(wanted, self.select)


@lru_cache(maxsize=8)
def _trace(gate: Gate, experts: int, top_k: int) -> workloads.Trace:
    try:
        if gate.trace is None:
            return workloads.synthetic_trace(experts, top_k, SYNTHETIC_TOKENS, gate.skew, gate.seed)
        return traces.load_trace(gate.trace, experts, layer=gate.layer, how=gate.how)
    except ValueError as error:
        raise UserError(str(error)) from error


@dataclass(frozen=True)
class Task:
    """One batch under one strategy."""

    #: the configuration's fields, nested, and its name
    config: str
    gate: Gate
    offset: int
    tokens: int
    strategy: str
    order: str
    #: of ``fse``, one of :data:`~trajectile.sw_model.schedule.dataflow.WISHES`; other strategies have one of their own
    dataflow: str = "spread"

    @property
    def key(self) -> str:
        """Names the task by all that its row depends on: what it says, the content of its trace, the model that plays it."""
        trace = _content(Path(self.gate.trace)) if self.gate.trace else ""
        parts = [json.dumps(asdict(self), sort_keys=True), trace, _sources()]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _content(*paths: Path) -> str:
    """A digest of files' contents; it is made again when one changes."""
    return _digest(tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in paths))


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path, *_ in files)).hexdigest()


@lru_cache(maxsize=1)
def _sources() -> str:
    """A digest of the model that this process has read."""
    return _content(*sorted(Path(sw_model.__file__).parent.rglob("*.py")), Path(__file__))


def config_text(config: Config) -> str:
    """A configuration as the text that a task carries."""
    return json.dumps({"name": config.name, **{k: v for k, v in config.as_dict.items() if k != "name"}}, sort_keys=True)


def sharing(config: Config) -> Config:
    """The same array in a build that shares.

    Raises:
        ConfigError: if it cannot be built.
    """
    return replace(config, array=replace(config.array, dataflows="both"))


def can_travel(config: Config, tokens: int) -> bool:
    """Whether the tokens of such a batch can travel: every tile has room for all of them."""
    return tokens <= config.tile.tokens and config.io.bytes_per_cycle <= config.link.beat_bytes


def _streamed(config: Config, task: Task, ids: NDArray[np.int64]) -> Schedule:
    """The batch of a strategy whose weights or tokens go round the ring."""
    if task.strategy == "tokens-travel":
        return schedule(sharing(config), ids, task.order, dataflow="shared")
    if task.strategy == "fse-all-tiles":
        return schedule(config, ids, task.order, skip=False)
    return planned(config, ids, task.order, task.dataflow)


def evaluate(task: Task) -> dict[str, Any]:
    """Play one task on the timeline model or a baseline; the row of the result table."""
    values = json.loads(task.config)
    config = from_dict({k: v for k, v in values.items() if k != "name"}, values["name"])
    ids = task.gate.batch(config, task.offset, task.tokens).topk_ids
    plan = _streamed(config, task, ids) if task.strategy in STREAMED else None
    # that of slices that skip tiles, for everybody
    bound = roofline(plan if plan and plan.skip and not plan.shared else schedule(config, ids, "index"))
    if plan:
        line = simulate(plan, record=False)
        cycles, inside, use = line.cycles, (line.first_load_cycles, line.streaming_cycles), line.utilisation()
        memory, dataflow = baselines.streaming_memory(config, task.tokens, shared=plan.shared), plan.dataflow
        counters = count(plan, line)
    else:
        homes = baselines.index_homes(config)
        if task.strategy == "hydra":
            before = replace(task.gate, select=None).batch(config, 0, task.offset).topk_ids
            homes = baselines.hydra_homes(config, baselines.popularity_of(before, config.layer.experts))
        whole = task.strategy == "ep-whole-experts"
        run = baselines.simulate_ep(config, ids, homes, whole_experts=whole)
        cycles, inside = run.cycles, (run.first_load_cycles, run.streaming_cycles)
        ways = len(links(config.array))
        use = {"ddr": sum(run.ddr_beats) / (cycles * config.array.channels),
               "mac": sum(run.mac_busy) / (cycles * config.array.tiles), "d2d": run.flits / (cycles * ways)}
        memory, dataflow = baselines.ep_memory(config, task.tokens, run.most_tokens, whole_experts=whole), "-"
        counters = baselines.ep_counters(config, ids, run)
    d2d_bytes = (counters.flits + counters.flits_passed) * config.link.beat_bytes
    return {"config": config.name, "tokens": task.tokens, "offset": task.offset, "strategy": task.strategy,
            "order": task.order, "select": task.gate.select and str(task.gate.select), "dataflow": dataflow,
            "active_experts": len(np.unique(ids[ids >= 0])), "cycles": cycles,
            "first_load_cycles": inside[0], "streaming_cycles": inside[1],
            "roofline": bound.cycles, "over_roofline": cycles / max(bound.cycles, 1),
            "over_refresh_roofline": cycles / max(refreshed(config, bound).cycles, 1),
            **{f"use_{name}": share for name, share in use.items()},
            "d2d_bytes": d2d_bytes, "d2d_uj": 8 * d2d_bytes * Outside().d2d_pj_per_bit / 1e6,
            "weight_bytes": memory["weights"], "token_bytes": memory["tokens"], "counters": asdict(counters)}


@contextmanager
def executor(kind: str, address: str | None) -> Iterator[Callable[[Callable[..., Any], Any], Any]]:
    """A function that submits work and returns a future: to the processors of this machine, or to a Dask cluster.

    Raises:
        ToolError: if Dask is not installed.
        UserError: if its scheduler does not answer.
    """
    if kind == "dask":
        try:
            from distributed import Client
        except ImportError as error:
            raise ToolError("--executor = dask needs Dask, which is not installed (pip install 'trajectile[cluster]'); "
                            "legal without it: process") from error
        if address is None:
            raise UserError("--scheduler is missing; legal values: the address of a Dask scheduler, as tcp://host:8786")
        try:
            client = Client(address, timeout="10s")
        except (OSError, ValueError) as error:
            raise UserError(f"--scheduler = {address} does not answer ({error}); legal: the address of a Dask "
                            "scheduler, as tcp://host:8786") from error
        with client:
            yield lambda work, item: client.submit(work, item, pure=False)
        return
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        try:
            yield pool.submit
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _finished(futures: Sequence[Any]) -> Iterator[Any]:
    if not futures or isinstance(futures[0], Future):
        return as_completed(futures)
    from distributed import as_completed as dask_as_completed
    return iter(dask_as_completed(futures))


def known_rows(path: Path) -> dict[str, dict[str, Any]]:
    """Rows by task key of an earlier run; a line that was cut off is left out."""
    rows = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
                rows[row.pop("key")] = row
            except (json.JSONDecodeError, KeyError, AttributeError):
                continue
    return rows


def run_all(tasks: Sequence[Task], folder: Path, *, kind: str = "process", address: str | None = None,
            done: Callable[[int], object] = int) -> list[dict[str, Any]]:
    """Rows of all tasks, in their order. What ``folder`` holds of an earlier run is not done again, if trace and model are
    those of that run. ``done`` is told how many rows there are, as they come.

    Raises:
        UserError: if the executor is not there (:func:`executor`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.jsonl"
    rows = known_rows(path)
    missing = {task.key: task for task in tasks if task.key not in rows}
    if missing:
        with executor(kind, address) as submit, path.open("a", encoding="utf-8") as log:
            futures = {submit(evaluate, task): key for key, task in missing.items()}
            for number, future in enumerate(_finished(list(futures)), 1):
                row = future.result()
                log.write(json.dumps({"key": futures[future], **row}) + "\n")
                log.flush()
                rows[futures[future]] = row
                done(len(tasks) - len(missing) + number)
    return [rows[task.key] for task in tasks]
