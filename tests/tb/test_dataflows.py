"""Shared batches on the whole array, by themselves and among others: results bit for bit, events cycle for cycle."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.batches import cut, exact, queued, synthetic
from tests.support.configurations import REGISTERS, TINY, random_sharing, small
from tests.support.wild import wild_batch
from trajectile.sw_model.schedule.placement import in_blocks
from trajectile.sw_model.schedule.scheduler import ORDERS
from trajectile.tb.job import Run

SPREAD, SHARED = "spread", "shared"
#: one dataflow after the other, in every order
MIXED = (SPREAD, SHARED, SHARED, SPREAD, SPREAD, SHARED)
#: with as many flits as a group needs, two batches in flight
BOTH = {"array__dataflows": "both", "tile__batches": 2}
#: a tile that is small, but for the ports between tiles
TINY_BOTH = {**TINY, **BOTH, "link__beat_bytes": 4, "link__latency_cycles": 2, "tile__tokens": 5}
#: grids, with channels in some tiles only; 3x3 and 1x3 close over tiles in between
GRIDS = {
    "2x2": {"array__rows": 2, "array__cols": 2, "array__ddr_tiles": (1,), "tile__mac_t": 3, "tile__tokens": 7,
            "layer__d_model": 7, "tile__batches": 1},
    "2x3": {"array__rows": 2, "array__cols": 3, "array__ddr_tiles": (0, 2, 3), "link__beat_bytes": 5, "tile__mac_t": 2,
            "layer__d_model": 9},
    "3x3": {"array__rows": 3, "array__cols": 3, "array__ddr_tiles": (0, 2, 6, 8), "tile__tokens": 9},
    "1x3, link layer": {"array__rows": 1, "array__cols": 3, "array__ddr_tiles": (0, 2), "link__crc_bits": 16,
                        "link__beat_bytes": 6},
    "1x3, registers": {"array__rows": 1, "array__cols": 3, "array__ddr_tiles": (0, 2), **REGISTERS},
}


def sizes_of(config, seed, dataflows=MIXED):
    """A number of tokens that fits for each batch: as many as fit first, then any."""
    rng = np.random.default_rng(seed)
    most = [config.token_capacity if dataflow == SPREAD else config.tile.tokens for dataflow in dataflows]
    return [fits if number < 3 else int(rng.integers(fits + 1)) for number, fits in enumerate(most)]


def test_mixed(first_verilator, tmp_path):
    """Batches of both kinds one behind the other, also of one token and of none; choices that are wrong."""
    config = small(**BOTH)
    loads = queued(config, (12, 6, 5, 3, 12, 0, 1, 2), 20)
    ids = loads[2].topk_ids.copy()
    ids[1, 1], ids[2, 0], ids[4] = 6, 0xFFFE, ids[4, 0]
    given = loads[2].given
    loads[2] = replace(loads[2], topk_ids=ids, values=replace(given, batch=replace(given.batch, topk_ids=ids)))
    exact(config, loads, tmp_path, simulator=first_verilator, dataflow=[*MIXED, SHARED, SHARED])


@pytest.mark.parametrize("grid", [
    "3x3", "1x3, link layer", "1x3, registers", *(pytest.param(grid, marks=pytest.mark.regress) for grid in ("2x2", "2x3"))])
def test_grids(icarus, grid, tmp_path):
    """Rings over larger grids, odd sizes of everything that travels, results as bf16."""
    config, dataflows = small(**{**TINY_BOTH, **GRIDS[grid]}), MIXED[:3 if grid == "3x3" else 4]
    exact(config, queued(config, sizes_of(config, 4, dataflows), 5), tmp_path, simulator=icarus, dataflow=dataflows,
          bf16=grid != "2x2")


@pytest.mark.parametrize("held", [((0, 1, 2, 3, 4), (), ()), *(
    pytest.param(held, marks=pytest.mark.regress) for held in (
        ((), (3, 1, 0, 2), (4,)), ((), (), (2, 1, 0, 4, 3)), ((0,), (), (1,)), ((), (0,), ())))], ids=str)
def test_tokens_of_some_tiles(icarus, held, tmp_path):
    """Tiles whose hosts gave none add their sums all the same; the channel is that of another tile."""
    config = small(**{**TINY_BOTH, "array__cols": 3, "array__ddr_tiles": (1,)})
    exact(config, synthetic(config, sum(map(len, held)), 6), tmp_path, simulator=icarus, dataflow=SHARED, records=held)


def test_a_tile_is_late(first_verilator, tmp_path):
    """By much or by little, for every batch: the others wait for its records, its counts and its permits."""
    config = small(**{**TINY_BOTH, "array__cols": 3, "array__ddr_tiles": (0, 1)})
    exact(config, queued(config, sizes_of(config, 1, MIXED[:4]), 40), tmp_path, simulator=first_verilator, dataflow=MIXED[:4],
          runs=[Run(late=late) for late in ((0, 700, 0), (700, 0, 0), (3, 0, 1), (0, 90, 400))])


@pytest.mark.parametrize("registers", [{}, pytest.param(REGISTERS, marks=pytest.mark.regress)], ids=["none", "registers"])
def test_everything_stalls(registers, tmp_path):
    """Host, DDR, io and links hesitate at random."""
    config = small(**{**TINY_BOTH, "array__rows": 2, "array__ddr_tiles": (0, 3), **registers})
    done = exact(config, queued(config, sizes_of(config, 3), 7), tmp_path, dataflow=MIXED, runs=[
        Run(), *(Run(seed, stall_host=True, stall_ddr=True, stall_io=True, stall_link=True) for seed in range(1, 21))])
    assert len({outcome.cycles for outcome in done.outcomes}) > 15


def test_timing_only(icarus, tmp_path):
    """Without payload and arithmetic the same events happen in the same cycles."""
    config = small(**BOTH)
    loads = queued(config, (12, 6, 4), 9)
    full = exact(config, loads, tmp_path / "full", simulator=icarus, dataflow=MIXED[:3])
    control = exact(config, loads, tmp_path / "control", simulator=icarus, dataflow=MIXED[:3], timing_only=True)
    assert control.first.log == full.first.log


@pytest.mark.parametrize("seed", [
    pytest.param(seed, marks=[] if seed == 17 else pytest.mark.regress) for seed in range(10, 34)])
def test_random_configurations(icarus, seed, tmp_path):
    """Any legal configuration, any values, any order of dataflows."""
    config, rng = random_sharing(seed), np.random.default_rng(seed)
    dataflows = [str(one) for one in rng.choice([SPREAD, SHARED, SHARED], 4)]
    sizes = sizes_of(config, seed, dataflows)
    exact(config, cut(wild_batch(config, sum(sizes), seed), sizes), tmp_path, simulator=icarus, dataflow=dataflows,
          order=ORDERS[seed % 3], bf16=seed % 2 == 1)


@pytest.mark.regress
def test_foreign_axi_models(tmp_path):
    """cocotbext-axi on the host ports and behind DDR and io ports, at full speed and with pauses."""
    config = small(**BOTH)
    exact(config, queued(config, (12, 6, 5), 6), tmp_path, axi_models=True, dataflow=MIXED[:3], runs=[
        Run(1), Run(2, stall_ddr=True, stall_io=True, stall_link=True)])


@pytest.mark.regress
@pytest.mark.parametrize("seed", range(4))
def test_native(seed, tmp_path):
    """Larger arrays for longer, each tile with tokens that follow each other."""
    config = small(**{**BOTH, "array__rows": 3, "array__cols": 3 + seed % 2, "array__ddr_tiles": (0, 2, 4, 8),
                      "tile__tokens": 16, "link__crc_bits": 16 * (seed // 2)})
    exact(config, synthetic(config, 16, seed), tmp_path, simulator="native", dataflow=SHARED, records=in_blocks(config, 16))
