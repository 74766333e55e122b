"""The rules once more, slot by slot as docs/architecture.md has them, without any reduction: to compare the searches with.

Beginning and end of every action are actions of their own, requests and grants travel, and slots have an age. A slot is
what the hardware keeps of it. Slow and plain on purpose.
"""

from collections.abc import Iterator
from typing import NamedTuple

from trajectile.sw_model.search.trajectory import Slice


class Slot(NamedTuple):
    name: int
    ahead: int
    from_link: bool
    todo: bool
    forward: bool
    filled: bool = False
    computing: bool = False
    sending: bool = False


class Tile(NamedTuple):
    #: slots in use, the oldest first
    slots: tuple[Slot, ...] = ()
    #: slice that has a request outstanding, and where that is: asking, pending, granting, granted
    wanted: int | None = None
    phase: str = ""


class Content(NamedTuple):
    origin: int
    stops: int
    met: int = 0


class State(NamedTuple):
    tiles: tuple[Tile, ...]
    #: what each name stands for
    slices: tuple[Content | None, ...]

    def content(self, name: int) -> Content:
        """Of a slice that is there."""
        found = self.slices[name]
        assert found is not None
        return found


class Rules:
    """``exact``: the oldest candidate, and turns; else any candidate, and no turns."""

    def __init__(self, tiles: int, slots: int, most_slices: int, share: int, exact: bool):
        self.tiles, self.slots, self.share, self.exact = tiles, slots, share, exact
        self.start = State((Tile(),) * tiles, (None,) * most_slices)

    def reachable(self) -> set[State]:
        found, todo = {self.start}, [self.start]
        while todo:
            for state in self.after(todo.pop()):
                if state not in found:
                    found.add(state)
                    todo.append(state)
        return found

    def _candidates(self, slots: list[Slot]) -> list[Slot]:
        return slots[:1] if self.exact else slots

    def after(self, state: State) -> Iterator[State]:
        for t in range(self.tiles):
            yield from self._tile(state, t)

    def _tile(self, state: State, t: int) -> Iterator[State]:
        here, n = state.tiles[t], (t + 1) % self.tiles
        beyond, before = state.tiles[n], state.tiles[t - 1]

        def put(tile: Tile, at: int = t, base: State = state) -> State:
            return base._replace(tiles=(*base.tiles[:at], tile, *base.tiles[at + 1:]))

        def slot(old: Slot, **changes: bool) -> Tile:
            return here._replace(slots=tuple(old._replace(**changes) if s is old else s for s in here.slots))

        if self.slots - len(here.slots) >= 2 and None in state.slices:
            name = state.slices.index(None)
            for stops in range(1, 1 << self.tiles):
                ahead = stops >> 1
                loaded = put(here._replace(slots=(*here.slots, Slot(name, ahead, False, bool(stops & 1), ahead != 0))))
                yield loaded._replace(slices=(*state.slices[:name], Content(t, stops), *state.slices[name + 1:]))
        for s in here.slots:
            if not s.filled and not s.from_link:
                yield put(slot(s, filled=True))
            upstream = [s_ for s_ in before.slots if s_.name == s.name]
            if not s.filled and s.from_link and before.wanted != s.name and not any(s_.sending for s_ in upstream):
                yield put(slot(s, filled=True))  # arrived
            if s.sending and not any(s_.sending for s_ in upstream):
                yield put(slot(s, sending=False))
            if s.computing:
                content = state.content(s.name)
                bit = 1 << (t - content.origin) % self.tiles
                assert not content.met & bit and content.stops & bit
                met = content._replace(met=content.met | bit)
                yield put(slot(s, computing=False))._replace(
                    slices=(*state.slices[:s.name], met, *state.slices[s.name + 1:]))
            if s.filled and not (s.todo or s.computing or s.forward or s.sending):
                freed = put(here._replace(slots=tuple(s_ for s_ in here.slots if s_ is not s)))
                if not any(s_.name == s.name for tile in freed.tiles for s_ in tile.slots):
                    assert state.content(s.name).met == state.content(s.name).stops
                    freed = freed._replace(slices=(*state.slices[:s.name], None, *state.slices[s.name + 1:]))
                yield freed
        if not any(s.computing for s in here.slots):
            for s in self._candidates([s for s in here.slots if s.filled and s.todo and not s.sending]):
                yield put(slot(s, todo=False, computing=True))
        if here.wanted is None:
            for s in self._candidates([s for s in here.slots if s.forward and (s.filled or s.from_link)]):
                yield put(here._replace(wanted=s.name, phase="asking"))
            return
        if here.phase in ("asking", "granting"):
            yield put(here._replace(phase={"asking": "pending", "granting": "granted"}[here.phase]))
        elif here.phase == "pending" and len(beyond.slots) < self.slots and not self._turn(beyond):
            asked = next(s.ahead for s in here.slots if s.name == here.wanted)
            reserved = Slot(here.wanted, asked >> 1, True, bool(asked & 1), asked > 1)
            yield put(here._replace(phase="granting"), t, put(beyond._replace(slots=(*beyond.slots, reserved)), n))
        elif here.phase == "granted" and not any(s.sending for s in here.slots):
            s = next(s for s in here.slots if s.name == here.wanted)
            arriving = any(s_.sending and s_.name == s.name for s_ in before.slots)
            if (s.filled and not s.computing) or (not s.filled and arriving):
                yield put(slot(s, forward=False, sending=True)._replace(wanted=None, phase=""))

    def _turn(self, tile: Tile) -> bool:
        own = sum(not s.from_link for s in tile.slots)
        return self.exact and own < self.share and (
            self.slots - len(tile.slots) >= 2 or not all(s.forward for s in tile.slots))

    def quiet(self, state: State) -> list[Slice] | None:
        """The slices as the searches see them; None while something is under way."""
        for t, tile in enumerate(state.tiles):
            before = state.tiles[t - 1]
            if tile.phase in ("asking", "granting") or any(
                    s.computing or s.sending or not (s.filled or (s.from_link and before.wanted == s.name))
                    for s in tile.slots):
                return None
        return [self._slice(state, name) for name, content in enumerate(state.slices) if content is not None]

    def _slice(self, state: State, name: int) -> Slice:
        origin, stops, met = state.content(name)
        used = todo = reach = head = ahead = 0
        for step in range(self.tiles):
            for s in state.tiles[(origin + step) % self.tiles].slots:
                if s.name == name:
                    used, todo, reach, ahead = used | 1 << step, todo | s.todo << step, step, s.ahead
                    head = step if s.filled else head
                    if not s.forward and s.ahead:  # sent on, and all of it beyond may be gone
                        head = reach = stops.bit_length() - 1
                        ahead = 0
        if ahead == 0:
            head = head if used >> reach & 1 and head != reach else reach
        at = state.tiles[(origin + reach) % self.tiles]
        return Slice(origin, stops, used, todo, met, head, reach, ahead, at.wanted == name and at.phase == "pending")
