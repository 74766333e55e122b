"""The tables of proofs in docs/rules.md, from the proofs themselves."""

from itertools import groupby

from tests.formal.proofs import PROOFS
from tests.formal.spec import Proof
from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows

#: the page and the part of it that is ours
PAGE, PART = "rules.md", "proofs"


def method(proof: Proof) -> str:
    """How it is proved, in words."""
    return "induction" if proof.bound is None else f"{proof.bound} cycles"


def markdown() -> str:
    """What holds, how it is proved, which mutants violate it; then what is assumed."""
    proofs = list(PROOFS.values())
    lines = table_rows(("proof", "block", "what holds", "proved", "mutants that violate it"), (
        (proof.name, f"`{proof.block}`", proof.says, method(proof), ", ".join(proof.mutants)) for proof in proofs))
    grouped = [(key, [proof.name for proof in group])
               for key, group in groupby(proofs, lambda proof: (proof.size, proof.assumes))]
    lines += table_rows(("proofs", "instance", "assumed of the environment (and what guarantees it)"), (
        (", ".join(names), size, assumes or "nothing") for (size, assumes), names in grouped))
    return "\n".join(lines)


def on_page() -> str:
    """The tables as docs/rules.md has them."""
    return pages.read_part(PAGE, PART)


def write() -> None:
    """Put the tables on the page."""
    pages.write_part(PAGE, PART, markdown())
