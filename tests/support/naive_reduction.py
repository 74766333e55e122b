"""The sums of one tile once more, cycle by cycle, written for reading: docs/dataflows.md, section "Sums"."""

from dataclasses import dataclass, field
from typing import Any

#: word of a token that closes it
CLOSING = "closing"
CLIPS_MAX = 2**16 - 1


@dataclass
class Outputs:
    """What a tile does in a cycle."""

    permits: bool = False
    #: the flit that it offers: (token, word, piece), and the word's value
    offers: tuple[Any, ...] | None = None
    #: the word that it reads, and whether it is one that was written by the reduction
    reads: tuple[int, Any] | None = None
    passes_on: bool = False
    #: words that it writes, with their values
    writes: dict[tuple[int, Any], Any] = field(default_factory=dict)
    summed: bool = False


@dataclass
class Memory:
    """Partial sums of a tile: of each token that has met something a list of numbers for each group, and clips."""

    sums: dict[int, list[list[int]]]
    clips: dict[int, int]
    #: of the results, if the tile has computed a slice
    unit: int | None


class NaiveReduction:
    """One tile. Tokens have numbers: that of position 0's first one is 0, and so on."""

    def __init__(self, groups: int, flits: int, outputs: int):
        self.words, self.flits, self.outputs = [*range(groups), CLOSING], flits, outputs
        self.permitted = False
        self.started: int | None = None
        #: a word was written a cycle after it could have been
        self.late = False

    def start(self, cycle: int, memory: Memory, *, own: int, tokens: int, previous: int, before: int, total: int) -> None:
        """``reduce.start`` in this cycle.

        ``own`` and ``previous`` are the first tokens of this tile and of the ring-previous one, which have ``tokens`` and
        ``before``.
        """
        self.started, self.memory = cycle, memory
        sends = [(own - 1 - number) % total for number in range(total - tokens)] if total else []
        receives = [(previous - 1 - number) % total for number in range(total - before)] if total else []
        self.partial = set(sends[:before])
        self.to_send = [(token, word) for token in sends for word in self.words]
        self.to_come = [(token, word) for token in receives for word in self.words]
        self.to_write = set(self.to_come)
        self.expects_permit = bool(self.to_come)
        self.piece = 0
        #: sums: from when on they can be written, which word, value; and those that can be, by bank
        self.added: list[tuple[int, tuple[int, Any], Any]] = []
        self.waiting: dict[Any, tuple[int, tuple[int, Any], Any]] = {}
        self.written: dict[tuple[int, Any], tuple[int, Any]] = {}
        self.last_read = -2
        self.out: list[tuple[int, tuple[int, Any], Any]] = []  # from when on it is offered, which word, its value
        self.out_piece = 0
        self.adopted: tuple[int, int] | None = None  # from when on, the unit
        self.idle_from = cycle + 1

    @staticmethod
    def bank(word: Any) -> Any:
        """Where it lies."""
        return word if word == CLOSING else word % 2

    def own(self, token: int, word: Any) -> Any:
        """The tile's value before anything was added; what met nothing is zero."""
        if word == CLOSING:
            return self.memory.clips.get(token, 0)
        return self.memory.sums.get(token, [[0] * self.outputs] * len(self.words))[word]

    def unit_at(self, cycle: int) -> int | None:
        """The results' unit in this cycle."""
        if self.memory.unit is not None:
            return self.memory.unit
        return self.adopted[1] if self.adopted and cycle >= self.adopted[0] else None

    def step(self, cycle: int, *, flit: Any = None, ready: bool = True, permitted: bool = False) -> Outputs:
        """One cycle. ``flit``: a flit of sums comes, with the value of its word; a closing word's is (clips, unit)."""
        out = Outputs()
        if self.started is not None and cycle > self.started:
            out.permits = self.expects_permit and cycle == self.started + 1
            self._run(cycle, flit, ready, out)
        if permitted:
            self.permitted = True
        return out

    def _run(self, cycle: int, flit: Any, ready: bool, out: Outputs) -> None:
        arrives = None
        if flit is not None:
            self.piece += 1
            token, word = self.to_come[0]
            if self.piece == (1 if word == CLOSING else self.flits):
                arrives, self.piece = self.to_come.pop(0), 0
        # what was written before this cycle
        before = {word for word, (when, _) in self.written.items() if when < cycle}
        value: Any
        if self.added and self.added[0][0] == cycle:
            bank = self.bank(self.added[0][1][1])
            assert bank not in self.waiting, "two sums wait for one bank"
            self.waiting[bank] = self.added.pop(0)
        full = set(self.waiting)
        for bank, (since, which, value) in list(self.waiting.items()):
            if not (arrives and self.bank(arrives[1]) == bank):
                out.writes[which] = value
                self.late |= cycle > since
                self.written[which] = cycle, value
                self.to_write.discard(which)
                del self.waiting[bank]
                self.idle_from = cycle + 1

        if self.out and self.out[0][0] <= cycle:
            since, which, read = self.out[0]
            # a closing word has the unit of the cycle in which it was taken
            out.offers = (*which, self.out_piece), (read, self.unit_at(since - 1)) if which[1] == CLOSING else read
        if out.offers and ready:
            self.out_piece += 1
            if self.out_piece == (1 if self.out[0][1][1] == CLOSING else self.flits):
                self.out_piece = 0
                self.out.pop(0)
                if not self.out and not self.to_send:
                    self.permitted = False
                    self.idle_from = cycle + 1

        if arrives:
            out.reads = arrives
            own = self.own(*arrives)
            if arrives[1] == CLOSING:
                clips, unit = flit
                value = min(own + clips, CLIPS_MAX)
                if unit is not None and not self.adopted:
                    self.adopted = cycle + 2, unit
            else:
                value = [(a + b) % 2**32 for a, b in zip(own, flit, strict=True)]
            self.added.append((cycle + 2, arrives, value))
        elif self.to_send and self.permitted:
            token, word = which = self.to_send[0]
            partial = token in self.partial
            if ((partial or which in before) and self.bank(word) not in full and self.last_read != cycle - 1
                    and not self.out):  # it is empty, or its last flit goes in this cycle
                self.to_send.pop(0)
                self.last_read = cycle
                out.reads, out.passes_on = which, not partial
                value = self.own(token, word) if partial else self.written[which][1]
                self.out.append((cycle + 2, which, value))

        out.summed = (not self.to_send and not self.out and not self.to_write and cycle == self.idle_from)
