"""The timeline: when every slice is loaded, computed, sent and released on every tile, to the cycle.

An event-driven model of the five rules (docs/rules.md) with the latencies of :mod:`trajectile.sw_model.latencies`. It looks
at a tile only in cycles where something changed there, so its cost follows the number of slice visits and not the number of
cycles. The RTL logs the same events; they are equal cycle for cycle.
"""

import heapq
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import edge_hops, ring_next, ring_prev
from trajectile.sw_model.latencies import STATE_CYCLES
from trajectile.sw_model.schedule.scheduler import Load, Schedule


@cache
def compute_cycles(config: Config, passes: int) -> int:
    """Cycles from a compute's start to its last weight address."""
    gate_up_end = []
    down_end = -4
    conflicts = latencies.result_conflicts(config)
    cycle = latencies.COMPUTE_SETUP_CYCLES + config.parameter_words
    for step in range(passes + 1):
        if step < passes:
            cycle += config.gate_up_words
            gate_up_end.append(cycle - 1)
        if step > 0:
            cycle = max(cycle, gate_up_end[step - 1] + latencies.swiglu_drain_cycles(config))
            while cycle - down_end in conflicts:
                cycle += 1
            cycle += config.down_words
            down_end = cycle - 1
    return cycle - 1


class Event(NamedTuple):
    """Something that a rule did; ``flags`` is 1 for escape plus 2 for cut-through on ``send``, else 0."""

    cycle: int
    tile: int
    kind: str
    slot: int
    expert: int
    slice_index: int
    flags: int


@dataclass(slots=True)
class Slot:
    """One slot of a tile's expert buffer; the fields are those of ``hw/rules/slots.py``."""

    number: int
    expert: int
    index: int
    left: int
    from_link: bool
    todo: bool
    next_stop: bool
    forward: bool = field(init=False)
    filled: bool = False
    computing: bool = False
    sending: bool = False

    def __post_init__(self) -> None:
        self.forward = self.left > 0


@dataclass
class Request:
    """A slot request that waits at the receiving tile."""

    expert: int
    index: int
    left: int


@dataclass(frozen=True)
class Timeline:
    """Result of :func:`simulate`."""

    config: Config
    #: cycles from the first cycle of the batch until the last tile has finished
    cycles: int
    #: the same by tile
    tile_cycles: tuple[int, ...]
    #: all events in order of cycle and tile; empty if not recorded
    events: tuple[Event, ...] = field(repr=False)
    #: cycles in which a word of a slice is addressed, by tile
    mac_busy: tuple[int, ...]
    #: beats read from DDR, by tile
    ddr_beats: tuple[int, ...]
    #: flits sent to the ring-next tile, headers included, by tile
    flits: tuple[int, ...]

    def utilisation(self) -> dict[str, float]:
        """Share of the cycles in which the DDR channels, the MAC arrays and the ring's links carried something."""
        tiles, channels = self.config.array.tiles, self.config.array.channels
        total = max(self.cycles, 1)
        return {"ddr": sum(self.ddr_beats) / (total * channels), "mac": sum(self.mac_busy) / (total * tiles),
                "d2d": sum(self.flits) / (total * tiles)}


class _Tile:
    """State of one tile, and its rules."""

    def __init__(self, model: "_Model", number: int, loads: tuple[Load, ...], arrivals: int):
        config = model.config
        self.model, self.number = model, number
        self.next, self.prev = ring_next(config.array, number), ring_prev(config.array, number)
        hops = edge_hops(config.array, number)
        self.control_latency = latencies.control_cycles(config, hops)
        self.header_latency = latencies.header_cycles(config, hops)
        self.back_latency = latencies.control_cycles(config, edge_hops(config.array, self.prev))
        self.loads, self.arrivals = loads, arrivals
        self.slots: dict[int, Slot] = {}  # by number, in order of allocation
        self.request: Request | None = None  # of the ring-previous tile, waiting for a slot
        self.wanted: Slot | None = None  # the slice for which a slot was asked at the ring-next tile
        self.granted: int | None = None  # the slot it was given there
        self.header: int | None = None  # slot whose header flit stands at the receiver in this cycle
        self.loaded = self.arrived = self.in_flight = 0
        self.loader_free = self.mac_free = self.sender_free = self.drained = 0  # first cycle in which they are
        self.bus_free = 0  # first cycle in which the DDR channel may carry the next beat
        self.finished: int | None = None
        self.mac_busy = self.flits = 0

    def free_slot(self) -> int:
        """The lowest free slot."""
        return next(number for number in range(self.model.config.tile.slots) if number not in self.slots)

    def turn(self, now: int) -> bool:
        """Rule 1 goes before a grant: own slices have less than their share, and two slots are free or bound to be."""
        config, slots = self.model.config, self.slots.values()
        return (self.model.turns and self.may_load(now) and sum(not slot.from_link for slot in slots) < config.own_share
                and (config.tile.slots - len(slots) > 1 or not all(slot.forward for slot in slots)))

    def may_load(self, now: int) -> bool:
        """The load list has an entry and the loader can take it."""
        return (self.loaded < len(self.loads) and now >= self.loader_free
                and self.in_flight < self.model.config.loads_in_flight)

    def evaluate(self, now: int) -> None:
        """One cycle of the rules. All guards see the state at its beginning; the order below keeps it so: no rule
        changes what a later one looks at, but that a slice being sent is not computed in the same cycle.
        """
        if self.finished is not None:
            return
        turn = self.request is not None and self.turn(now)
        fired = self.rule_request(now) if self.wanted is None else self.rule_forward(now, self.wanted)
        fired |= now >= self.mac_free and self.rule_compute(now)
        fired |= (not turn and self.rule_grant(now)) or self.rule_load(now)
        fired |= self.rule_release(now)
        self.header = None
        if fired:
            self.model.at(now + STATE_CYCLES, self.number, "look")
        elif (not self.slots and self.loaded == len(self.loads) and not self.in_flight
                and self.arrived == self.arrivals and now >= self.drained):
            self.finished = now

    def rule_grant(self, now: int) -> bool:
        """Receiving side of rule 3: a free slot for the request that waits."""
        request = self.request
        if request is None or len(self.slots) == self.model.config.tile.slots:
            return False
        number = self.free_slot()
        stop = self.model.stops[self.number][request.expert]
        here = self.model.passes[self.number][request.expert] > 0
        self.slots[number] = Slot(number, request.expert, request.index, request.left - stop, True, here,
                                  self.model.stops[self.next][request.expert])
        self.request = None
        self.arrived += 1
        self.model.log(now, self.number, "grant", number, request.expert, request.index)
        self.model.at(now + self.back_latency, self.prev, "granted", number)
        return True

    def rule_load(self, now: int) -> bool:
        """Rule 1: fetch the next slice of the load list, if two slots are free."""
        config = self.model.config
        if not self.may_load(now) or config.tile.slots - len(self.slots) < 2:
            return False
        load = self.loads[self.loaded]
        number = self.free_slot()
        self.slots[number] = Slot(number, load.expert, load.index, load.ahead.bit_count(), False, load.here,
                                  bool(load.ahead & 1))
        self.loaded += 1
        self.in_flight += 1
        first_address = now + latencies.ADDRESS_CYCLES
        self.loader_free = first_address + config.slice_bursts
        self.model.at(self.loader_free, self.number, "look")
        last_beat = max(first_address + config.ddr.latency_cycles, self.bus_free) + config.slice_beats - 1
        self.bus_free = last_beat + 1
        loaded = last_beat + latencies.LOADED_CYCLES
        self.model.log(now, self.number, "load", number, load.expert, load.index)
        self.model.log(loaded, self.number, "loaded", number)
        self.model.at(loaded + STATE_CYCLES, self.number, "loaded", number)
        return True

    def rule_request(self, now: int) -> bool:
        """First half of rules 3 and 4: ask the ring-next tile for a slot for the oldest slice that must go on."""
        for slot in self.slots.values():
            if slot.forward and (slot.filled or slot.from_link):
                break
        else:
            return False
        self.wanted = slot
        self.model.at(now + self.control_latency, self.next, "request", Request(slot.expert, slot.index, slot.left))
        return True

    def rule_forward(self, now: int, slot: Slot) -> bool:
        """Rules 3 and 4: send the granted slice on; 4 (escape) if the ring-next tile is no stop of it."""
        if self.granted is None or now < self.sender_free:
            return False
        cut = not slot.filled and self.header == slot.number
        if not cut and (not slot.filled or slot.computing):
            return False
        config = self.model.config
        header, sent = now + self.header_latency, now + latencies.tail_cycles(config)
        arrived = header + latencies.tail_cycles(config) + latencies.WRITTEN_CYCLES
        self.model.log(now, self.number, "send", slot.number, flags=(not slot.next_stop) + 2 * cut)
        self.model.log(sent, self.number, "sent", slot.number)
        self.model.log(arrived, self.next, "arrived", self.granted)
        self.model.at(header, self.next, "header", self.granted)
        self.model.at(arrived + STATE_CYCLES, self.next, "filled", self.granted)
        self.sender_free = sent + STATE_CYCLES
        self.model.at(self.sender_free, self.number, "sent", slot.number)
        self.flits += 1 + config.slice_flits
        self.wanted = self.granted = None
        slot.forward, slot.sending = False, True
        return True

    def rule_compute(self, now: int) -> bool:
        """Rule 2, when the MAC array is ready: the oldest slice that has not met the tokens here goes to it."""
        for slot in self.slots.values():
            if slot.todo and slot.filled and not slot.sending:
                break
        else:
            return False
        config = self.model.config
        passes = self.model.passes[self.number][slot.expert]
        last = now + compute_cycles(config, passes)
        self.mac_free = last - latencies.compute_early_cycles(config)
        self.drained = last + latencies.COMPUTE_DRAIN_CYCLES
        self.mac_busy += passes * config.pass_words + config.parameter_words
        self.model.log(now, self.number, "compute", slot.number)
        self.model.log(last, self.number, "computed", slot.number)
        self.model.at(self.mac_free, self.number, "look")
        self.model.at(last + STATE_CYCLES, self.number, "computed", slot.number)
        self.model.at(self.drained, self.number, "look")
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
            self.model.log(now, self.number, "release", slot.number)
        return bool(done)

    def update(self, kind: str, value: Any) -> None:
        """A change that shows in the state of this cycle."""
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


class _Model:
    """The array: tiles, and a queue of changes by cycle and tile."""

    def __init__(self, plan: Schedule, record: bool, turns: bool):
        self.config, self.record, self.turns = plan.config, record, turns
        self.passes: list[list[int]] = plan.passes.tolist()
        self.stops: list[list[bool]] = plan.stops.tolist()
        self.events: list[Event] = []
        self.queue: list[tuple[int, int, int, str, Any]] = []
        self.order = 0
        self.tiles = [_Tile(self, number, program.loads, program.arrivals)
                      for number, program in enumerate(plan.tiles)]

    def at(self, cycle: int, tile: int, kind: str, value: Any = None) -> None:
        """A change of a tile's state that shows in ``cycle``."""
        self.order += 1
        heapq.heappush(self.queue, (cycle, tile, self.order, kind, value))

    def log(self, cycle: int, tile: int, kind: str, slot: int, expert: int = 0, index: int = 0, flags: int = 0) -> None:
        """Record an event."""
        if self.record:
            self.events.append(Event(cycle, tile, kind, slot, expert, index, flags))

    def run(self) -> None:
        """Work off the queue."""
        queue = self.queue
        for tile in self.tiles:
            self.at(0, tile.number, "look")
        while queue:
            now, number = queue[0][:2]
            tile = self.tiles[number]
            while queue and queue[0][:2] == (now, number):
                _, _, _, kind, value = heapq.heappop(queue)
                tile.update(kind, value)
            tile.evaluate(now)


def simulate(plan: Schedule, *, record: bool = True, turns: bool = True) -> Timeline:
    """Play the rules for one batch.

    Args:
        plan: the programs of all tiles.
        record: keep the events; without them a full-size layer runs faster.
        turns: with the turns of docs/rules.md, as the RTL has them; without, to see what they are worth.

    Raises:
        RuntimeError: if the rules come to a stop before the batch is done (cannot happen: docs/rules.md).
    """
    model = _Model(plan, record, turns)
    model.run()
    stuck = [tile.number for tile in model.tiles if tile.finished is None]
    if stuck:
        raise RuntimeError(f"the rules came to a stop with tiles {stuck} unfinished")
    ends = tuple(tile.finished + 1 for tile in model.tiles if tile.finished is not None)
    return Timeline(
        config=plan.config, cycles=max(ends), tile_cycles=ends, events=tuple(sorted(model.events)),
        mac_busy=tuple(tile.mac_busy for tile in model.tiles),
        ddr_beats=tuple(tile.loaded * plan.config.slice_beats for tile in model.tiles),
        flits=tuple(tile.flits for tile in model.tiles))
