"""Run design mutants against the tests that must catch them: ``python -m tests.mutants.runner [MUTANT ...]``.

Each runs in a process of its own, in which the mutated module is imported in place of the design's
(:mod:`tests.mutants.mutant`). Proofs catch theirs in ``make formal``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.mutants.catalog import MUTANTS
from tests.mutants.mutant import Mutant
from tests.support.paths import ROOT
from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows

#: a test that takes longer is ended by pytest, which is a failure
TIMEOUT_SECONDS = 600

_SCRIPT = """import sys
from tests.mutants.catalog import MUTANTS
from tests.mutants.mutant import install
if sys.argv[1]:
    install(MUTANTS[sys.argv[1]])
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


@dataclass(frozen=True)
class Result:
    """What became of a mutant."""

    mutant: Mutant
    #: a test failed on it; None if the tests could not be run
    caught: bool | None
    #: the first test that failed
    test: str
    seconds: float
    log: str


def run_tests(mutant: str, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run some tests on a mutant, or on the design (""), until one fails. Builds of mutants are not kept."""
    with tempfile.TemporaryDirectory() as folder:
        # what the surrounding test run has set is not for the one inside
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        return subprocess.run(
            [sys.executable, "-c", _SCRIPT, mutant, "-x", "-q", "-n0", "-p", "no:cacheprovider", "-rf", "--tb=line",
             f"--timeout={TIMEOUT_SECONDS}", "-m", "not regress", f"--basetemp={folder}/tests", *tests], cwd=ROOT,
            capture_output=True, text=True, check=False, env=inherited | ({"TRAJECTILE_BUILD": folder} if mutant else {}))


def run(mutant: Mutant) -> Result:
    """Run a mutant's tests on it."""
    began = time.monotonic()
    done = run_tests(mutant.name, mutant.killed_by)
    log = done.stdout + done.stderr
    codes = {int(pytest.ExitCode.OK): False, int(pytest.ExitCode.TESTS_FAILED): True}
    failed = [line[7:].partition(" - ")[0] for line in log.splitlines() if line.startswith("FAILED ")]
    return Result(mutant, codes.get(done.returncode), failed[0] if failed else "", time.monotonic() - began, log)


def markdown(results: Sequence[Result]) -> str:
    """Every mutant with the first test that failed on it, and the count."""
    rows = [(result.mutant.name, f"`{result.mutant.imported}`", result.mutant.description,
             f"`{result.test.rpartition('/')[2].partition('[')[0]}`" if result.caught else
             "NOTHING" if result.caught is False else "ERROR") for result in results]
    return "\n".join([*table_rows(("mutant", "module", "what is wrong", "caught by"), rows),
                      f"{sum(bool(result.caught) for result in results)} of {len(results)} mutants caught by tests; "
                      f"{sum(not mutant.killed_by for mutant in MUTANTS.values())} more are for the proofs."])


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table, say what went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants.runner", description="Design mutants against tests.")
    parser.add_argument("mutants", nargs="*", help="names, or beginnings of names (default: all that tests must catch)")
    parser.add_argument("--write", action="store_true", help="put the table on docs/verification.md")
    args = parser.parse_args(arguments)
    chosen = args.mutants
    mutants = [mutant for mutant in MUTANTS.values()
               if mutant.killed_by and (not chosen or any(mutant.name.startswith(name) for name in chosen))]
    if not mutants:
        parser.error("no mutant has such a name")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = []
        for result in pool.map(run, mutants):
            print(f"{result.mutant.name}: {result.test or result.caught}, {result.seconds:.0f} s", file=sys.stderr,
                  flush=True)
            results.append(result)
    print(markdown(results))
    if args.write:
        pages.write_part("verification.md", "mutants", markdown(results))
    wrong = [result for result in results if not result.caught]
    for result in wrong:
        print(f"{result.mutant.name}:\n{result.log[-1500:]}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
