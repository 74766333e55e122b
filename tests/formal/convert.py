"""One specification as RTLIL, of the design or of a mutant: ``python -m tests.formal.convert PROOF GROUP MUTANT FILE``.

A process of its own, so that a mutant is in place before any module of the design is imported.
"""

import sys
from pathlib import Path

from tests.mutants.catalog import MUTANTS
from tests.mutants.mutant import install


def main(proof: str, group: str, mutant: str, file: str) -> None:
    """Write the RTLIL of ``proof``'s spec with the claims of ``group``; ``mutant`` may be empty."""
    if mutant:
        install(MUTANTS[mutant])
    from amaranth.back import rtlil

    from tests.formal.proofs import PROOFS
    spec = PROOFS[proof].spec(group)
    Path(file).write_text(rtlil.convert(spec, name="spec", ports=[spec.domain.clk], emit_src=False), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
