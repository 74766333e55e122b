"""The five virtualization rules (docs/rules.md), and nothing else.

While a batch runs each rule is a guard on registered state and an action; they stand below in the order of
docs/architecture.md, section "Rules, cycle by cycle". All guards look at the state at the beginning of the cycle.
"""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.host.tables import TableBus
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.hw.params import Params, Table
from trajectile.hw.rules.slots import SlotTable


class RuleEngine(Block):
    """Decides in every cycle what is loaded, computed, sent on and released in this tile.

    It owns the slot table, the routing part of the rule table (is this tile, is the ring-next tile a stop of an expert),
    one request that waits for a slot here, and one request of its own at the ring-next tile.

    Latency: a request that comes in cycle c is looked up and may be granted in c+1 (``latency_cycles`` = 1). All rules fire
    in the cycle in which their guard holds. Throughput: each rule once a cycle; release any number of slots.
    """

    latency_cycles = 1

    table: TableBus.Interface
    running: Signal
    load_valid: Signal
    load_entry: data.View
    load: Signal
    load_slot: Signal
    loaded: Signal
    loaded_slot: Signal
    compute_ready: Signal
    compute: Signal
    compute_slot: Signal
    compute_expert: Signal
    computed: Signal
    computed_slot: Signal
    request: Signal
    request_slice: data.View
    request_in: Signal
    request_in_slice: data.View
    grant: Signal
    grant_slice: data.View
    grant_in: Signal
    grant_in_slot: Signal
    sender_idle: Signal
    send: Signal
    send_slot: Signal
    send_slice: data.View
    send_to: Signal
    send_escape: Signal
    send_cut: Signal
    sent: Signal
    sent_slot: Signal
    header: Signal
    header_slot: Signal
    arrived: Signal
    arrived_slot: Signal
    freed: Signal
    empty: Signal

    def __init__(self, params: Params):
        self.params = params
        number, slice_ = params.slot_bits, params.slice_layout
        super().__init__({
            "table": In(TableBus(params)),  #: host writes of RULES
            "running": In(1),  #: a batch runs: without it no rule fires
            # rule 1, to the loader
            "load_valid": In(1),  #: the load list has an entry and the loader can take it
            "load_entry": In(params.load_layout),  #: that entry
            "load": Out(1),  #: rule 1 fires: fetch it
            "load_slot": Out(number),  #: into this slot (also the slot of a grant)
            "loaded": In(1),  #: the loader wrote the last word of a slice
            "loaded_slot": In(number),
            # rule 2, to the compute unit
            "compute_ready": In(1),  #: the MAC array can take a slice
            "compute": Out(1),  #: rule 2 fires
            "compute_slot": Out(number),
            "compute_expert": Out(params.expert_bits),
            "computed": In(1),  #: the MAC array has read the slice
            "computed_slot": In(number),
            # rules 3 and 4, control lanes
            "request": Out(1),  #: ask the ring-next tile for a slot
            "request_slice": Out(slice_),  #: for this slice
            "request_in": In(1),  #: the ring-previous tile asks for a slot here
            "request_in_slice": In(slice_),  #: for this slice
            "grant": Out(1),  #: the slot ``load_slot`` is granted to the ring-previous tile
            "grant_slice": Out(slice_),  #: for this slice
            "grant_in": In(1),  #: the ring-next tile has granted
            "grant_in_slot": In(number),  #: this slot
            # rules 3 and 4, sender and receiver
            "sender_idle": In(1),  #: the sender can take a slice
            "send": Out(1),  #: rule 3 or 4 fires
            "send_slot": Out(number),  #: the slice's slot here
            "send_slice": Out(slice_),  #: which slice it is
            "send_to": Out(number),  #: the slot reserved for it at the ring-next tile
            "send_escape": Out(1),  #: it is rule 4: the ring-next tile is no stop of the slice
            "send_cut": Out(1),  #: the slice is just arriving: cut-through
            "sent": In(1),  #: the sender has sent the slice
            "sent_slot": In(number),
            "header": In(1),  #: the header flit of an arriving slice stands at the receiver in this cycle
            "header_slot": In(number),  #: its slot
            "arrived": In(1),  #: the receiver wrote the last word of a slice
            "arrived_slot": In(number),
            # rule 5
            "freed": Out(params.config.tile.slots),  #: slots freed in this cycle
            "empty": Out(1),  #: no slot is in use
        })

    def elaborate(self, platform: object) -> Module:
        """The rules, one block each."""
        m = Module()
        params = self.params
        slots = SlotTable(params)
        rules = Sram1RW(depth=params.config.layer.experts, width=2)
        place(m, platform, slots=slots, rule_table=rules)
        m.d.comb += [
            slots.loaded.eq(self.loaded), slots.loaded_slot.eq(self.loaded_slot),
            slots.arrived.eq(self.arrived), slots.arrived_slot.eq(self.arrived_slot),
            slots.computed.eq(self.computed), slots.computed_slot.eq(self.computed_slot),
            slots.sent.eq(self.sent), slots.sent_slot.eq(self.sent_slot),
            self.empty.eq(~slots.used.any()),
        ]

        # A request from the ring-previous tile waits here; the rule table is read in the cycle of its arrival.
        pending = Signal()
        pending_slice = struct_signal(params.slice_layout, name="pending_slice")
        host_write = self.table.write & (self.table.table == Table.RULES)
        here, next_here = rules.rdata[0], rules.rdata[1]
        m.d.comb += [
            rules.en.eq(self.request_in | host_write),
            rules.we.eq(host_write),
            rules.addr.eq(Mux(host_write, self.table.index, self.request_in_slice.expert)),
            rules.wdata.eq(self.table.write_data[:2]),
        ]
        with m.If(self.grant):
            m.d.sync += pending.eq(0)
        with m.If(self.request_in):
            m.d.sync += [pending.eq(1), pending_slice.eq(self.request_in_slice)]

        # Rules 3 and 4, receiving side: one free slot is enough to let a slice in, but while own loads have less than their
        # share it is rule 1's turn: a second slot is free, or will be, since some slice here has nowhere to go.
        own = slots.used & ~slots.from_link
        behind = sum(own[slot] for slot in range(params.config.tile.slots)) < params.config.own_share
        stays = (slots.used & ~slots.forward).any()
        turn = Signal()
        m.d.comb += [
            turn.eq(self.load_valid & behind & (slots.two_free | stays)),
            self.grant_slice.eq(pending_slice),
        ]
        with m.If(self.running):
            m.d.comb += self.grant.eq(pending & slots.one_free & ~turn)

        # Rule 1, load: needs two free slots, so that the bubble remains.
        entry = self.load_entry
        m.d.comb += [
            self.load_slot.eq(slots.free_slot),
            slots.allocate.eq(self.grant | self.load),
            slots.allocate_from_link.eq(self.grant),
        ]
        with m.If(self.running):
            m.d.comb += self.load.eq(self.load_valid & ~self.grant & slots.two_free)
        with m.If(self.grant):
            m.d.comb += [
                slots.allocate_slice.expert.eq(pending_slice.expert),
                slots.allocate_slice.index.eq(pending_slice.index),
                slots.allocate_slice.left.eq(pending_slice.left - here),
                slots.allocate_here.eq(here),
                slots.allocate_next.eq(next_here),
            ]
        with m.Else():
            m.d.comb += [
                slots.allocate_slice.expert.eq(entry.expert),
                slots.allocate_slice.index.eq(entry.index),
                slots.allocate_slice.left.eq(entry.left),
                slots.allocate_here.eq(entry.here),
                slots.allocate_next.eq(entry.next),
            ]

        # Rules 3 and 4, forward and escape. First a slot is asked for at the ring-next tile, for the oldest slice with
        # stops left; when it is granted and the link is free, the slice goes. It need not wait for its own compute, but
        # slot SRAM has one port: it goes before or after the MAC array reads it.
        wanted = Signal()  # a request is outstanding, or its grant not used
        granted = Signal()  # and granted
        wanted_slot = Signal(params.slot_bits)
        m.d.comb += [
            slots.oldest_request_of.eq(slots.used & slots.forward & (slots.filled | slots.from_link)),
            self.request_slice.eq(slots.slices[slots.oldest_request]),
        ]
        with m.If(self.running):
            m.d.comb += self.request.eq(~wanted & slots.oldest_request_of.any())
        with m.If(self.request):
            m.d.sync += [wanted.eq(1), wanted_slot.eq(slots.oldest_request)]
        with m.If(self.grant_in):
            m.d.sync += [granted.eq(1), self.send_to.eq(self.grant_in_slot)]
        at_rest = slots.filled.bit_select(wanted_slot, 1) & ~slots.computing.bit_select(wanted_slot, 1)
        m.d.comb += [
            self.send_slot.eq(wanted_slot),
            self.send_slice.eq(slots.slices[wanted_slot]),
            self.send_cut.eq(self.header & (self.header_slot == wanted_slot)),
            self.send_escape.eq(~slots.next_stop.bit_select(wanted_slot, 1)),
            slots.send.eq(self.send),
            slots.send_slot.eq(wanted_slot),
        ]
        with m.If(self.running):
            m.d.comb += self.send.eq(granted & self.sender_idle & (at_rest | self.send_cut))
        with m.If(self.send):
            m.d.sync += [wanted.eq(0), granted.eq(0)]

        # Rule 2, compute: the oldest slice here that has not met its tokens.
        being_sent = Signal(params.config.tile.slots)
        m.d.comb += [
            being_sent.bit_select(wanted_slot, 1).eq(self.send),
            slots.oldest_compute_of.eq(slots.used & slots.filled & slots.todo & ~slots.sending & ~being_sent),
            self.compute_slot.eq(slots.oldest_compute),
            self.compute_expert.eq(slots.slices[slots.oldest_compute].expert),
            slots.compute.eq(self.compute),
            slots.compute_slot.eq(self.compute_slot),
        ]
        with m.If(self.running):
            m.d.comb += self.compute.eq(self.compute_ready & slots.oldest_compute_of.any())

        # Rule 5, release: nothing left to do here.
        with m.If(self.running):
            m.d.comb += self.freed.eq(
                slots.used & slots.filled & ~(slots.todo | slots.computing | slots.forward | slots.sending))
        m.d.comb += slots.freed.eq(self.freed)
        return m
