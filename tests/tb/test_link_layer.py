"""The array with a link layer: as exact as without, a few cycles later; and exact in its results when links lose frames."""

import pytest

from tests.support.batches import exact, synthetic
from trajectile.sw_model.config import load
from trajectile.tb.job import Run

#: many frames get lost, in both directions: more replays in a row than the default allows
LOSSES = [Run(seed, stall_link=True) for seed in (2, 10)]


def counted(outcome, what: str) -> int:
    """Sum of a link counter over all tiles and ports."""
    return sum(count for counters in outcome.counters for name, count in counters.items() if name.endswith(what))


@pytest.mark.parametrize("timing_only", [False, True])
def test_without_losses(icarus, timing_only, tmp_path):
    """Results and events are the model's, which knows nothing but a longer flight; each frame goes once."""
    config = load("smoke", ["link.crc_bits=16"])
    done = exact(config, synthetic(config, 12, 7), tmp_path, simulator=icarus, timing_only=timing_only)
    assert counted(done.first, "_REPLAYS") == counted(done.first, "_ERRORS") == 0
    flits = sum(counters["COUNT_FLIT_OUT"] for counters in done.first.counters)
    assert flits <= counted(done.first, "_FRAMES") <= 2 * flits + 4 * sum(c["COUNT_GRANT"] for c in done.first.counters)


@pytest.mark.regress
def test_with_losses(tmp_path):
    """Links that lose frames change the cycles and nothing else."""
    config = load("smoke", ["link.crc_bits=32", "link.retries=1000"])
    done = exact(config, synthetic(config, 12, 4), tmp_path, runs=[Run(), *LOSSES])
    for outcome in done.outcomes[1:]:
        assert counted(outcome, "_REPLAYS") > 100 and outcome.cycles > 2 * done.model.cycles
        assert sum(e.kind == "compute" for e in outcome.log) == sum(e.kind == "compute" for e in done.model.events)
