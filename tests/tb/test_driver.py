"""The C driver on the RTL: AXI4-Lite for its registers, AXI4 memory for records and results; equal to the golden model."""

import json

import numpy as np
import pytest

from tests.support.batches import synthetic
from tests.support.observed import instruments
from trajectile.hw.design import design
from trajectile.scripts.flow import simulation
from trajectile.scripts.soc import bundle
from trajectile.sw_model.batch.results import bf16
from trajectile.sw_model.config import load
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate as model_timeline
from trajectile.tb import bench_driver, runner
from trajectile.tb.c_driver import compile_driver
from trajectile.tb.job import JOB, Job
from trajectile.tb.program import descriptors
from trajectile.tb.top import bench_top


@pytest.mark.parametrize("batches", [pytest.param(1, marks=pytest.mark.regress), 2])
def test_batches(batches, tmp_path):
    """Exact batches: by interrupt, until the queue is full in every order and format, after refusals, wrong records, a
    failure with a reset, with locked windows.
    """
    config, seed = load("smoke", ["ddr.bytes_per_cycle=1", "layer.d_model=24", f"tile.batches={batches}"]), 11
    assert 4096 % config.slice_pitch_bytes and config.channel_slices * config.slice_pitch_bytes > 4096
    batch = synthetic(config, 11, seed)
    plan = schedule(config, batch.topk_ids, "balanced")
    values = batch.given
    made = design(config)
    bundle.write(made, tmp_path)
    Job(config, [descriptors(plan, 0)], max_cycles=20 * model_timeline([plan]).cycles + 10_000).save(tmp_path / "job.json")
    given = values.batch
    (tmp_path / "told.json").write_text(json.dumps([[{"token": token, "record": {
        "exponent": int(given.exponent[token]), "experts": given.topk_ids[token].tolist(),
        "weights": given.weight[token].tolist(), "shifts": given.shift[token].tolist(), "x": given.x[token].tolist()}}
        for token in map(int, tile.records)] for tile in plan.tiles]))
    built = runner.build(made.files(), bench_top(config, memory_models=False), instruments=instruments())
    runner.run(built, "bench_driver", tmp_path / "run", environment={
        JOB: str(tmp_path / "job.json"), bench_driver.TOLD: str(tmp_path / "told.json"),
        bench_driver.LIBRARY: str(compile_driver(tmp_path))}, plusargs=simulation.write_files(config, values, tmp_path))
    outputs = [np.array(output) for output in json.loads((tmp_path / "run" / "output.json").read_text())]
    golden, unit = values.results(config), values.layer.unit
    ends = np.column_stack([np.full(len(golden.y), unit), golden.clips])
    as_int32 = np.column_stack([golden.y.view(np.uint32), ends])
    as_bf16 = np.column_stack([bf16(golden.y, unit).astype(np.uint32) << 16, ends])
    formats = [0, *(0, 1, 0, 1)[:batches + 2], 0, 0, 0]
    assert len(outputs) == len(formats)
    for output, is_bf16 in zip(outputs, formats, strict=True):
        np.testing.assert_array_equal(output, as_bf16 if is_bf16 else as_int32)
