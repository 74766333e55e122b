"""The whole array against the golden model: results bit for bit, events cycle for cycle."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.batches import batch_of, exact, queued, synthetic
from tests.support.configurations import minimal_configs, random_config, scaled_layer, small, smallest
from tests.support.paths import SHARED
from tests.support.wild import wild_batch
from trajectile.scripts.flow import workload
from trajectile.sw_model.config import MULTIPLIERS, from_dict, load
from trajectile.sw_model.gates import traces
from trajectile.sw_model.schedule.scheduler import ORDERS
from trajectile.tb.job import Run

#: tokens and order of windows: one number of tokens in every order; the others are long tests
WINDOWS = [pytest.param(tokens, order, marks=[] if tokens == 64 else pytest.mark.regress)
           for tokens in (16, 64, 256) for order in ORDERS]
#: real gates beside the repository (name, experts, top_k), and the same shapes with a synthetic gate
TRACES = [pytest.param("flame-moe-290m", 64, 6, marks=pytest.mark.regress), ("qwen1.5-moe-a2.7b", 60, 4)]


@pytest.mark.parametrize(("tokens", "order"), WINDOWS)
def test_toy_model(tokens, order, tmp_path):
    """The demo's hardware on the toy model's weights and held-out tokens; near the float32 layer as well."""
    config = load("demo")
    batch = workload.load(config, tokens=tokens, offset=100)
    done = exact(config, batch, tmp_path, order=order)
    assert batch.given.fidelity(batch.given.results(config))["cosine"] >= 0.995
    if (tokens, order) == (64, "balanced"):
        assert done.first.cycles <= 1.15 * done.roofline.cycles


@pytest.mark.parametrize(("tokens", "order"), WINDOWS)
@pytest.mark.parametrize(("name", "experts", "top_k"), TRACES)
def test_real_gates(name, experts, top_k, tokens, order, tmp_path):
    """Windows of real gate traces on a layer scaled down; a synthetic gate of the same shape where there are none."""
    config = scaled_layer(experts, top_k)
    path = SHARED / "traces" / f"{name}.npz"
    if path.is_file():
        trace = traces.load_trace(path)
        layer = int(trace.layers[len(trace.layers) // 2])
        batch = batch_of(config, trace.window(layer, trace.tokens // 3, tokens), tokens)
    else:
        batch = synthetic(config, tokens, tokens)
    exact(config, batch, tmp_path, order=order)


@pytest.mark.parametrize("order", ORDERS)
def test_smoke(simulator, order, tmp_path):
    """The smoke configuration on both simulators."""
    config = load("smoke")
    exact(config, synthetic(config, 12, 7), tmp_path, order=order, simulator=simulator)


@pytest.mark.parametrize("batches", [pytest.param(1, marks=pytest.mark.regress), 2])
def test_batches_in_a_queue(icarus, batches, tmp_path):
    """Five batches of different sizes back to back, one of them without tokens; with two in flight it takes less time."""
    config = small(tile__batches=batches)
    loads = queued(config, (config.token_capacity, 1, 0, 3, config.token_capacity), 20)
    exact(config, loads, tmp_path, simulator=icarus)


@pytest.mark.regress
@pytest.mark.parametrize(("batches", "late"), [(2, (0, 700)), (2, (700, 0)), (1, (3, 0))])
def test_a_tile_is_late(icarus, batches, late, tmp_path):
    """The doorbell of a tile rings later than the other's, by much or by little; for every batch."""
    config = load("smoke", [f"tile.batches={batches}"])
    loads = queued(config, (12, 5, 9), 40)
    exact(config, loads, tmp_path, simulator=icarus, runs=[Run(late=late)])


@pytest.mark.parametrize("overrides", [
    [], ["tile.mac_n=6"], *(pytest.param(overrides, marks=pytest.mark.regress) for overrides in (
        ["io.bytes_per_cycle=32", "array.dataflows=spread"], ["tile.mac_n=8", "tile.mac_k=2"]))])
def test_bf16(icarus, overrides, tmp_path):
    """Results as bf16, groups of which are dense or padded."""
    config = load("smoke", overrides)
    exact(config, synthetic(config, 12, 7), tmp_path, simulator=icarus, bf16=True)


def test_wrong_choices(icarus, tmp_path):
    """Experts that do not exist, or are named twice, are dropped; the record says so, and the rest of the batch is right."""
    config = load("smoke")
    batch = synthetic(config, 12, 7)
    ids = batch.topk_ids.copy()
    ids[2, 1], ids[5, 0], ids[7] = 6, 0xFFFE, ids[7, 0]
    wrong = replace(batch, topk_ids=ids, values=replace(batch.given, batch=replace(batch.given.batch, topk_ids=ids)))
    exact(config, [wrong, batch], tmp_path, simulator=icarus)


#: every weight format with and without a scale mantissa, every activation function, biases
FORMATS = [("mx8", 0, "silu", True), ("mx8", 3, "gelu_tanh", False), ("mxfp4", 0, "quick_gelu", True),
           ("mxfp4", 3, "gelu", False), ("int4", 0, "silu", False), ("int4", 3, "gelu", True)]


@pytest.mark.parametrize(("number", "weights", "mantissa", "activation", "bias"), [
    pytest.param(number, *one, marks=[] if number == 3 else pytest.mark.regress) for number, one in enumerate(FORMATS)])
def test_formats(first_verilator, number, weights, mantissa, activation, bias, tmp_path):
    """Slices of several blocks, two of them partly filled, in every format; values that clip."""
    config = small(layer__d_model=40, layer__d_ff=72, layer__experts=3, tile__slices=2, tile__mac_k=8, tile__weights=weights,
                   tile__scale_mantissa=mantissa, layer__activation=activation, layer__bias=str(bias).lower(),
                   tile__multiplier=MULTIPLIERS[number % 2])
    exact(config, wild_batch(config, 4, 3), tmp_path, simulator=first_verilator)


@pytest.mark.regress
def test_a_count_ends(tmp_path):
    """Nearly all of a token's 66,560 gate-up pairs are clipped, and its count ends at 65,535."""
    config = small(layer__d_model=4, layer__d_ff=16640, layer__experts=4, layer__top_k=4, tile__slices=256, tile__mac_n=2)
    batch = synthetic(config, 1, 3)
    far = replace(batch.given, batch=replace(batch.given.batch, exponent=np.array([127])))
    assert far.results(config).clips.tolist() == [65535]
    exact(config, replace(batch, values=far), tmp_path, simulator="native")


@pytest.mark.parametrize("tokens", [0, 1, 2])
def test_hardly_any_tokens(icarus, tokens, tmp_path):
    """Tiles without tokens, and a batch without any: the tiles say done at once."""
    config = load("smoke")
    exact(config, synthetic(config, tokens, tokens), tmp_path, simulator=icarus)


def test_one_of_everything(first_icarus, tmp_path):
    """One expert, one slice of two words, one token, one lane, one byte per beat."""
    config = smallest()
    exact(config, synthetic(config, 2, 5), tmp_path, simulator=first_icarus)


@pytest.mark.regress
@pytest.mark.parametrize("config", minimal_configs(), ids=lambda c: c.name)
def test_one_of_something(config, icarus, tmp_path):
    """Each field at its least, and each by itself above it."""
    exact(config, synthetic(config, config.array.tiles * config.tile.tokens, 5), tmp_path, simulator=icarus)


def test_batches_one_after_the_other(icarus, tmp_path):
    """The same batch twice: nothing of the first is left in the second."""
    config = load("smoke")
    done = exact(config, synthetic(config, 9, 3), tmp_path, simulator=icarus, runs=[Run(), Run()])
    assert len(done.outcomes) == 2 and done.outcomes[0].log == done.outcomes[1].log


@pytest.mark.regress
def test_odd_sizes(tmp_path):
    """60 experts, d_ff 1408 in 11 slices, three tokens on a tile, one tile without any, experts without any."""
    config = from_dict({
        "layer": {"d_model": 6, "d_ff": 1408, "experts": 60, "top_k": 4},
        "array": {"rows": 2, "cols": 2, "ddr_tiles": [0, 2, 3]},
        "tile": {"mac_k": 4, "mac_n": 4, "mac_t": 3, "slices": 11, "slots": 5, "tokens": 7},
        "link": {"beat_bytes": 10, "latency_cycles": 3}, "ddr": {"bytes_per_cycle": 4, "latency_cycles": 25},
    }, "odd")
    batch = synthetic(config, 9, 11)
    done = exact(config, batch, tmp_path, simulator="native")
    assert sorted(np.bincount(done.plan.placement[:, 0], minlength=4)) == [2, 2, 2, 3]
    assert len(np.unique(batch.topk_ids)) < 60
    done = exact(config, synthetic(config, 3, 12), tmp_path, simulator="native")
    assert sorted(np.bincount(done.plan.placement[:, 0], minlength=4)) == [0, 1, 1, 1]


@pytest.mark.parametrize("grid", [
    (4, 1), *(pytest.param(grid, marks=pytest.mark.regress) for grid in ((1, 3), (3, 3), (3, 4), (4, 4)))], ids=str)
def test_grids(icarus, grid, tmp_path):
    """Rings over larger grids; 1x3, 4x1 and 3x3 close over tiles in between. Lines with a link layer at every hop."""
    config = small(array__rows=grid[0], array__cols=grid[1], tile__slots=2, tile__mac_t=1, tile__tokens=2,
                   array__ddr_tiles=(0, grid[0] * grid[1] - 1), link__crc_bits=16 if 1 in grid else 0)
    exact(config, synthetic(config, grid[0] * grid[1] + 2, 5), tmp_path, simulator=icarus)


#: random configurations of more than 200 MACs, which take Icarus minutes
LARGE = (0, 6, 7)


@pytest.mark.parametrize("seed", [pytest.param(seed, marks=[] if seed == 1 else pytest.mark.regress)
                                  for seed in range(32) if seed not in LARGE])
def test_random_configurations(icarus, seed, tmp_path):
    """Any legal configuration builds and is exact, on any values."""
    config = random_config(seed)
    tokens = int(np.random.default_rng(seed).integers(0, config.token_capacity + 1))
    exact(config, wild_batch(config, tokens, seed), tmp_path, simulator=icarus, order=ORDERS[seed % 3])


@pytest.mark.regress
@pytest.mark.parametrize("seed", [*LARGE, 100])
def test_large_configurations(seed, tmp_path):
    """On Verilator alone."""
    config = random_config(seed)
    exact(config, wild_batch(config, config.token_capacity, seed), tmp_path)


@pytest.mark.parametrize(("weights", "slots", "flits"), [
    ("mx8", True, True), *(pytest.param(*which, marks=pytest.mark.regress) for which in (
        ("mx8", True, False), ("mx8", False, True), ("mxfp4", True, True)))])
def test_registers_of_an_fpga(weights, slots, flits, first_icarus, tmp_path):
    """As an FPGA has it: sums, words out of slots, and flits come later. The same events without arithmetic."""
    config = small(array__dataflows="both", tile__weights=weights, tile__register_operands=slots,
                   tile__register_products=True, tile__register_slots=slots, tile__register_starts=flits,
                   tile__register_flits=flits)
    batch = synthetic(config, 12, 7)
    full = exact(config, batch, tmp_path / "full", simulator=first_icarus)
    control = exact(config, batch, tmp_path / "control", simulator=first_icarus, timing_only=True)
    assert control.first.log == full.first.log


def test_timing_only(first_icarus, tmp_path):
    """Without payload and arithmetic the same events happen in the same cycles."""
    config = load("smoke")
    batch = synthetic(config, 12, 7)
    full = exact(config, batch, tmp_path / "full", simulator=first_icarus)
    control = exact(config, batch, tmp_path / "control", simulator=first_icarus, timing_only=True)
    assert control.first.log == full.first.log


@pytest.mark.parametrize("timing_only", [pytest.param(False, marks=pytest.mark.regress), True])
def test_native(timing_only, tmp_path):
    """Verilator's model under the C++ main: the same results and events as under cocotb; the controllers with link layers."""
    config = load("smoke", ["link.crc_bits=16"] if timing_only else [])
    exact(config, synthetic(config, 12, 7), tmp_path, simulator="native", timing_only=timing_only)
