"""What a tile does with the records of a batch, cycle by cycle, written for reading (docs/dataflows.md, docs/batch.md)."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from trajectile.hw.batch.layouts import NO_EXPERT
from trajectile.sw_model.config import Config

#: what happens in a cycle, by name; what does not happen is not named
Did = dict[str, Any]
#: lane, token
Place = tuple[int, int]
#: head, error, beat or number of tokens
Item = tuple[int, int, int]


@dataclass(frozen=True)
class Now:
    """What a tile is offered in a cycle."""

    #: a batch begins
    start: bool
    shared: bool
    batch: int
    tokens: int
    #: a beat of the io port; ``head`` is 0
    own: Item | None
    #: an item from the ring-previous tile
    come: Item | None
    #: the register for what goes on takes something
    room: bool
    #: what the token lists answer
    twice: bool


@dataclass
class Share:
    """Where things lie in a batch."""

    own: Place = (0, 0)
    previous: Place = (0, 0)
    last: Place = (0, 0)
    total: int = 0
    before: int = 0


def head_beats(config: Config) -> list[list[tuple[str, int]]]:
    """The cycles of work of each beat of a head: an exponent takes one, a choice two."""
    items = [[("exponent", 0)], *([("choice", rank), ("again", rank)] for rank in range(config.layer.top_k))]
    per_beat = config.io.bytes_per_cycle // 4
    return [[step for item in items[at:at + per_beat] for step in item] for at in range(0, len(items), per_beat)]


def row_beats(config: Config) -> list[list[tuple[str, int]]]:
    """Those of a row: one for a beat of shifts; one for a word, or for each beat of a word."""
    width, mac_k, words = config.io.bytes_per_cycle, config.tile.mac_k, config.gate_up_chunks
    beats = [[("shifts", number)] for number in range(config.shift_bytes // width)]
    if mac_k > width:
        pieces = mac_k // width
        return beats + [[("word" if piece == pieces - 1 else "piece", word)]
                        for word in range(words) for piece in range(pieces)]
    per_beat = width // mac_k
    return beats + [[("word", word) for word in range(at, min(at + per_beat, words))] for at in range(0, words, per_beat)]


class RecordWalk:
    """One tile. ``cycle`` takes what it is offered in a cycle, and returns what it does in that cycle:

    ``own``, ``come``: is ready for a beat of memory that is offered, for an item from the ring. ``go``: sends an item on.
    ``insert``: batch, lane, token, rank, expert, weight, exponent. ``fill``: batch, lane, index, word. ``lists``, ``rows``:
    all of them are done, and where things lie. ``expert``, ``twice``, ``response``, ``many``: errors.

    Two walk one behind the other, with two places between them: one takes items, the other works on them.
    """

    def __init__(self, config: Config, position: int):
        self.config, self.position = config, position
        self.stop()

    def stop(self) -> None:
        """Everything is forgotten."""
        self._walks: list[Generator[None]] = []
        self._places: list[Item] = []  # items that were taken and not worked off

    def cycle(self, now: Now) -> Did:
        """One cycle after the other."""
        self.now, self.did = now, Did()
        # both see what was there at its beginning
        self._space, self._item = len(self._places) < 2, self._places[0] if self._places else None
        for walk in self._walks:
            next(walk, None)
        if now.start:
            self.share = Share()
            self._walks = [self._take(now), self._work(now)]
        return self.did

    def _sections(self, begin: Now) -> list[int]:
        """Whose parts of a round come, in order."""
        return list(range(self.config.array.tiles)) if begin.shared else [self.position]

    def _take(self, begin: Now) -> Generator[None]:
        """Takes all items; sends on those that the ring-next tile does not have."""
        for work in head_beats(self.config), row_beats(self.config):
            for source in self._sections(begin):
                own, ring_next = source == self.position, (self.position + 1) % self.config.array.tiles
                goes_on, tokens = begin.shared and source != ring_next, begin.tokens
                if begin.shared:
                    *_, tokens = yield from self._one("header" if own else "come", goes_on, (1, 0, tokens))
                for _ in range(tokens * len(work)):
                    yield from self._one("own" if own else "come", goes_on)

    def _one(self, what: str, goes_on: bool, header: Item = (0, 0, 0)) -> Generator[None, None, Item]:
        """The next item, when it is there and there is room for it; a tile's own header is always there."""
        while True:
            item = {"header": header, "own": self.now.own, "come": self.now.come}[what]
            if self._space and (self.now.room or not goes_on) and item is not None:
                break
            yield
        self._places.append(item)
        if what != "header":
            self.did[what] = True
        if goes_on:
            self.did["go"] = item
        yield
        return item

    def _work(self, begin: Now) -> Generator[None]:
        """Works on all items."""
        if not begin.shared and not begin.tokens:
            self.did |= {"lists": self.share, "rows": self.share}
            return
        for done, work in ("lists", head_beats(self.config)), ("rows", row_beats(self.config)):
            token, sections = 0, self._sections(begin)
            for source in sections:
                tokens = begin.tokens
                if begin.shared:
                    while self._item is None:
                        yield
                    is_header, _, tokens = self._item
                    assert is_header, "a header"
                    if done == "lists":
                        self._header(source, token, tokens)
                    if tokens == 0 and source == sections[-1]:
                        self.did[done] = self.share
                    self._places.pop(0)
                    yield
                for number in range(tokens):
                    ends = done if source == sections[-1] and number == tokens - 1 else ""
                    yield from self._token(begin, work, token, ends)
                    token += 1

    def _header(self, source: int, token: int, tokens: int) -> None:
        """What a header of heads says."""
        share, tile = self.share, self.config.tile
        share.total += tokens
        if share.total > tile.tokens:
            self.did["many"] = True
        if source == self.position:
            share.own = self._place(token)
        if source == (self.position - 1) % self.config.array.tiles:
            share.previous, share.before = self._place(token), tokens
        if share.total:
            share.last = self._place(share.total - 1)

    def _place(self, token: int) -> Place:
        """Lane and index; the place after a full lane's last one may have no number of its own, then it is the first."""
        tile = self.config.tile
        return token % tile.mac_t, token // tile.mac_t % (1 << max((tile.lane_tokens - 1).bit_length(), 1))

    def _token(self, begin: Now, work: list[list[tuple[str, int]]], token: int, ends: str) -> Generator[None]:
        """A head or a row."""
        config, tile = self.config, self.config.tile
        lane, index = self._place(token)
        bits, items = 8 * config.io.bytes_per_cycle, config.io.bytes_per_cycle // 4
        exponent, spoilt, inserted, shifts, codes = 0, False, False, 0, b""
        for steps in work:
            while self._item is None:
                yield
            for cycle, (step, number) in enumerate(steps):
                did = self.did
                is_header, error, beat = self._item
                assert not is_header, "a beat"
                word = beat >> 32 * ((number + (step in ("choice", "again"))) % items)
                expert, weight = word & 0xFFFF, word >> 16 & 0xFFFF
                if step == "exponent":
                    exponent, spoilt = word & 0xFF, bool(error)
                elif step == "choice":
                    inserted = expert < config.layer.experts and not error and not spoilt
                    if inserted:
                        did["insert"] = begin.batch, lane, index, number, expert, weight, exponent
                    elif expert >= config.layer.experts and expert != NO_EXPERT and not error:
                        did["expert"] = True
                elif step == "again":
                    if inserted and self.now.twice:
                        did["twice"] = True
                elif step == "shifts":
                    shifts |= beat << bits * number
                else:
                    if cycle == 0:
                        codes += beat.to_bytes(bits // 8, "little")
                    if step == "word":
                        did["fill"] = (begin.batch, lane, index * config.gate_up_chunks + number,
                                       self._word(number, shifts, codes[number * tile.mac_k:][:tile.mac_k]))
                if cycle == len(steps) - 1:
                    self._places.pop(0)
                    if error:
                        did["response"] = True
                    if ends and steps is work[-1]:
                        did[ends] = self.share
                yield

    def _word(self, chunk: int, shifts: int, codes: bytes) -> int:
        """A word of the token buffer: for each block of inputs its codes and its shift."""
        tile, word = self.config.tile, 0
        size = tile.word_inputs
        for scale in range(tile.word_scales):
            block = (chunk * tile.mac_k + scale * size) // 32
            shift = shifts >> 2 * block & 3 if 32 * block < self.config.layer.d_model else 0
            part = int.from_bytes(codes[scale * size:(scale + 1) * size], "little") | shift << 8 * size
            word |= part << (8 * size + 2) * scale
        return word
