"""A quick part of the proofs, each with its first mutant; the others are long tests. All of them: ``make formal``."""

import re

import pytest

from tests.formal import page
from tests.formal.proofs import PROOFS
from tests.formal.runner import Job, jobs_of, run_job
from tests.mutants.catalog import MUTANTS

QUICK = [job for proof in PROOFS.values() if proof.quick for job in jobs_of(proof)[:2]]
LONG = [job for proof in PROOFS.values() for job in jobs_of(proof) if job not in QUICK]


def check(job: Job) -> None:
    """Run it."""
    result = run_job(job)
    assert result.right, f"{result.status}, not {job.expected}; see {result.folder}\n{result.log[-3000:]}"


@pytest.mark.parametrize("job", QUICK, ids=lambda job: job.title)
def test_holds_and_mutants_do_not(job):
    check(job)


@pytest.mark.regress
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("job", LONG, ids=lambda job: job.title)
def test_the_others(job):
    check(job)


def test_every_proof_has_a_mutant_that_exists():
    for proof in PROOFS.values():
        assert proof.mutants and set(proof.mutants) <= set(MUTANTS), proof.name


def test_every_spec_shows_that_it_can_happen():
    """An environment that assumes too much would prove anything."""
    for spec in {proof.spec for proof in PROOFS.values()}:
        assert any(proof.reach_bound for proof in PROOFS.values() if proof.spec is spec), spec.__name__


def test_names_in_assumptions_are_proofs():
    """What is assumed "(engine-send)" is proved under that name."""
    blocks = {name.partition("-")[0] for name in PROOFS}
    for proof in PROOFS.values():
        for name in re.findall(r"\b([a-z]+-[a-z-]+)\b", proof.assumes):
            if name.partition("-")[0] in blocks:
                assert name in PROOFS, f"{proof.name} relies on {name}"


def test_page_has_the_proofs():
    assert page.on_page() == page.markdown(), "docs/rules.md: run make formal"
