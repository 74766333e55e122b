"""A quick part of the proofs, each with its first mutant. All of them: ``make formal``."""

import pytest

from tests.formal.proofs import PROOFS
from tests.formal.runner import Job, run_job
from tests.mutants.catalog import MUTANTS

QUICK = [proof for proof in PROOFS.values() if proof.quick]


@pytest.mark.parametrize("proof", QUICK, ids=lambda proof: proof.name)
def test_holds(proof):
    result = run_job(Job(proof=proof))
    assert result.right, f"{result.status}\n{result.log[-3000:]}"


@pytest.mark.parametrize("proof", QUICK, ids=lambda proof: proof.name)
def test_mutant_is_caught(proof):
    result = run_job(Job(proof=proof, mutant=proof.mutants[0]))
    assert result.right, f"{result.status}\n{result.log[-3000:]}"


def test_every_proof_has_a_mutant_that_exists():
    for proof in PROOFS.values():
        assert proof.mutants and set(proof.mutants) <= set(MUTANTS), proof.name
