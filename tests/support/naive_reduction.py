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
        self.stands: tuple[Any, Any] | None = None  # the word that stands at the read port, and its value
        self.out: list[tuple[tuple[Any, ...], Any]] = []  # flits of a word whose first has gone, and its value
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

        rest = len(self.out)  # flits of a word whose first has gone
        if rest:
            out.offers = self.out[0]
        elif self.stands:
            which, value = self.stands
            # a closing word says the unit of the cycle
            out.offers = (*which, 0), (value, self.unit_at(cycle)) if which[1] == CLOSING else value
        free = not self.stands and rest < 2
        if out.offers and ready:
            if rest:
                self.out.pop(0)
            else:
                (*which, _), value = out.offers
                self.out = [((*which, piece), value) for piece in range(1, 1 if which[1] == CLOSING else self.flits)]
                self.to_send.pop(0)
                self.stands = None
            if not self.out and not self.to_send:
                self.permitted = False
                self.idle_from = cycle + 1

        next_word = self.to_send[0] if free and self.to_send and self.permitted else None
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
            self.stands = None  # something else stands there
        elif next_word:
            token, word = next_word
            partial = token in self.partial
            if (partial or next_word in before) and self.bank(word) not in full:
                out.reads, out.passes_on = next_word, not partial
                self.stands = next_word, self.own(token, word) if partial else self.written[next_word][1]

        out.summed = (not self.to_send and not self.out and not self.to_write and cycle == self.idle_from)
