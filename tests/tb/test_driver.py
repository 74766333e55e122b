"""The C driver on the RTL, over AXI4-Lite: results equal the golden model's bit for bit; refusals, failures, resets."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from tests.support.batches import synthetic
from tests.support.configurations import random_config
from tests.support.observed import instruments
from trajectile.hw.design import design
from trajectile.hw.params import Params
from trajectile.scripts.flow import simulation
from trajectile.scripts.soc import bundle, driver
from trajectile.scripts.soc import register_map as regmap_docs
from trajectile.sw_model.config import load, presets
from trajectile.sw_model.schedule.scheduler import schedule
from trajectile.sw_model.timeline.model import simulate as model_timeline
from trajectile.tb import bench_driver, runner
from trajectile.tb.c_driver import FLAGS, compile_driver, program_of
from trajectile.tb.job import JOB
from trajectile.tb.top import bench_top

#: with every optional part, and many tiles, wide entries, experts that need every bit of their number
CONFIGURATIONS = [*map(load, presets()), load("smoke", ["link.crc_bits=16", "tile.protect=secded"]),
                  *(random_config(seed) for seed in range(8))]


#: the slices of a channel lie across 4 GiB, and one of them lies there itself
DDR_BASE = 2**32 - 4096


def test_batches(tmp_path):
    """Three exact batches: by interrupt, after refused accesses, after a failure and a reset."""
    config, seed = load("smoke", ["ddr.bytes_per_cycle=1", "layer.d_model=24"]), 11
    assert 4096 % config.slice_pitch_bytes and config.channel_slices * config.slice_pitch_bytes > 4096
    batch = synthetic(config, 11, seed)
    plan = schedule(config, batch.topk_ids, "balanced")
    values = batch.given
    made = design(config)
    bundle.write(made, tmp_path)
    simulation.make_job(plan, values, max_cycles=20 * model_timeline(plan).cycles).save(tmp_path / "job.json")
    (tmp_path / "program.json").write_text(json.dumps({
        "programs": [program_of(plan, tile, values.batch, ddr_base=DDR_BASE) for tile in range(config.array.tiles)],
        "tokens": [[*map(int, place), values.batch.x[token].tolist(), values.batch.shift[token].tolist()]
                   for token, place in enumerate(plan.placement)]}))
    built = runner.build(made.files(), bench_top(config), instruments=instruments())
    runner.run(built, "bench_driver", tmp_path / "run", environment={
        JOB: str(tmp_path / "job.json"), bench_driver.PROGRAM: str(tmp_path / "program.json"),
        bench_driver.LIBRARY: str(compile_driver(tmp_path))},
        plusargs=[f"+ddr_base={DDR_BASE:x}", *simulation.write_files(config, values, tmp_path)])
    outputs = json.loads((tmp_path / "run" / "output.json").read_text())
    assert len(outputs) == 3
    y, clips = values.results(config)
    for output in outputs:
        np.testing.assert_array_equal(np.array(output), np.column_stack([y, clips]))


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda config: config.name)
def test_no_warning(config, tmp_path):
    """For any configuration it is C99 without a warning."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    for name, text in (driver.files() | {"trajectile.h": regmap_docs.c_header(Params(config))}).items():
        (tmp_path / name).write_text(text)
    subprocess.run(["gcc", *FLAGS, "-fsyntax-only", tmp_path / "trajectile_driver.c"], check=True)


def test_driver_names_no_number():
    """Offsets and bits come from the generated header alone: the driver has no hexadecimal number of its own."""
    assert not any("0x" in text for text in driver.files().values())
