"""All proofs, in the order of the table."""

from tests.formal import slots_spec
from tests.formal.spec import Proof

PROOFS: dict[str, Proof] = {proof.name: proof for module in (slots_spec,) for proof in module.PROOFS}
