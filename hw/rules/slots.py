"""The slot table: what is in each slot of the expert buffer, how old it is, and which one to allocate next."""

from itertools import combinations

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.lib.block import Block


class SlotTable(Block):
    """Metadata of the slots, their age, the allocator.

    State changes are strobes with a slot number. If several come in one cycle they change different bits. ``oldest_*`` say
    which of the given candidates was allocated first.

    Latency: a strobe in cycle c shows in the state of c+1 (``latency_cycles`` = 1); ``oldest_*`` answer in the same cycle.
    Storage: per slot the slice layout and 7 bits, and one bit for every pair of slots (who is older).
    """

    latency_cycles = 1

    used: Signal
    filled: Signal
    from_link: Signal
    own: Signal
    todo: Signal
    resting: Signal
    forward: Signal
    stays: Signal
    sending: Signal
    slices: data.View
    one_free: Signal
    two_free: Signal
    free_slot: Signal
    allocate: Signal
    allocate_slice: data.View
    allocate_from_link: Signal
    allocate_here: Signal
    loaded: Signal
    loaded_slot: Signal
    arrived: Signal
    arrived_slot: Signal
    compute: Signal
    compute_slot: Signal
    computed: Signal
    computed_slot: Signal
    send: Signal
    send_slot: Signal
    sent: Signal
    sent_slot: Signal
    freed: Signal
    oldest_request_of: Signal
    oldest_request: Signal
    oldest_compute_of: Signal
    oldest_compute: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        self.slots = slots = params.config.tile.slots
        number = params.slot_bits
        super().__init__({
            "used": Out(slots),  #: allocated
            "filled": Out(slots),  #: all words are written
            "from_link": Out(slots),  #: came, or comes, from the ring-previous tile
            "own": Out(slots),  #: allocated to a slice that comes from DDR
            "todo": Out(slots),  #: has tokens here and has not met them
            "resting": Out(slots),  #: all words are written, and the MAC array does not read it
            "forward": Out(slots),  #: has stops ahead and was not sent
            "stays": Out(slots),  #: allocated, and has no stops ahead, or was sent
            "sending": Out(slots),  #: is being sent
            "slices": Out(data.ArrayLayout(params.slice_layout, slots)),  #: which slice, and its stops ahead
            "one_free": Out(1),  #: at least one slot is free
            "two_free": Out(1),  #: at least two slots are free
            "free_slot": Out(number),  #: lowest free slot: the next to be allocated
            "allocate": In(1),  #: take ``free_slot``
            "allocate_slice": In(params.slice_layout),  #: for this slice; ``ahead`` are the stops after this tile
            "allocate_from_link": In(1),  #: it comes from the ring-previous tile
            "allocate_here": In(1),  #: the slice's expert has tokens here
            "loaded": In(1),  #: the loader wrote the last word of the slice in
            "loaded_slot": In(number),  #: this slot
            "arrived": In(1),  #: the receiver wrote the last word of the slice in
            "arrived_slot": In(number),  #: this slot
            "compute": In(1),  #: the MAC array takes the slice in
            "compute_slot": In(number),  #: this slot
            "computed": In(1),  #: the MAC array has read the slice in
            "computed_slot": In(number),  #: this slot
            "send": In(1),  #: the sender takes the slice in
            "send_slot": In(number),  #: this slot
            "sent": In(1),  #: the sender has sent the slice in
            "sent_slot": In(number),  #: this slot
            "freed": In(slots),  #: slots to free
            "oldest_request_of": In(slots),  #: candidates
            "oldest_request": Out(number),  #: the oldest of them
            "oldest_compute_of": In(slots),  #: candidates
            "oldest_compute": Out(number),  #: the oldest of them
        })

    def elaborate(self, platform: object) -> Module:
        """One row of flip-flops a slot; the age matrix says for each pair who came first."""
        m = Module()
        slots = range(self.slots)
        #: for i < j: slot i was allocated before slot j (meaningful while both are used)
        older = {(i, j): Signal(name=f"older_{i}_{j}") for i, j in combinations(slots, 2)}

        def before(i: int, j: int) -> Value:
            return older[i, j] if i < j else ~older[j, i]

        def oldest(candidates: Signal, number: Signal) -> None:
            first = [candidates[i] & ~Cat(candidates[j] & before(j, i) for j in slots if j != i).any() for i in slots]
            for i in slots:
                with m.If(first[i]):
                    m.d.comb += number.eq(i)

        oldest(self.oldest_request_of, self.oldest_request)
        oldest(self.oldest_compute_of, self.oldest_compute)

        free = Signal(self.slots)
        m.d.comb += [
            free.eq(~self.used), self.from_link.eq(self.used & ~self.own), self.forward.eq(self.used & ~self.stays),
            self.one_free.eq(free.any()),
            self.two_free.eq((free & (free - 1)).any()),
        ]
        for i in reversed(slots):
            with m.If(free[i]):
                m.d.comb += self.free_slot.eq(i)

        for i in slots:
            def mine(strobe: Signal, number: Signal, i: int = i) -> Value:
                return strobe & (number == i)

            with m.If(mine(self.loaded, self.loaded_slot) | mine(self.arrived, self.arrived_slot)):
                m.d.sync += [self.filled[i].eq(1), self.resting[i].eq(1)]
            with m.If(mine(self.compute, self.compute_slot)):
                m.d.sync += [self.todo[i].eq(0), self.resting[i].eq(0)]
            with m.If(mine(self.computed, self.computed_slot)):
                m.d.sync += self.resting[i].eq(1)
            with m.If(mine(self.send, self.send_slot)):
                m.d.sync += [self.stays[i].eq(1), self.sending[i].eq(1)]
            with m.If(mine(self.sent, self.sent_slot)):
                m.d.sync += self.sending[i].eq(0)
            with m.If(self.freed[i]):
                m.d.sync += [self.used[i].eq(0), self.own[i].eq(0), self.stays[i].eq(0)]
            with m.If(mine(self.allocate, self.free_slot)):
                m.d.sync += [
                    self.used[i].eq(1),
                    self.filled[i].eq(0),
                    self.own[i].eq(~self.allocate_from_link),
                    self.todo[i].eq(self.allocate_here),
                    self.resting[i].eq(0),
                    self.stays[i].eq(self.allocate_slice.ahead == 0),
                    self.sending[i].eq(0),
                    self.slices[i].eq(self.allocate_slice),
                ]
                m.d.sync += [older[pair].eq(pair[1] == i) for pair in older if i in pair]
        return m
