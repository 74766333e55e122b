"""The first ten minutes of a newcomer, timed: ``python -m trajectile.scripts.maintain.first_minutes``. Wall-clock figures,
of this machine.

A fresh clone of this repository in a temporary folder, with the virtual environment that runs this (so downloads are not
counted), without ccache and without anything built before: the demo to its report, then the same with other tokens.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STEPS = {
    "clone": ["git", "clone", "--quiet", str(ROOT), "."],
    "first run, to the report": [sys.executable, "-m", "trajectile", "demo", "--json", "first.json"],
    "second run, other tokens": [sys.executable, "-m", "trajectile", "demo", "--tokens", "32", "--json", "second.json"],
}


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds on the clock, and seconds of one core that the command and its children took.

    Raises:
        SystemExit: if it fails.
    """
    def used() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime
    began, before = time.monotonic(), used()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return time.monotonic() - began, used() - before


def main() -> None:
    """Print a row for each step."""
    environment = {name: value for name, value in os.environ.items() if name != "TRAJECTILE_BUILD"} | {"OBJCACHE": ""}
    busy = os.getloadavg()[0]
    print("| step | seconds | seconds of one core |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory(prefix="trajectile-") as folder:
        for name, command in STEPS.items():
            wall, core = timed(command, Path(folder), environment)
            print(f"| {name} | {wall:.0f} | {core:.0f} |", flush=True)
    print(f"\n{os.cpu_count()} cores; load before: {busy:.1f} (for figures of a free machine it is near 0)")


if __name__ == "__main__":
    main()
