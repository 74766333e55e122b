"""Turns (docs/rules.md): no DDR channel is starved by slices of the others."""

import numpy as np
import pytest

from trajectile.sw_model.config import load
from trajectile.sw_model.gates.workloads import synthetic_gate
from trajectile.sw_model.schedule.scheduler import ORDERS, roofline, schedule
from trajectile.sw_model.timeline.model import simulate


@pytest.mark.parametrize("order", ORDERS)
def test_channels_end_together(order):
    """A layer bound by compute: every channel's last load comes in the last part of the batch, and the MACs are kept busy."""
    config = load("paper", ["layer.d_ff=1408", "layer.experts=64", "layer.top_k=6", "layer.d_model=512", "tile.mac_k=32",
                            "tile.mac_n=32", "tile.mac_t=1", "tile.slices=22", "tile.slots=16"])
    gate = synthetic_gate(64, 6, 1024, 0.3, np.random.default_rng(3))
    plan = schedule(config, gate.topk_ids, order)
    line = simulate(plan)
    last = [max(e.cycle for e in line.events if e.kind == "load" and e.tile == tile) for tile in range(4)]
    assert min(last) > 0.9 * line.cycles
    assert line.cycles <= 1.08 * roofline(plan).cycles
