"""The event ports: what each rule did in this cycle, and which phase of a batch begins or ends. For trace monitors; nothing
in the tile reads them.
"""

from amaranth.hdl import Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from trajectile.hw.lib.signature import NamedSignature
from trajectile.hw.widths import Widths


class EventPort(NamedSignature):
    """One strobe per event, with the slot concerned."""

    class Interface(wiring.PureInterface):
        load: Signal
        load_slot: Signal
        load_expert: Signal
        load_index: Signal
        load_batch: Signal
        loaded: Signal
        loaded_slot: Signal
        grant: Signal
        grant_slot: Signal
        grant_expert: Signal
        grant_index: Signal
        grant_batch: Signal
        arrived: Signal
        arrived_slot: Signal
        compute: Signal
        compute_slot: Signal
        computed: Signal
        computed_slot: Signal
        send: Signal
        send_slot: Signal
        send_escape: Signal
        send_cut: Signal
        sent: Signal
        sent_slot: Signal
        release: Signal

    def __init__(self, params: Widths):
        slot = Out(params.slot_bits)
        super().__init__({
            "load": Out(1),  #: rule 1: a slice is asked for from DDR
            "load_slot": slot,
            "load_expert": Out(params.expert_bits),
            "load_index": Out(params.index_bits),
            "load_batch": Out(1),
            "loaded": Out(1),  #: its last word is written
            "loaded_slot": slot,
            "grant": Out(1),  #: a slot is granted to the ring-previous tile
            "grant_slot": slot,
            "grant_expert": Out(params.expert_bits),
            "grant_index": Out(params.index_bits),
            "grant_batch": Out(1),
            "arrived": Out(1),  #: the last word of an arriving slice is written
            "arrived_slot": slot,
            "compute": Out(1),  #: rule 2: a slice goes to the MAC array
            "compute_slot": slot,
            "computed": Out(1),  #: the MAC array reads the slice's last word
            "computed_slot": slot,
            "send": Out(1),  #: rule 3 or 4: a slice goes to the ring-next tile
            "send_slot": slot,
            "send_escape": Out(1),  #: with ``send``: rule 4, the ring-next tile is no stop of the slice
            "send_cut": Out(1),  #: with ``send``: cut-through, as the slice arrives
            "sent": Out(1),  #: the tail flit enters the router
            "sent_slot": slot,
            "release": Out(params.config.tile.slots),  #: rule 5: one bit per slot
        })


class PhasePort(NamedSignature):
    """One strobe for each step of a batch, from its doorbell to its completion record."""

    class Interface(wiring.PureInterface):
        doorbell: Signal
        begin: Signal
        lists: Signal
        rows: Signal
        count: Signal
        formed: Signal
        pick: Signal
        pick_expert: Signal
        finished: Signal
        summed: Signal
        written: Signal
        complete: Signal

    def __init__(self, params: Widths):
        super().__init__({
            "doorbell": Out(1),  #: a descriptor is queued
            "begin": Out(1),  #: it is taken: its records are read from now on
            "lists": Out(1),  #: the last choice is in its token list
            "rows": Out(1),  #: the last activations are in the token buffer
            "count": Out(1),  #: a word of this tile's counts goes to the ring-next tile
            "formed": Out(1),  #: everybody's counts are here
            "pick": Out(1),  #: an expert is taken from the order: its slices are looked at next
            "pick_expert": Out(params.expert_bits),
            "finished": Out(1),  #: nothing is left to do for the batch in this tile but to write its results
            **({"summed": Out(1)} if params.config.array.shares else {}),  #: the sums of all tiles are added up
            "written": Out(1),  #: the last beat of results goes
            "complete": Out(1),  #: the completion record has been answered
        })
