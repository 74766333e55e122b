"""Records and sums of shared batches, played cycle by cycle in all tiles at once, with what each word holds: to compare the
timeline with. Plain on purpose. What the timeline says of other parts of the tile is given: when batches begin, when slices
are sent, when sums may start.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from trajectile.sw_model.config import Config
from trajectile.sw_model.config.topology import edge_hops, ring
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.control import Batch
from trajectile.sw_model.timeline.model import Timeline


class Item(NamedTuple):
    source: int
    #: 0: of heads, 1: of rows
    part: int
    #: cycles of work
    work: int
    header: bool
    #: last of its part, for all tiles
    last: bool


class Word(NamedTuple):
    token: int
    number: int
    value: int
    flits: int


def items(plan: Schedule) -> list[Item]:
    """All items of a batch, in the order in which every tile takes them."""
    config = plan.config
    beat, mac_k = config.io.bytes_per_cycle, config.tile.mac_k
    work: list[list[int]] = [[], []]
    cycles = [1] + [2] * config.layer.top_k
    while cycles:
        work[0].append(sum(cycles[:beat // 4]))
        cycles = cycles[beat // 4:]
    work[1] = [1] * (config.shift_bytes // beat)
    left = config.gate_up_chunks * mac_k
    while left > 0:
        work[1].append(max(min(beat, left) // mac_k, 1))
        left -= beat
    found = []
    for part in range(2):
        for source in ring(config.array):
            found.append(Item(source, part, 1, True, False))
            found += [Item(source, part, cycles, False, False) for _ in plan.tiles[source].records for cycles in work[part]]
        found[-1] = found[-1]._replace(last=True)
    return found


class Memory:
    """The io memory: bursts of a region, four at a time."""

    def __init__(self, config: Config, address: int, beats: int):
        width = config.io.bytes_per_cycle
        self.latency = config.io.latency_cycles
        self.left: list[int] = []
        for beat in range(beats):
            if beat == 0 or (address + beat * width) % min(4096, 256 * width) == 0:
                self.left.append(0)
            self.left[-1] += 1
        self.asked: deque[list[int]] = deque()  # due cycle and beats

    def offers(self, now: int) -> bool:
        return bool(self.asked) and self.asked[0][0] <= now

    def step(self, now: int, taken: bool) -> None:
        asks = bool(self.left) and len(self.asked) < 4
        if taken:
            self.asked[0][1] -= 1
            if not self.asked[0][1]:
                self.asked.popleft()
        if asks:
            self.asked.append([now + self.latency, self.left.pop(0)])


@dataclass
class Tile:
    """State at the beginning of a cycle."""

    # records
    batch: int = -1  # which is read
    todo: deque[Item] = field(default_factory=deque)
    memory: Memory | None = None
    places: deque[Item] = field(default_factory=deque)  # what was taken and is not worked off
    worked: int = 0  # cycles of work done on the first of them
    queue: int = 0
    credits: int = 16
    out: int = 0  # items that wait to go on
    # sums
    sums: int = -1  # of which batch
    permitted: bool = False
    send: deque[tuple[int, int]] = field(default_factory=deque)  # token and word
    receive: deque[tuple[int, int]] = field(default_factory=deque)
    kept: int = 0  # words that come from nobody, at the head of ``send``
    ahead: int = 0
    stands: Word | None = None  # at the read port
    held: Word | None = None  # its first flit has gone; with the flits that are left
    adding: Word | None = None  # arrived in the cycle before
    registers: list[Word | None] = field(default_factory=lambda: [None] * 3)


class Array:
    """All tiles."""

    def __init__(self, line: Timeline, batches: Sequence[Batch]):
        self.config, self.line, self.batches = line.config, line, batches
        self.order = ring(self.config.array)
        self.tiles = [Tile() for _ in self.order]
        #: what comes in a cycle, by kind, cycle and tile
        self.mail: dict[tuple[str, int, int], list[Any]] = defaultdict(list)
        self.shared = [number for number, batch in enumerate(batches) if batch.plan.shared]
        #: cycles found, by batch and tile
        self.lists: dict[tuple[int, int], int] = {}
        self.rows: dict[tuple[int, int], int] = {}
        self.summed: dict[tuple[int, int], int] = {}
        #: cycles of flits of records and of sums, by tile
        self.flits: list[list[int]] = [[] for _ in self.order]
        #: what held something up, in cycles
        self.waits: Counter[str] = Counter()
        #: words as they are, by batch, tile, token and number: a digit for each tile whose part is in it
        self.words: dict[tuple[int, int, int, int], int] = {}
        self.slices = [{cycle for event in line.events if event.kind == "send" and event.tile == tile
                        for cycle in (event.cycle, *range(event.cycle + 2, event.cycle + 2 + self.config.slice_flits))}
                       for tile in range(len(self.order))]

    def beyond(self, tile: int) -> int:
        return self.order[(self.order.index(tile) + 1) % len(self.order)]

    def before(self, tile: int) -> int:
        return self.order[self.order.index(tile) - 1]

    def flight(self, tile: int) -> int:
        """Cycles of a flit to the ring-next tile."""
        return edge_hops(self.config.array, tile) * (self.config.link_flight_cycles + 1)

    def run(self) -> None:
        """From the first doorbell to the last completion record, but for cycles in which nothing is under way."""
        starts = {cycle for number in self.shared for times in self.line.batches[number]
                  for cycle in (times.begin, times.reduce)}
        for now in range(self.line.cycles + 1):
            if now not in starts and not self.mail and all(
                    not (tile.todo or tile.places or tile.out) and tile.sums < 0 for tile in self.tiles):
                continue
            for tile in range(len(self.order)):
                self.step(tile, now)

    def step(self, tile: int, now: int) -> None:
        slices = now in self.slices[tile]
        sums = self.step_sums(tile, now, slices)
        self.step_records(tile, now, slices, sums)

    # -- records --------------------------------------------------------------------------------------------------

    def step_records(self, tile: int, now: int, slices: bool, sums: bool) -> None:
        state = self.tiles[tile]
        state.queue += len(self.mail.pop(("record", now - 2, tile), ()))
        state.credits += len(self.mail.pop(("permit record", now, tile), ()))
        assert state.queue <= 16 and state.credits <= 16
        goes = state.out > 0 and state.credits > 0 and not slices and not sums
        if state.out and not goes:
            self.waits["record: " + ("credit" if not state.credits else "slice" if slices else "sums")] += 1
        taken = self.take(tile, now) if state.todo else None
        self.work(tile, now)
        if goes:
            state.out, state.credits = state.out - 1, state.credits - 1
            self.flits[tile].append(now)
            self.mail["record", now + self.flight(tile), self.beyond(tile)].append(None)
        if taken is not None:
            state.places.append(taken)
            if taken.source != self.beyond(tile):
                state.out += 1
                assert state.out <= 2
            if taken.source != tile:
                state.queue -= 1
                back = self.before(tile)
                self.mail["permit record", now + 2 + self.flight(back), back].append(None)
        if state.memory is not None:
            state.memory.step(now, taken is not None and taken.source == tile and not taken.header)
        for number in self.shared:
            if self.line.batches[number][tile].begin == now:
                assert not state.todo and not state.places
                plan = self.batches[number].plan
                state.batch, state.todo = number, deque(items(plan))
                state.memory = Memory(self.config, self.batches[number].records[tile], sum(
                    item.source == tile and not item.header for item in state.todo))

    def take(self, tile: int, now: int) -> Item | None:
        """Returns the next item if it is taken."""
        state, item = self.tiles[tile], self.tiles[tile].todo[0]
        assert state.memory is not None
        here = item.header or state.memory.offers(now) if item.source == tile else state.queue > 0
        if not here:
            return None
        if len(state.places) == 2:
            self.waits["item: place"] += 1
            return None
        if item.source != self.beyond(tile) and state.out == 2:
            self.waits["item: register"] += 1
            return None
        return state.todo.popleft()

    def work(self, tile: int, now: int) -> None:
        """A cycle of work on the first item that was taken before."""
        state = self.tiles[tile]
        if not state.places:
            return
        state.worked += 1
        if state.worked == state.places[0].work:
            item, state.worked = state.places.popleft(), 0
            if item.last:
                (self.rows if item.part else self.lists)[state.batch, tile] = now

    # -- sums -----------------------------------------------------------------------------------------------------

    def bank(self, number: int) -> int:
        return 2 if number == self.config.down_groups else number % 2

    def down(self, plan: Schedule, tile: int) -> Iterator[tuple[int, int]]:
        """Words of all tokens but the tile's own, down from the token before its first one."""
        held = [token for source in self.order for token in plan.tiles[source].records]
        first = sum(len(plan.tiles[source].records) for source in self.order[:self.order.index(tile)])
        for step in range(len(held) - len(plan.tiles[tile].records)):
            for number in range(self.config.down_groups + 1):
                yield held[(first - 1 - step) % len(held)], number

    def step_sums(self, tile: int, now: int, slices: bool) -> bool:
        """Returns whether a flit goes."""
        state = self.tiles[tile]
        for _ in self.mail.pop(("permit sums", now, tile), ()):
            assert not state.permitted
            state.permitted = True
        came: list[Word] = self.mail.pop(("sums", now, tile), [])
        arrives = came[0] if came and not came[0].flits else None
        reads = self.bank(arrives.number) if arrives else None
        # what is written
        written, writes = 0, list(state.registers)
        for bank, word in enumerate(state.registers):
            if word is None:
                continue
            if bank == reads:
                self.waits["write: read"] += 1
                continue
            self.words[state.sums, tile, word.token, word.number] = word.value
            writes[bank] = None
            written += 1
        # what goes
        held, stands = state.held, state.stands
        goes = bool(held or stands) and not slices
        self.waits["sums: slice"] += bool(held or stands) and slices
        if goes:
            self.flits[tile].append(now)
            if held is None:
                assert stands is not None and state.send.popleft() == stands[:2]
                state.ahead -= not state.kept
                state.kept -= state.kept > 0
                held, stands = stands, None
            held = held._replace(flits=held.flits - 1)
            self.mail["sums", now + self.flight(tile), self.beyond(tile)].append(held)
            held = held if held.flits else None
        # what is read to go
        if state.sums >= 0 and state.permitted and state.stands is None and (state.held is None or state.held.flits == 1):
            if not state.send:
                pass
            elif not state.kept and not state.ahead:
                self.waits["read: ahead"] += 1
            elif arrives:
                self.waits["read: arrival"] += 1
            elif state.registers[self.bank(state.send[0][1])] is not None:
                self.waits["read: bank"] += 1
            else:
                token, number = state.send[0]
                stands = Word(token, number, self.words[state.sums, tile, token, number],
                              1 if number == self.config.down_groups else self.config.sum_flits)
        elif arrives and stands:
            self.waits["read: again"] += 1
            stands = None
        # the next cycle
        adding = None
        if arrives:
            assert state.receive.popleft() == arrives[:2]
            adding = arrives._replace(value=arrives.value + self.words[state.sums, tile, arrives.token, arrives.number])
        if state.adding is not None:
            bank = self.bank(state.adding.number)
            assert writes[bank] is None
            writes[bank] = state.adding
        idle = not (state.send or state.receive or held or adding or any(writes))
        if goes and not (held or state.send):
            state.permitted = False
        state.held, state.stands, state.adding, state.registers = held, stands, adding, writes
        state.ahead += written
        if state.sums >= 0 and idle:
            self.summed[state.sums, tile] = now + 1
            state.sums = -1
        self.start_sums(tile, now)
        return goes

    def start_sums(self, tile: int, now: int) -> None:
        """The reduction starts in this cycle: its state is there in the next."""
        state = self.tiles[tile]
        for number in self.shared:
            if self.line.batches[number][tile].reduce != now:
                continue
            assert state.sums < 0 and not (state.held or state.stands or state.receive)
            plan, back = self.batches[number].plan, self.before(tile)
            state.sums, state.ahead = number, 0
            state.send, state.receive = deque(self.down(plan, tile)), deque(self.down(plan, back))
            state.kept = len(plan.tiles[back].records) * (self.config.down_groups + 1)
            for token in range(plan.tokens):
                for word in range(self.config.down_groups + 1):
                    self.words[number, tile, token, word] = 1 << 4 * tile
            if not state.send and not state.receive:
                self.summed[number, tile] = now + 1
                state.sums = -1
            if state.receive:
                self.mail["permit sums", now + 1 + 2 + self.flight(back), back].append(None)
