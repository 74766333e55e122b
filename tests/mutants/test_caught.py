"""Every design mutant that a test must catch is caught by it. A few at once; all of them in ``make regress``."""

import pytest

from tests.mutants.catalog import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.runner import run, run_tests

QUICK = ("loader-burst-long", "batch-no-watchdog")
OF_TESTS = [mutant for mutant in MUTANTS.values() if mutant.killed_by]


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name, marks=() if mutant.name in QUICK else
                                                 pytest.mark.regress) for mutant in OF_TESTS])
def test_caught(mutant):
    result = run(mutant)
    assert result.caught, result.log[-3000:]


def test_the_design_passes():
    """What fails on the mutants passes on the design, in the same process with nothing installed."""
    tests = sorted({test for mutant in OF_TESTS if mutant.name in QUICK for test in mutant.killed_by})
    done = run_tests("", tests)
    assert done.returncode == 0, done.stdout[-3000:]


def test_tests_that_are_not_there():
    """A mutant whose tests cannot be found counts as an error, not as caught."""
    mutant = MUTANTS[QUICK[0]]
    result = run(Mutant(**vars(mutant) | {"killed_by": ("tests/hw/ddr/test_nothing.py",)}))
    assert result.caught is None


def test_every_mutant_has_its_judge():
    """A proof or a test, and there are enough of them."""
    from tests.formal.proofs import PROOFS
    proved = {name for proof in PROOFS.values() for name in proof.mutants}
    for mutant in MUTANTS.values():
        assert mutant.killed_by or mutant.name in proved, mutant.name
    assert len(MUTANTS) >= 100
