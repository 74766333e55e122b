"""All proofs, in the order of the table."""

from tests.formal import (
    access_spec,
    bias_spec,
    buffer_spec,
    clips_spec,
    count_exchange_spec,
    credit_fifo_spec,
    crossing_spec,
    doorbell_spec,
    engine_spec,
    expert_order_spec,
    flit_merge_spec,
    host_spec,
    io_spec,
    link_spec,
    lists_spec,
    load_maker_spec,
    loader_spec,
    receiver_spec,
    record_parser_spec,
    record_port_spec,
    record_ring_spec,
    reduction_spec,
    rounding_spec,
    router_spec,
    sender_spec,
    sequencer_spec,
    slots_spec,
    splitter_spec,
    training_spec,
)
from tests.formal.spec import Proof

_SPECS = (engine_spec, slots_spec, credit_fifo_spec, router_spec, sender_spec, receiver_spec, record_port_spec,
          flit_merge_spec, buffer_spec, sequencer_spec, rounding_spec, bias_spec, clips_spec, loader_spec, access_spec,
          host_spec, doorbell_spec, link_spec, crossing_spec, lists_spec, count_exchange_spec, expert_order_spec,
          load_maker_spec, record_ring_spec, record_parser_spec, reduction_spec, io_spec, splitter_spec, training_spec)
PROOFS: dict[str, Proof] = {proof.name: proof for module in _SPECS for proof in module.PROOFS}
