"""Protected buffers in the whole array: exact while nothing happens; flipped bits are corrected or reported, never silent."""

import pytest

from tests.support.batches import exact, simulated, synthetic
from tests.support.configurations import small
from tests.support.memory_bench import forgetful
from trajectile.hw.design import design
from trajectile.hw.params import Params
from trajectile.tb.faulty_sram import faulty_srams
from trajectile.tb.job import Run

#: a small batch, so that many fit in one simulation
TINY = {"layer__d_model": 8, "layer__d_ff": 8, "layer__experts": 3, "tile__slices": 2, "tile__tokens": 4, "tile__mac_t": 1}


@pytest.mark.parametrize("protect", ["parity", "secded"])
def test_protected(icarus, protect, tmp_path):
    """Results, events and cycles are those of the unprotected tile, and no error is seen."""
    config = small(tile__protect=protect)
    done = exact(config, synthetic(config, 12, 7), tmp_path, simulator=icarus)
    assert [c.get("COUNT_CORRECTED", 0) for c in done.first.counters] == [0, 0]


@pytest.fixture
def flipping(icarus, tmp_path):
    """Runs batches with SRAM in which of the words that are written one in so many has flipped bits; their outcomes."""
    def run(protect, one_in, bits, seed=1, batches=1, simulator=icarus):
        print(f"seed {seed}")
        config = small(tile__protect=protect, **TINY)
        return simulated(config, synthetic(config, 6, 7), tmp_path, simulator=simulator, runs=[Run()] * batches,
                         files=forgetful, may_fail=True, plusargs=[
                             f"+sram_one_in={one_in}", f"+sram_bits={bits}", f"+sram_seed={seed}"]).outcomes
    return run


def test_single_errors_are_corrected(flipping):
    """In every word that is ever written: results and events stay exact, and the corrections are counted."""
    (outcome,) = flipping("secded", 1, 1)
    assert outcome.results and outcome.events, outcome.results.message
    for counters in outcome.counters:
        assert counters["COUNT_CORRECTED"] >= counters["COUNT_WORD"]  # each cycle with a weight word is one, and others are


def reported(outcomes):
    """How many of some batches failed because of memory; all others must be exact."""
    number = 0
    for outcome in outcomes:
        if outcome.results.message.startswith("failed"):
            assert "error MEMORY" in outcome.results.message
            number += 1
        else:
            assert outcome.results and outcome.events, outcome.results.message
    return number


@pytest.mark.parametrize(("protect", "bits"), [("parity", 1), ("secded", 2)])
def test_other_errors_are_reported(flipping, protect, bits):
    """A wrong word that is used fails the batch, wherever it is; one that is not used changes nothing."""
    assert 0 < reported(flipping(protect, 300, bits, batches=8)) < 8


def test_injection_is_real(flipping):
    """Two flipped bits of a chunk are more than parity sees: then results are wrong, and nobody says so."""
    (outcome,) = flipping("parity", 20, 2)
    assert not outcome.results and "results differ" in outcome.results.message


@pytest.mark.regress
@pytest.mark.parametrize(("protect", "bits", "one_in"), [
    ("parity", 1, 500), ("parity", 1, 5000), ("secded", 1, 5), ("secded", 2, 500), ("secded", 2, 5000)])
@pytest.mark.parametrize("seed", range(2))
def test_many_batches(flipping, protect, bits, one_in, seed):
    """A hundred batches each, on Verilator."""
    number = reported(flipping(protect, one_in, bits, seed, batches=100, simulator="verilator"))
    assert number == 0 if (protect, bits) == ("secded", 1) else 0 < number < 100


def test_designs_that_cannot_forget():
    """The injection refuses what it could not do right, and changes the buffers' SRAM only."""
    for changes in ({}, {"tile__protect": "secded", "tile__mac_k": 16, "tile__mac_n": 2}):  # activations: 43, 43, 44 bits
        config = small(**changes)
        with pytest.raises(ValueError, match="is not legal here"):
            faulty_srams(design(config).modules, Params(config))
    config = small(tile__protect="secded")
    with pytest.raises(ValueError, match=r"is in \[\]; legal"):
        faulty_srams({}, Params(config))
    modules = design(config).modules
    changed = faulty_srams(modules, Params(config))
    assert sum(changed[name] != text for name, text in modules.items()) == 4
