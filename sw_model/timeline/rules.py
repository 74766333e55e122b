"""One tile, cycle by cycle: the five rules (docs/rules.md), one method per rule, and the batches that they work on."""

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trajectile.sw_model import latencies
from trajectile.sw_model.config.topology import edge_hops, ring_next, ring_prev
from trajectile.sw_model.latencies import STATE_CYCLES
from trajectile.sw_model.timeline.control import BatchControl
from trajectile.sw_model.timeline.ddr import DdrChannel
from trajectile.sw_model.timeline.exchange import CountExchange
from trajectile.sw_model.timeline.forming import LoadMaker
from trajectile.sw_model.timeline.record_ring import RecordRing
from trajectile.sw_model.timeline.reduction import Reduction

if TYPE_CHECKING:
    from trajectile.sw_model.timeline.model import Model


@dataclass(slots=True)
class Slot:
    """One slot of a tile's expert buffer; the fields are those of ``hw/rules/slots.py``."""

    number: int
    batch: int
    expert: int
    index: int
    #: bit i: the tile i + 1 further along the ring is a stop
    ahead: int
    from_link: bool
    todo: bool
    forward: bool = field(init=False)
    filled: bool = False
    computing: bool = False
    sending: bool = False

    def __post_init__(self) -> None:
        self.forward = self.ahead != 0


@dataclass(slots=True)
class Request:
    """A slot request that waits at the receiving tile."""

    batch: int
    expert: int
    index: int
    #: stops as the asking tile sees them; bit 0 is the receiving tile
    ahead: int


class Tile:
    """State of one tile, its rules, and what forms its batches."""

    def __init__(self, model: "Model", number: int):
        config = model.config
        self.model, self.number = model, number
        self.next, self.prev = ring_next(config.array, number), ring_prev(config.array, number)
        hops = edge_hops(config.array, number)
        self.control_latency = latencies.control_cycles(config, hops)
        self.header_latency = latencies.header_cycles(config, hops)
        self.back_latency = latencies.control_cycles(config, edge_hops(config.array, self.prev))
        # what forms the batches
        plans = [batch.plan.tiles[number] for batch in model.batches]
        self.control = BatchControl(config, number, model.batches)
        self.counts = CountExchange(config)
        self.maker = LoadMaker(config, number, self.picked)
        self.records, self.sums = RecordRing(self, self.listed, self.read), Reduction(self, self.summed)
        self.held: int | None = None  # origin of a word of counts that stands here in this cycle
        # the rules; lists are by batch
        self.slots: dict[int, Slot] = {}  # by number, in order of allocation
        self.request: Request | None = None  # of the ring-previous tile, waiting for a slot
        self.wanted: Slot | None = None  # the slice for which a slot was asked at the ring-next tile
        self.granted: int | None = None  # the slot it was given there
        self.header: int | None = None  # slot whose header flit stands at the receiver in this cycle
        self.in_flight = 0
        self.loader_free = self.mac_free = self.sender_free = 0  # first cycle in which they are
        self.channel = DdrChannel(config)
        self.rows_in = [sys.maxsize] * len(plans)  # first cycle in which rule 2 sees that the activations are here
        self.drained = [0] * len(plans)  # first cycle in which no result is on the way
        self.to_come = [len(plan.loads) + plan.arrivals for plan in plans]  # slices that are neither loaded nor let in
        self.to_come.append(-1)  # of no batch
        self.loaded = self.mac_busy = self.flits = 0
        self.flit_latency, self.payload_latency = latencies.flit_cycles(config), latencies.payload_cycles(config)
        self.last_send = -config.slice_flits - self.payload_latency  # cycle of the last send
        self.last_tail = -1  # cycle in which the tail of the slice before that goes
        # what there is to look at in this cycle
        self.look = self.look_at_sums = self.look_at_records = False

    # -- batches --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Batches leave the queue, as far as it is known when; their records are read, and the exchange is prepared."""
        while (number := self.control.begin()) is not None:
            times, batch = self.control.times[number], self.model.batches[number]
            self.milestone("doorbell", times.doorbell)
            self.milestone("begin", times.begin)
            if batch.plan.shared:
                assert times.begin is not None
                self.records.start(number, batch.plan, batch.records[self.number], times.begin)
            else:
                assert times.lists is not None and times.rows is not None
                self.listed(number, times.lists)
                self.read(number, times.rows)

    def listed(self, batch: int, cycle: int) -> None:
        """The last choice of a batch is put into its list in this cycle."""
        self.control.times[batch].lists = cycle
        self.milestone("lists", cycle)
        self.exchange()

    def read(self, batch: int, cycle: int) -> None:
        """The last activations of a batch are written in this cycle."""
        self.control.times[batch].rows = cycle
        self.milestone("rows", cycle)
        self.rows_in[batch] = cycle + STATE_CYCLES
        self.model.at(self.rows_in[batch], self.number, "look")
        self.begin()

    def exchange(self) -> None:
        """The exchange of counts of the next batch starts, if it is known when."""
        batch = self.control.exchange()
        if batch is not None:
            start = self.control.times[batch].exchange
            assert start is not None
            self.model.at(start, self.number, "exchange", start)

    def move_count(self, now: int) -> None:
        """A word of counts that stands here goes on around the ring; if there is none an own one may go."""
        counts, came_from = self.counts, self.held
        self.held = None
        if came_from is None:
            if now < counts.ready:
                return
            came_from = self.number
            counts.send(now)
            self.milestone("count", now)
        if self.next != came_from:
            self.model.at(now + self.control_latency, self.next, "count", came_from)
        if counts.left:
            self.model.at(max(now + STATE_CYCLES, counts.ready), self.number, "look")
        if counts.write():
            batch = self.control.to_exchange - 1
            self.control.times[batch].formed = formed = now + latencies.FORMED_CYCLES
            self.milestone("formed", formed)
            self.maker.form(batch, self.model.batches[batch].plan, now)
            self.make(now)

    def make(self, now: int) -> None:
        """What the load maker has done since it was looked at last: an entry for rule 1, the last of the batch."""
        entries, made = self.maker.entries, self.maker.made
        if entries and entries[0].cycle > now:
            self.model.at(entries[0].cycle, self.number, "look")
        times = self.control.times[self.control.to_exchange - 1]
        if times.formed is not None and times.made is None and made is not None:
            times.made = made
            self.model.at(made + STATE_CYCLES, self.number, "look")
            self.exchange()

    def picked(self, cycle: int, expert: int) -> None:
        """The load maker takes an expert."""
        self.model.log(cycle, self.number, "pick", 0, expert)

    def finish(self, now: int) -> None:
        """All slices of the oldest batch have come here: it has finished if nothing but its results is left to do."""
        control, batch = self.control, self.control.to_finish
        if (now < self.drained[batch] or not control.may_finish(now)
                or any(slot.batch == batch for slot in self.slots.values())):
            return
        control.finish(now)
        self.milestone("finished", now)
        self.leave()
        self.model.at(now + STATE_CYCLES, self.number, "look")

    def leave(self) -> None:
        """Batches that have finished are added up and written, as far as it is known when; then others may begin."""
        while (number := self.control.leave()) is not None:
            times = self.control.times[number]
            if times.complete is None:
                assert times.reduce is not None
                self.sums.start(number, self.model.batches[number].plan, times.reduce)
            else:
                self.milestone("written", times.written)
                self.milestone("complete", times.complete)
                self.begin()

    def summed(self, batch: int, cycle: int) -> None:
        """The sums of a shared batch are added up; this cycle says so."""
        self.control.times[batch].summed = cycle
        self.milestone("summed", cycle)
        self.leave()

    def milestone(self, kind: str, cycle: int | None) -> None:
        """Record a step of a batch, if it happens."""
        if cycle is not None:
            self.model.log(cycle, self.number, kind, 0)

    # -- rules ----------------------------------------------------------------------------------------------------

    def free_slot(self) -> int:
        """The lowest free slot."""
        return next(number for number in range(self.model.config.tile.slots) if number not in self.slots)

    def turn(self, now: int) -> bool:
        """Rule 1 goes before a grant: own slices have less than their share, and two slots are free or bound to be."""
        config, slots = self.model.config, self.slots.values()
        return (self.model.turns and self.may_load(now) and sum(not slot.from_link for slot in slots) < config.own_share
                and (config.tile.slots - len(slots) > 1 or not all(slot.forward for slot in slots)))

    def may_load(self, now: int) -> bool:
        """There is a load entry, and the loader can take it."""
        entries = self.maker.entries
        return (len(entries) > 0 and now >= entries[0].cycle and now >= self.loader_free
                and self.in_flight < self.model.config.loads_in_flight)

    def evaluate(self, now: int) -> None:
        """One cycle of the rules. All guards see the state at its beginning; the order below keeps it so: no rule
        changes what a later one looks at, but that a slice being sent is not computed in the same cycle. On the link, slices
        go first, then sums, then records.
        """
        if self.look:
            self.look = False
            self.evaluate_rules(now)
        if self.look_at_sums or self.look_at_records:
            free = self.link_free(now)
            if self.look_at_sums:
                self.look_at_sums = False
                if self.sums.evaluate(now, free):
                    free = now + 1
            if self.look_at_records:
                self.look_at_records = False
                self.records.evaluate(now, free)

    def link_free(self, now: int) -> int:
        """First cycle, now or later, in which no flit of a slice goes, as far as slices have been sent."""
        header = self.last_send + self.flit_latency
        if now == self.last_tail:
            now += 1
        if now == header:
            now += 1
        first = header + self.payload_latency
        end = first + self.model.config.slice_flits
        return end if first <= now < end else now

    def evaluate_rules(self, now: int) -> None:
        """The rules, and what forms batches."""
        if self.counts.left or self.held is not None:
            self.move_count(now)
        if not self.to_come[self.control.to_finish]:
            self.finish(now)
        turn = self.request is not None and self.turn(now)
        fired = self.rule_request(now) if self.wanted is None else self.rule_forward(now, self.wanted)
        fired |= now >= self.mac_free and self.rule_compute(now)
        fired |= (not turn and self.rule_grant(now)) or self.rule_load(now)
        fired |= self.rule_release(now)
        self.header = None
        if fired:
            self.model.at(now + STATE_CYCLES, self.number, "look")

    def rule_grant(self, now: int) -> bool:
        """Receiving side of rule 3: a free slot for the request that waits."""
        request = self.request
        if request is None or len(self.slots) == self.model.config.tile.slots:
            return False
        number, batch = self.free_slot(), request.batch
        here = self.model.passes[batch][self.number][request.expert] > 0
        self.slots[number] = Slot(number, batch, request.expert, request.index, request.ahead >> 1, True, here)
        self.request = None
        self.to_come[batch] -= 1
        self.model.log(now, self.number, "grant", number, request.expert, request.index, self.model.bit(batch))
        self.model.at(now + self.back_latency, self.prev, "granted", number)
        return True

    def rule_load(self, now: int) -> bool:
        """Rule 1: fetch the next slice of the load entries, if two slots are free."""
        config = self.model.config
        if not self.may_load(now) or config.tile.slots - len(self.slots) < 2:
            return False
        entry, number = self.maker.take(now), self.free_slot()
        batch, load = entry.batch, entry.load
        self.slots[number] = Slot(number, batch, load.expert, load.index, load.ahead, False, load.here)
        self.loaded += 1
        self.to_come[batch] -= 1
        self.in_flight += 1
        times = self.control.times[batch]
        times.first_load = now if times.first_load is None else times.first_load
        first_address = now + latencies.ADDRESS_CYCLES
        self.loader_free = first_address + config.slice_bursts
        self.model.at(self.loader_free, self.number, "look")
        loaded = self.channel.last_beat(first_address, load.row) + latencies.LOADED_CYCLES
        self.model.log(now, self.number, "load", number, load.expert, load.index, self.model.bit(batch))
        self.model.log(loaded, self.number, "loaded", number)
        self.model.at(loaded + STATE_CYCLES, self.number, "loaded", number)
        self.make(now)
        return True

    def rule_request(self, now: int) -> bool:
        """First half of rules 3 and 4: ask the ring-next tile for a slot for the oldest slice that must go on."""
        for slot in self.slots.values():
            if slot.forward and (slot.filled or slot.from_link):
                break
        else:
            return False
        self.wanted = slot
        request = Request(slot.batch, slot.expert, slot.index, slot.ahead)
        self.model.at(now + self.control_latency, self.next, "request", request)
        return True

    def rule_forward(self, now: int, slot: Slot) -> bool:
        """Rules 3 and 4: send the granted slice on; 4 (escape) if the ring-next tile is no stop of it."""
        if self.granted is None or now < self.sender_free:
            return False
        cut = not slot.filled and self.header == slot.number
        if not cut and (not slot.filled or slot.computing):
            return False
        config = self.model.config
        header, sent = now + self.flit_latency + self.header_latency, now + latencies.tail_cycles(config)
        arrived = header + latencies.tail_cycles(config) + latencies.WRITTEN_CYCLES
        self.model.log(now, self.number, "send", slot.number, flags=(not slot.ahead & 1) + 2 * cut)
        self.model.log(sent, self.number, "sent", slot.number)
        self.model.log(arrived, self.next, "arrived", self.granted)
        self.model.at(header, self.next, "header", self.granted)
        self.model.at(arrived + STATE_CYCLES, self.next, "filled", self.granted)
        self.sender_free = sent + STATE_CYCLES
        self.model.at(self.sender_free, self.number, "sent", slot.number)
        self.flits += 1 + config.slice_flits
        self.last_tail = self.last_send + self.flit_latency + latencies.tail_cycles(config)
        self.last_send = now
        self.wanted = self.granted = None
        slot.forward, slot.sending = False, True
        return True

    def rule_compute(self, now: int) -> bool:
        """Rule 2, when the MAC array is ready: the oldest slice whose tokens are here and have not met it goes there."""
        for slot in self.slots.values():
            if slot.todo and slot.filled and not slot.sending and now >= self.rows_in[slot.batch]:
                break
        else:
            return False
        config, batch = self.model.config, slot.batch
        passes = self.model.passes[batch][self.number][slot.expert]
        last = now + self.model.compute_cycles(passes)
        self.mac_free = last - latencies.compute_early_cycles(config)
        self.drained[batch] = last + latencies.compute_drain_cycles(config)
        self.mac_busy += passes * config.pass_words + config.parameter_words
        self.model.log(now, self.number, "compute", slot.number)
        self.model.log(last, self.number, "computed", slot.number)
        self.model.at(self.mac_free, self.number, "look")
        self.model.at(last + STATE_CYCLES, self.number, "computed", slot.number)
        self.model.at(self.drained[batch], self.number, "look")
        slot.todo, slot.computing = False, True
        return True

    def rule_release(self, now: int) -> bool:
        """Rule 5: computed here and sent on, or no stop left: free the slot."""
        done: list[Slot] = []
        for slot in self.slots.values():
            if slot.filled and not slot.forward and not slot.todo and not slot.computing and not slot.sending:
                done.append(slot)
        for slot in done:
            del self.slots[slot.number]
            self.control.times[slot.batch].last_release = now
            self.model.log(now, self.number, "release", slot.number)
        return bool(done)

    def update(self, kind: str, value: Any) -> None:
        """A change that shows in the state of this cycle."""
        if kind == "record":
            self.look_at_records = True
            return
        if kind in ("sums", "word", "permit"):
            self.look_at_sums = True
            if kind == "word":
                self.sums.arrive()
            elif kind == "permit":
                self.sums.permit()
            return
        self.look = True
        if kind == "filled":
            self.slots[value].filled = True
        elif kind == "loaded":
            self.slots[value].filled = True
            self.in_flight -= 1
        elif kind == "computed":
            self.slots[value].computing = False
        elif kind == "sent":
            self.slots[value].sending = False
        elif kind == "request":
            self.request = value
        elif kind == "granted":
            self.granted = value
        elif kind == "header":
            self.header = value
        elif kind == "count":
            self.held = value
        elif kind == "exchange":
            self.counts.start(value)
            self.model.at(self.counts.ready, self.number, "look")
