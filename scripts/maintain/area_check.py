"""``make area``: the presets' area against the baseline of the repository; growth fails unless it is given a reason."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from trajectile.scripts.area import changes, technology
from trajectile.scripts.area.synthesis import synthesize
from trajectile.scripts.command_line import terminal
from trajectile.scripts.json_file import write_json
from trajectile.sw_model.config import load

BASELINE = Path(__file__).parent / "area_baseline.json"
PRESETS = ("smoke", "demo", "paper")
TECHNOLOGIES = ("sg13g2", "asap7")


def check(presets: Sequence[str], names: Sequence[str], folder: Path, console: Console, *, reason: str = "",
          path: Path = BASELINE) -> bool:
    """Synthesize presets in technologies and compare; with a reason also write the baseline anew.

    Returns:
        whether nothing grew by more than the limit, or there is a reason.
    """
    baseline: dict[str, Any] = {"areas": {}, "reasons": []}
    if path.is_file():
        baseline = json.loads(path.read_text(encoding="utf-8"))
    found: list[str] = []
    for preset in presets:
        for name in names:
            key = f"{preset} {name}"
            with terminal.status(f"synthesizing {key}"):
                now = changes.digest(synthesize(load(preset), folder / f"{preset}-{name}", technology.load(name)))
            base = baseline["areas"].get(key)
            if base is None:
                found.append(f"{key} is not in the baseline")
            else:
                console.print(f"[bold]{key}[/]")
                console.print(changes.table(base, now), highlight=False)
                found += [f"{key}: {what}" for what in changes.grown(base, now)]
            baseline["areas"][key] = now
    for what in found:
        console.print(what, highlight=False)
    if reason:
        baseline["reasons"].append({"why": reason, "what": found})
        write_json(path, baseline)
        console.print(f"{path} written", highlight=False)
    elif found:
        console.print(f"more than {changes.LIMIT:.0%} over {path.name}; if that is meant: make area REASON='why'",
                      highlight=False)
    return bool(reason) or not found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="area_check", description=__doc__)
    parser.add_argument("--preset", action="append", choices=PRESETS, help=f"default: {', '.join(PRESETS)}")
    parser.add_argument("--technology", action="append", choices=TECHNOLOGIES, help=f"default: {', '.join(TECHNOLOGIES)}")
    parser.add_argument("--reason", default="", help="write the baseline anew, with this reason")
    args = parser.parse_args(arguments)
    okay = check(args.preset or PRESETS, args.technology or TECHNOLOGIES, Path("build/area"), Console(), reason=args.reason)
    return 0 if okay else 1


if __name__ == "__main__":
    raise SystemExit(main())
