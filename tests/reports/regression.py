"""``make regress``: the long tests. One line per step at the end; the exit code says whether all was as it should be."""

import shutil
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

from tests.support import observed
from tests.support.paths import ROOT

HITS = ROOT / "build" / "coverage"
PYTEST = ("pytest", "-n", "auto", "--dist", "worksteal")

#: what a step is called, and the module that it runs with its arguments
STEPS = {
    "long tests": (*PYTEST, "-m", "regress", "--ignore=tests/tb", "--ignore=tests/mutants"),
    "everything on the array, watched": (*PYTEST, "-m", "regress or not regress", observed.OPTION, str(HITS), "tests/tb"),
    "functional coverage": ("tests.reports.functional_coverage", str(HITS), "--write"),
    "line coverage": ("tests.reports.line_coverage", "--write"),
    "mutants that tests must catch": ("tests.mutants.runner", "--write"),
}


def main() -> int:
    """All steps, whatever comes of each."""
    shutil.rmtree(HITS, ignore_errors=True)
    table = Table("step", "result", "minutes")
    failed = False
    for name, command in STEPS.items():
        print(f"\n== {name}: python -m {' '.join(command)}", flush=True)
        began = time.monotonic()
        code = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False).returncode
        failed |= code != 0
        table.add_row(name, "ok" if code == 0 else f"code {code}", f"{(time.monotonic() - began) / 60:.1f}")
    Console().print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
