"""What the rule engine exchanges with the blocks around it, one signature per neighbour, as the engine sees it."""

from amaranth.hdl import Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from trajectile.hw.batch.layouts import BatchLayouts
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.d2d.port import Message
from trajectile.hw.lib.signature import NamedSignature
from trajectile.hw.widths import Widths


class LoadPort(NamedSignature):
    """Rule 1, with the loader. It offers the next slice to be loaded; ``start`` takes it."""

    class Interface(wiring.PureInterface):
        valid: Signal
        entry: data.View
        start: Signal
        slot: Signal
        done: Signal
        done_slot: Signal

    def __init__(self, params: BatchLayouts):
        super().__init__({
            "valid": In(1),  #: there is an entry and the loader can take it
            "entry": In(params.load_layout),  #: that entry
            "start": Out(1),  #: rule 1 fires: fetch it
            "slot": Out(params.slot_bits),  #: into this slot
            "done": In(1),  #: the loader writes the last word of a slice in this cycle
            "done_slot": In(params.slot_bits),  #: into this slot
        })


class ComputePort(NamedSignature):
    """Rule 2, with the compute unit."""

    class Interface(wiring.PureInterface):
        ready: Signal
        start: Signal
        slot: Signal
        expert: Signal
        batch: Signal
        done: Signal
        done_slot: Signal

    def __init__(self, params: Widths):
        super().__init__({
            "ready": In(1),  #: a slice may start in this cycle
            "start": Out(1),  #: rule 2 fires: take this slice; only when ``ready``
            "slot": Out(params.slot_bits),  #: the slot it is in
            "expert": Out(params.expert_bits),  #: its expert
            "batch": Out(1),  #: its batch
            "done": In(1),  #: the last word of a slice is addressed in this cycle
            "done_slot": In(params.slot_bits),  #: in this slot
        })


class SendPort(NamedSignature):
    """Rules 3 and 4, with the sender."""

    class Interface(wiring.PureInterface):
        ready: Signal
        start: Signal
        slot: Signal
        slice: data.View
        to_slot: Signal
        cut: Signal
        done: Signal
        done_slot: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "ready": In(1),  #: a slice can be sent
            "start": Out(1),  #: rule 3 or 4 fires: send a slice
            "slot": Out(params.slot_bits),  #: the slot it is in
            "slice": Out(params.slice_layout),  #: which slice it is
            "to_slot": Out(params.slot_bits),  #: the slot reserved for it at the ring-next tile
            "cut": Out(1),  #: it is just arriving: cut-through
            "done": In(1),  #: the tail flit goes to the router in this cycle
            "done_slot": In(params.slot_bits),  #: of the slice in this slot
        })


class ReceivePort(NamedSignature):
    """What the receiver tells of a slice that arrives."""

    class Interface(wiring.PureInterface):
        header: Signal
        header_slot: Signal
        done: Signal
        done_slot: Signal

    def __init__(self, params: Widths):
        super().__init__({
            "header": In(1),  #: the header flit of an arriving slice stands at the receiver in this cycle
            "header_slot": In(params.slot_bits),  #: the slot that was reserved for it
            "done": In(1),  #: the last flit of a slice is written in this cycle
            "done_slot": In(params.slot_bits),  #: into this slot
        })


class ControlPort(NamedSignature):
    """The control lanes, with the router: requests go along the ring, grants against it."""

    class Interface(wiring.PureInterface):
        request: Message.Interface
        request_in: Message.Interface
        grant: Message.Interface
        grant_in: Message.Interface

    def __init__(self, params: LinkLayouts):
        super().__init__({
            "request": Out(Message(params.request_layout)),  #: ask the ring-next tile for a slot
            "request_in": In(Message(params.request_layout)),  #: the ring-previous tile asks for a slot here
            "grant": Out(Message(params.grant_layout)),  #: a slot is granted to the ring-previous tile
            "grant_in": In(Message(params.grant_layout)),  #: the ring-next tile has granted a slot
        })
