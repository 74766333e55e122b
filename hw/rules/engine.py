"""The five virtualization rules (docs/rules.md), and nothing else.

As long as the tile is not stopped each rule is a guard on registered state and an action; they stand below in the order of
docs/architecture.md, section "Rules, cycle by cycle". All guards look at the state at the beginning of the cycle.
"""

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.events import EventPort
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.params import Params
from trajectile.hw.rules.ports import ComputePort, ControlPort, LoadPort, ReceivePort, SendPort
from trajectile.hw.rules.slots import SlotTable


class RuleEngine(Block):
    """Decides in every cycle what is loaded, computed, sent on and released in this tile.

    It owns the slot table, one request that waits for a slot here, and one request of its own at the ring-next tile. A slice
    carries its stops and its batch along. Slices of both batches use the same slots by the same rules; only rule 2 looks at
    the batch, whose activations must be here.

    Latency: a request that comes in cycle c is pending, and may be granted, in c+1 (``latency_cycles`` = 1). All rules fire
    in the cycle in which their guard holds. Throughput: each rule once per cycle; release any number of slots.
    """

    latency_cycles = 1

    running: Signal
    rows_in: Signal
    load: LoadPort.Interface
    compute: ComputePort.Interface
    control: ControlPort.Interface
    send: SendPort.Interface
    receive: ReceivePort.Interface
    events: EventPort.Interface
    used_by: Signal
    let_in: Signal
    released: Signal

    def __init__(self, params: Params):
        self.params = params
        self.batches = batches = params.config.tile.batches
        super().__init__({
            "running": In(1),  #: the tile is not stopped: without it no rule fires
            "rows_in": In(batches),  #: the activations of a batch are all here
            "load": Out(LoadPort(params)),  #: rule 1, to the loader
            "compute": Out(ComputePort(params)),  #: rule 2, to the compute unit
            "control": Out(ControlPort(params)),  #: rules 3 and 4, control lanes to the router
            "send": Out(SendPort(params)),  #: rules 3 and 4, to the sender
            "receive": Out(ReceivePort(params)),  #: rules 3 and 4, from the receiver
            "events": Out(EventPort(params)),  #: what fires or ends in this cycle
            "used_by": Out(batches),  #: a slot holds, or waits for, a slice of a batch
            "let_in": Out(batches),  #: a slice of a batch is let in: a request is granted
            "released": Out(1),  #: rule 5 fires
        })

    def elaborate(self, platform: object) -> Module:
        """The rules, one block each."""
        m = Module()
        params = self.params
        slots = SlotTable(params)
        place(m, platform, slots=slots)
        load, compute, send, receive = self.load, self.compute, self.send, self.receive
        request, request_in = self.control.request, self.control.request_in
        grant, grant_in = self.control.grant, self.control.grant_in
        m.d.comb += [
            slots.loaded.eq(load.done), slots.loaded_slot.eq(load.done_slot),
            slots.arrived.eq(receive.done), slots.arrived_slot.eq(receive.done_slot),
            slots.computed.eq(compute.done), slots.computed_slot.eq(compute.done_slot),
            slots.sent.eq(send.done), slots.sent_slot.eq(send.done_slot),
            self.released.eq(slots.freed.any()),
        ]
        each = range(params.config.tile.slots)
        for batch in range(self.batches):
            m.d.comb += self.used_by[batch].eq(Cat(slots.used[slot] & self._is_of(slots.slices[slot], batch)
                                                   for slot in each).any())

        # A request from the ring-previous tile waits here. The first of its stops ahead is this tile.
        pending = Signal()
        pending_slice = struct_signal(params.slice_layout, name="pending_slice")
        with m.If(grant.valid):
            m.d.sync += pending.eq(0)
        with m.If(request_in.valid):
            m.d.sync += [pending.eq(1), pending_slice.eq(request_in.payload.slice)]

        # Rules 3 and 4, receiving side: one free slot is enough to let a slice in, but while own loads have less than their
        # share it is rule 1's turn: a second slot is free, or will be, since some slice here has nowhere to go.
        behind = sum(slots.own[slot] for slot in each) < params.config.own_share
        stays = slots.stays.any()
        turn = Signal()
        m.d.comb += [
            turn.eq(load.valid & behind & (slots.two_free | stays)),
        ]
        with m.If(self.running):
            m.d.comb += grant.valid.eq(pending & slots.one_free & ~turn)

        # Rule 1, load: needs two free slots, so that the bubble remains, and no grant. With two free slots the turn is its
        # own where own loads have less than their share.
        entry = load.entry
        m.d.comb += [
            load.slot.eq(slots.free_slot),
            grant.payload.slot.eq(slots.free_slot),
            slots.allocate_from_link.eq(grant.valid),
        ]
        with m.If(self.running):
            m.d.comb += load.start.eq(load.valid & slots.two_free & (~pending | behind))
            # grant or load, whichever it is
            m.d.comb += slots.allocate.eq((slots.two_free & (load.valid | pending))
                                          | (slots.one_free & pending & ~(load.valid & behind & stays)))
        with m.If(grant.valid):
            m.d.comb += [
                slots.allocate_slice.expert.eq(pending_slice.expert),
                slots.allocate_slice.index.eq(pending_slice.index),
                slots.allocate_slice.batch.eq(pending_slice.batch),
                slots.allocate_slice.ahead.eq(pending_slice.ahead >> 1),
                slots.allocate_here.eq(pending_slice.ahead[0]),
                *(self.let_in[batch].eq(self._is_of(pending_slice, batch)) for batch in range(self.batches)),
            ]
        with m.Else():
            m.d.comb += [
                slots.allocate_slice.expert.eq(entry.expert),
                slots.allocate_slice.index.eq(entry.index),
                slots.allocate_slice.batch.eq(entry.batch),
                slots.allocate_slice.ahead.eq(entry.ahead),
                slots.allocate_here.eq(entry.here),
            ]

        # Rules 3 and 4, forward and escape. First a slot is asked for at the ring-next tile, for the oldest slice with
        # stops ahead; when it is granted and the link is free, the slice goes. It need not wait for its own compute, but
        # slot SRAM has one port: it goes before or after the MAC array reads it.
        wanted = Signal()  # a request is outstanding, or its grant not used
        granted = Signal()  # and granted
        wanted_slot = Signal(params.slot_bits)
        m.d.comb += [
            slots.oldest_request_of.eq(slots.used & slots.forward & (slots.filled | slots.from_link)),
            request.payload.slice.eq(slots.slices[slots.oldest_request]),
        ]
        with m.If(self.running):
            m.d.comb += request.valid.eq(~wanted & slots.oldest_request_of.any())
        with m.If(request.valid):
            m.d.sync += [wanted.eq(1), wanted_slot.eq(slots.oldest_request)]
        with m.If(grant_in.valid):
            m.d.sync += [granted.eq(1), send.to_slot.eq(grant_in.payload.slot)]
        at_rest = slots.resting.bit_select(wanted_slot, 1)
        m.d.comb += [
            send.slot.eq(wanted_slot),
            send.slice.eq(slots.slices[wanted_slot]),
            send.cut.eq(receive.header & (receive.header_slot == wanted_slot)),
            self.events.send_escape.eq(~send.slice.ahead[0]),
            slots.send.eq(send.start),
            slots.send_slot.eq(wanted_slot),
        ]
        sends = Signal()  # if the tile runs
        m.d.comb += sends.eq(granted & send.ready & (at_rest | send.cut))
        with m.If(self.running):
            m.d.comb += send.start.eq(sends)
        with m.If(send.start):
            m.d.sync += [wanted.eq(0), granted.eq(0)]

        # Rule 2, compute: the oldest slice here that has not met its tokens, which are here too. Whether the tile runs comes
        # late, and does not say which slice it is.
        being_sent = Signal(params.config.tile.slots)
        rows = Signal(params.config.tile.slots)
        for slot in each:
            m.d.comb += rows[slot].eq(Cat(self._is_of(slots.slices[slot], batch) & self.rows_in[batch]
                                          for batch in range(self.batches)).any())
        m.d.comb += [
            being_sent.bit_select(wanted_slot, 1).eq(sends),
            slots.oldest_compute_of.eq(slots.used & slots.filled & slots.todo & rows & ~slots.sending & ~being_sent),
            compute.slot.eq(slots.oldest_compute),
            compute.expert.eq(slots.slices[slots.oldest_compute].expert),
            compute.batch.eq(slots.slices[slots.oldest_compute].batch),
            slots.compute.eq(compute.start),
            slots.compute_slot.eq(compute.slot),
        ]
        with m.If(self.running):
            m.d.comb += compute.start.eq(compute.ready & slots.oldest_compute_of.any())

        # Rule 5, release: nothing left to do here.
        with m.If(self.running):
            m.d.comb += slots.freed.eq(slots.stays & slots.resting & ~(slots.todo | slots.sending))
        self._events(m, slots, pending_slice)
        return m

    def _is_of(self, slice_: data.View, batch: int) -> Value:
        """It is a slice of this batch; the only one, if there is no other."""
        return Value.cast(slice_.batch == batch) if self.batches > 1 else Const(1)

    def _events(self, m: Module, slots: SlotTable, granted: data.View) -> None:
        """Show what the rules do; ``granted`` is the slice that a grant is for."""
        events, load, compute, send, receive = self.events, self.load, self.compute, self.send, self.receive
        m.d.comb += [
            events.load.eq(load.start), events.load_slot.eq(load.slot),
            events.load_expert.eq(load.entry.expert), events.load_index.eq(load.entry.index),
            events.load_batch.eq(load.entry.batch),
            events.loaded.eq(load.done), events.loaded_slot.eq(load.done_slot),
            events.grant.eq(self.control.grant.valid), events.grant_slot.eq(self.control.grant.payload.slot),
            events.grant_expert.eq(granted.expert), events.grant_index.eq(granted.index),
            events.grant_batch.eq(granted.batch),
            events.arrived.eq(receive.done), events.arrived_slot.eq(receive.done_slot),
            events.compute.eq(compute.start), events.compute_slot.eq(compute.slot),
            events.computed.eq(compute.done), events.computed_slot.eq(compute.done_slot),
            events.send.eq(send.start), events.send_slot.eq(send.slot), events.send_cut.eq(send.cut),
            events.sent.eq(send.done), events.sent_slot.eq(send.done_slot),
            events.release.eq(slots.freed),
        ]
