"""Shared by all tests: where the optional data lies, small configurations, and one way to simulate a block."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")

from amaranth.sim import Simulator

from tests.support.paths import SHARED
from trajectile.sw_model import config as cfg


@pytest.fixture
def shared() -> Path:
    """The folder of shared data; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no folder 'shared' beside the repository (real traces and cell libraries)")
    return SHARED


def small(**changes: object) -> cfg.Config:
    """The smoke configuration with some fields changed: ``small(tile__slots=4)``."""
    return cfg.load("smoke", [f"{key.replace('__', '.')}={list(v) if isinstance(v, tuple) else v}"
                              for key, v in changes.items()])


def run_block(block, *benches, background=()) -> None:
    """Simulate a block in Amaranth's simulator until every bench has returned; ``background`` benches may go on for ever."""
    simulator = Simulator(block)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    for bench in background:
        simulator.add_testbench(bench, background=True)
    simulator.run()
