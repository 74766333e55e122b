"""The catalog follows the design: every mutant still has its place, and what comes out is Python."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.catalog import ALL, MUTANTS
from tests.mutants.mutant import install
from tests.support.paths import ROOT


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=lambda mutant: mutant.name)
def test_every_mutant_changes_its_module(mutant):
    spec = importlib.util.find_spec(mutant.imported)
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    changed = mutant.transform(source)
    assert changed != source
    compile(changed, mutant.module, "exec")


def test_every_name_is_one_mutant():
    """Of two with one name only the second would run."""
    assert sorted(MUTANTS) == sorted(mutant.name for mutant in ALL)


def test_a_mutant_without_its_place_is_an_error():
    mutant = next(iter(MUTANTS.values()))
    with pytest.raises(ValueError, match=mutant.name):
        mutant.transform("nothing of it")


def test_the_mutated_module_is_imported():
    """In a process of its own; afterwards it is too late."""
    mutant = MUTANTS["slots-never-freed"]
    script = ("from tests.mutants.catalog import MUTANTS; from tests.mutants.mutant import install\n"
              "install(MUTANTS['slots-never-freed'])\n"
              "import trajectile.hw.rules.slots as m\n"
              "print(m.__loader__.mutant.name)\n")
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    assert done.stdout.strip() == mutant.name
    importlib.import_module(mutant.imported)
    with pytest.raises(RuntimeError, match="before the mutant"):
        install(mutant)
