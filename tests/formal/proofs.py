"""All proofs, in the order of the table."""

from tests.formal import access_spec, credit_fifo_spec, engine_spec, receiver_spec, router_spec, sender_spec, slots_spec
from tests.formal.spec import Proof

_SPECS = (engine_spec, slots_spec, credit_fifo_spec, router_spec, sender_spec, receiver_spec, access_spec)
PROOFS: dict[str, Proof] = {proof.name: proof for module in _SPECS for proof in module.PROOFS}
