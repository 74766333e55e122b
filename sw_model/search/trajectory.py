"""One slice on its way round the ring, with everything that the hardware stores about it.

``sw_model/search/rules.py`` knows only where slices are. Here a slice has more state: its stops, its copies in the slots of
several tiles, the stops ahead as the hardware carries them along, its request, its reservations ahead, and the tiles whose
tokens it has met. :func:`trajectories` plays one slice in every order of events. It checks that the slice **meets the tokens
of every stop exactly once**. Other slices can only make it wait, so this holds whatever they do.

An action that begins and ends in the hardware is a single action here. This is allowed because whatever happens in between is
independent of one of the two ends, so that this end can be moved to the other:

* *compute* happens when it ends. In between the slot cannot be sent, and the MAC array takes no other slice. The same runs
  exist without compute having begun: those in which neither happens.
* *send* happens when it begins, and the arrival with it. A slot that is full, and a sender that is idle, only permit more.
* *load* fills its slot at once, for the same reason.
* A request waits at the ring-next tile at once. The time that it travels is a grant that comes later.

*Release* is an action of its own, because it can take away a grant (turns look at own slots). Any slice may ask, and any may
be computed, not only the oldest. So there are more runs here than in the hardware, but the question
whether there is a way on has the same answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


class Slice(NamedTuple):
    """A slice that was loaded and not yet released everywhere. Bit d of a mask, and step d, is the tile d steps on from
    where it was loaded.
    """

    #: tile that loaded it
    origin: int
    #: tiles with tokens for it
    stops: int
    #: slots it occupies, reservations included
    used: int = 1
    #: slots in which it waits for the MAC array
    todo: int = 0
    #: tiles whose tokens it has met
    met: int = 0
    #: how far it was sent
    head: int = 0
    #: how far slots are reserved for it
    reach: int = 0
    #: stops after ``reach``, as the hardware carries them: bit d is the tile d + 1 further along
    ahead: int = 0
    #: a request for the slot after ``reach`` is pending
    asks: bool = False


class Action(NamedTuple):
    """What can happen to a slice next."""

    #: ask, grant, send, compute or release
    kind: str
    #: in which tile
    tile: int
    #: the slice after it; None when it has left the ring
    after: Slice | None


class WrongVisit(AssertionError):
    """A slice met a tile twice, or left one out, or ran past its last stop."""


@dataclass(frozen=True)
class Ring:
    """The rules as they concern one slice."""

    tiles: int

    def load(self, origin: int, stops: int) -> Slice:
        """A slice as its load entry says it: stops as a mask, bit 0 this tile."""
        return Slice(origin, stops, todo=stops & 1, ahead=stops >> 1)

    def granted(self, slice_: Slice) -> Slice:
        """Reserved one tile further: the first of the stops that the request names is that tile."""
        step, here = slice_.reach + 1, slice_.ahead & 1
        return slice_._replace(asks=False, reach=step, ahead=slice_.ahead >> 1, used=slice_.used | 1 << step,
                               todo=slice_.todo | here << step)

    def actions(self, slice_: Slice) -> Iterator[Action]:
        """What can happen to it next, if there is room.

        Raises:
            WrongVisit: where it does what it never must.
        """
        tile = [(slice_.origin + step) % self.tiles for step in range(self.tiles + 1)]
        if slice_.asks:
            if slice_.reach + 1 >= self.tiles:
                raise WrongVisit(f"round the ring: {slice_}")
            yield Action("grant", tile[slice_.reach + 1], self.granted(slice_))
        elif slice_.ahead:
            yield Action("ask", tile[slice_.reach], slice_._replace(asks=True))
        if slice_.head < slice_.reach:
            yield Action("send", tile[slice_.head], slice_._replace(head=slice_.head + 1))
        for step in range(slice_.head + 1):
            bit = 1 << step
            if not slice_.used & bit:
                continue
            if slice_.todo & bit:
                if slice_.met & bit or not slice_.stops & bit:
                    raise WrongVisit(f"computed at step {step} though it must not: {slice_}")
                yield Action("compute", tile[step], slice_._replace(todo=slice_.todo & ~bit, met=slice_.met | bit))
            elif not self.forward(slice_, step):
                yield Action("release", tile[step], self.released(slice_, bit))

    def forward(self, slice_: Slice, step: int) -> bool:
        """Whether its slot there has yet to send it on."""
        return slice_.head <= step and (step < slice_.reach or slice_.ahead != 0)

    def released(self, slice_: Slice, bit: int) -> Slice | None:
        """Without one slot; when the last is gone it must have met every stop."""
        if slice_.used != bit:
            return slice_._replace(used=slice_.used & ~bit)
        if slice_.met != slice_.stops:
            raise WrongVisit(f"left the ring without having met every stop: {slice_}")
        return None


def trajectories(ring: Ring) -> dict[Slice, tuple[Action, ...]]:
    """Every slice of every trajectory, in every order of events; and what can happen to it next.

    Raises:
        WrongVisit: if one of them meets a tile twice or leaves a stop out.
    """
    todo = [ring.load(origin, stops) for origin in range(ring.tiles) for stops in range(1, 1 << ring.tiles)]
    found: dict[Slice, tuple[Action, ...]] = {}
    while todo:
        here = todo.pop()
        if here not in found:
            found[here] = tuple(ring.actions(here))
            if not found[here]:
                raise WrongVisit(f"nothing can happen any more: {here}")
            todo.extend(action.after for action in found[here] if action.after is not None)
    return found


def steps_left(found: dict[Slice, tuple[Action, ...]]) -> dict[Slice, int]:
    """The most actions that a slice can still take part in.

    Every action takes this number of one slice down and leaves those of the others alone, so only loads, of which a batch has
    finitely many, can keep slices in the ring: no livelock.

    Raises:
        WrongVisit: if a slice can come back to where it was.
    """
    left: dict[Slice, int] = {}
    open_: set[Slice] = set()
    for first in found:
        stack = [first]
        while stack:
            here = stack[-1]
            after = [action.after for action in found[here] if action.after is not None]
            unknown = [slice_ for slice_ in after if slice_ not in left]
            if here not in left and unknown:
                if open_.intersection(unknown):
                    raise WrongVisit(f"comes back: {here}")
                open_.add(here)
                stack.extend(unknown)
            else:
                left[here] = 1 + max((left[slice_] for slice_ in after), default=0)
                open_.discard(here)
                stack.pop()
    return left
