"""Which dataflow a batch gets: the estimate against the timeline, and what a wrong choice may cost."""

import numpy as np
import pytest

from trajectile.sw_model.config import load
from trajectile.sw_model.gates.workloads import synthetic_gate
from trajectile.sw_model.schedule.dataflow import SLACK, choose_dataflow, estimate, planned
from trajectile.sw_model.schedule.scheduler import DATAFLOWS, ScheduleError, schedule
from trajectile.sw_model.timeline.model import simulate

BOTH = "array.dataflows=both"
#: 16 tiles, of which only those in the corners have a DDR channel, and room for a large batch
CORNERS = [BOTH, "array.rows=4", "array.cols=4", "array.ddr_tiles=[0,3,12,15]", "tile.mac_t=1", "tile.tokens=256"]
NINE = [BOTH, "array.rows=3", "array.cols=3", "array.ddr_tiles=[0,2,6,8]", "tile.mac_t=1", "tile.tokens=256",
        "link.beat_bytes=36"]


def batch(config, tokens, seed=1):
    layer = config.layer
    return synthetic_gate(layer.experts, layer.top_k, tokens, 0.2, np.random.default_rng(seed)).topk_ids


@pytest.mark.parametrize(("overrides", "tokens", "chosen"), [
    (["array.dataflows=spread"], 1, "spread"), ([BOTH], 1, "shared"), ([BOTH], 16, "shared"), ([BOTH], 64, "shared"),
    ([BOTH], 65, "spread"), ([BOTH, "tile.tokens=8"], 9, "spread"), ([BOTH, "tile.tokens=9"], 9, "shared"),
    ([BOTH], 0, "spread"),
    (CORNERS, 16, "shared"), (CORNERS, 64, "shared"), (CORNERS, 256, "spread"),
    (NINE, 4, "shared"), (NINE, 64, "spread"), (NINE, 256, "spread")])
def test_chosen(overrides, tokens, chosen):
    """A build that does not share and tokens that do not fit leave no choice; tiles without a channel compute nothing."""
    config = load("demo", overrides)
    ids = batch(config, tokens)
    assert choose_dataflow(config, ids) == planned(config, ids).dataflow == chosen


def test_why_corners_spread_large_batches():
    """Four of 16 tiles would compute everything: MAC arrays decide, and DDR channels where the batch is small."""
    config = load("demo", CORNERS)
    for tokens, bound in ((16, "ddr"), (256, "mac")):
        found = {flow: estimate(schedule(config, batch(config, tokens), dataflow=flow)) for flow in DATAFLOWS}
        assert max(("ddr", "mac", "link", "io"), key=lambda name: getattr(found["shared"], name)) == bound
        assert found["shared"].ddr == found["spread"].ddr
        assert (found["shared"].cycles < found["spread"].cycles) == (bound == "ddr")
    assert found["shared"].mac > 3 * found["spread"].mac


CASES = [*(("demo", [BOTH], tokens) for tokens in (1, 4, 16, 64)), ("smoke", [BOTH], 4),
         *(("demo", CORNERS, tokens) for tokens in (1, 16, 64, 256)), *(("demo", NINE, tokens) for tokens in (4, 64, 256)),
         ("demo", [BOTH, "array.ddr_tiles=[0]", "link.beat_bytes=36"], 16), ("paper", [BOTH], 4),
         ("qwen3-30b-a3b", [BOTH], 1), ("qwen3-30b-a3b", [BOTH, "tile.weights=mxfp4"], 16)]


@pytest.mark.parametrize(("preset", "overrides", "tokens"), CASES, ids=str)
def test_against_the_timeline(preset, overrides, tokens):
    """The estimate is near, within 1 % at full size. What is chosen takes at most 2 % more than the better one."""
    config = load(preset, overrides)
    ids = batch(config, tokens)
    plans = {flow: schedule(config, ids, dataflow=flow) for flow in DATAFLOWS}
    cycles = {flow: simulate(plan, record=False).cycles for flow, plan in plans.items()}
    for flow, plan in plans.items():
        near = estimate(plan).cycles / cycles[flow]
        assert 0.99 < near < 1.01 if preset in ("paper", "qwen3-30b-a3b") else 0.75 < near < 1.06, flow
    assert cycles[choose_dataflow(config, ids)] <= 1.02 * min(cycles.values())


def test_the_slack():
    """A shared batch may take 1 % longer, and no more."""
    config = load("demo", NINE)
    ratios = {}
    for tokens in range(4, 40, 3):
        ids = batch(config, tokens)
        shared, spread = (estimate(schedule(config, ids, dataflow=flow)).cycles for flow in ("shared", "spread"))
        ratios[tokens] = shared / spread
        assert (choose_dataflow(config, ids) == "shared") == (shared <= SLACK * spread)
    assert min(ratios.values()) < SLACK < max(ratios.values()) and any(1 < ratio < SLACK for ratio in ratios.values())


def test_results_as_bfloat16_are_estimated_shorter():
    """They are half the bytes."""
    plan = schedule(load("demo", [BOTH]), batch(load("demo"), 16), dataflow="shared")
    wide, narrow = estimate(plan), estimate(plan, result_bytes=2)
    assert narrow.results < wide.results and narrow.cycles == wide.cycles - (wide.results - narrow.results)


def test_wishes():
    """What is asked for is done, or refused."""
    config = load("demo", [BOTH])
    ids = batch(config, 65)
    assert planned(config, ids, "index", "spread").dataflow == "spread"
    assert planned(config, ids[:8], "paired", "shared").dataflow == "shared"
    with pytest.raises(ScheduleError, match="tokens = 65 is not legal with dataflow = 'shared'"):
        planned(config, ids, wish="shared")
    with pytest.raises(ScheduleError, match=r"array\.dataflows"):
        planned(load("demo", ["array.dataflows=spread"]), ids[:8], wish="shared")
    with pytest.raises(ScheduleError, match="dataflow = 'both' is not legal; legal values: spread, shared, auto"):
        planned(config, ids, wish="both")
    records = [[0, 1, 2], [], [3], [4]]
    assert [list(tile.records) for tile in planned(config, ids[:5], records=records).tiles] == records
