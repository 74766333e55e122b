"""Out, where every tile computes slices of its own channel: the sums of a shared batch go round the ring (docs/dataflows.md).

Every tile has a part of each token's sums. They meet on the way to the tile whose host gave the token. A tile sends words,
each a group of sums or the word that closes a token, down from the token before its own first one: at first those of the
ring-previous tile's tokens, as it has them itself; then those of others, when what came for them has been added. It receives
in the same order, down from the token before the ring-previous tile's first one, and its own last of all.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from trajectile.sw_model import latencies
from trajectile.sw_model.latencies import STATE_CYCLES
from trajectile.sw_model.schedule.scheduler import Schedule

if TYPE_CHECKING:
    from trajectile.sw_model.timeline.rules import Tile


class Reduction:
    """A tile's part in adding up one shared batch after the other."""

    def __init__(self, tile: "Tile", summed: Callable[[int, int], None]):
        """``summed`` is called with batch and cycle when a batch is added up here."""
        config = tile.model.config
        self.tile, self.summed = tile, summed
        #: cycles in which flits of sums go to the ring-next tile
        self.flits: list[int] = []
        #: bank and flits of each word of a token; the last one closes it
        self._words = [(group % 2, config.sum_flits) for group in range(config.down_groups)] + [(2, 1)]
        self._batch: int | None = None
        self._start = 0  # cycle in which it starts
        self._next = -1  # next cycle in which there is something to do
        self._permitted = False  # the ring-next tile takes sums
        # What goes: words that have begun to go, that have not; of these, such as take nothing of what comes; words that came
        # and have been written, but have not begun to go. Then flits left of one that has; the next one stands at the read
        # port, from this cycle on.
        self._sent = self._to_send = self._own = self._ahead = 0
        self._left = 0
        self._stands: int | None = None
        # What comes: words that came, that have not been written; by bank: first cycle in which its register holds each.
        self._came = self._to_write = 0
        self._banks: list[list[int]] = [[], [], []]
        self._arrives = False  # the last flit of a word is here in this cycle

    def start(self, batch: int, plan: Schedule, cycle: int) -> None:
        """A batch, the one before is complete, starts in this cycle."""
        tile, words = self.tile, len(self._words)
        own, before = (len(plan.tiles[number].records) for number in (tile.number, tile.prev))
        self._batch, self._start = batch, cycle
        self._sent, self._to_send, self._own, self._ahead = 0, (plan.tokens - own) * words, before * words, 0
        self._came, self._to_write = 0, (plan.tokens - before) * words
        if self._to_write:
            tile.model.at(cycle + latencies.PERMIT_CYCLES + tile.back_latency, tile.prev, "permit")
        if self._to_send:
            self._look(cycle + STATE_CYCLES)
        self._end(cycle)

    def permit(self) -> None:
        """The ring-next tile takes sums from this cycle on."""
        self._permitted = True

    def arrive(self) -> None:
        """The last flit of a word is here in this cycle."""
        self._arrives = True

    def evaluate(self, now: int, free: int) -> bool:
        """One cycle. All that is looked at is as it was at its beginning.

        Args:
            now: the cycle.
            free: first cycle, now or later, in which no flit of a slice goes as far as it is known.

        Returns:
            Whether a flit goes.
        """
        reads = self._words[self._came % len(self._words)][0] if self._arrives else None
        bank = self._words[self._sent % len(self._words)][0]
        may_read = now > self._start and self._may_read() and reads is None and not self._holds(bank, now)
        self._write(now, reads)
        goes = free == now and (self._left > 0 or self._stands is not None)
        if goes:
            self._go(now)
        if reads is not None:
            self._arrives, self._came, self._stands = False, self._came + 1, None
            self._banks[reads].append(now + latencies.SUM_CYCLES)
        if may_read:
            self._stands = now + latencies.SUM_OUT_CYCLES
        self._end(now)
        self._plan(now, free)
        return goes

    def _may_read(self) -> bool:
        """The next word that goes may be read, if nothing else is."""
        return (self._permitted and self._to_send > 0 and (self._own > 0 or self._ahead > 0) and self._stands is None
                and self._left < 2)

    def _holds(self, bank: int, now: int) -> bool:
        """A bank's register holds a word that is to be written."""
        return bool(self._banks[bank]) and self._banks[bank][0] <= now

    def _write(self, now: int, reads: int | None) -> None:
        """Words in registers are written, but in the bank that is read."""
        for bank in range(3):
            if bank != reads and self._holds(bank, now):
                self._banks[bank].pop(0)
                self._to_write -= 1
                self._ahead += 1

    def _go(self, now: int) -> None:
        """A flit goes."""
        tile = self.tile
        self.flits.append(now)
        if self._left:
            self._left -= 1
        else:
            self._stands, self._left = None, self._words[self._sent % len(self._words)][1] - 1
            self._sent, self._to_send = self._sent + 1, self._to_send - 1
            self._own, self._ahead = (self._own - 1, self._ahead) if self._own else (0, self._ahead - 1)
        if not self._left:
            tile.model.at(now + tile.header_latency, tile.next, "word")
            self._permitted = self._to_send > 0

    def _end(self, now: int) -> None:
        """Nothing is left to do, perhaps since this cycle."""
        if self._batch is not None and not self._to_send and not self._left and not self._to_write:
            batch, self._batch = self._batch, None
            self.summed(batch, now + latencies.SUMMED_CYCLES)

    def _plan(self, now: int, free: int) -> None:
        """When to look again; arriving words and permits come by themselves."""
        looks = [max(bank[0], now + 1) for bank in self._banks if bank]
        if self._left or self._stands is not None:
            looks.append(max(now + 1, free))
        if self._may_read():
            looks.append(now + 1)
        if looks:
            self._look(min(looks))

    def _look(self, cycle: int) -> None:
        self.tile.model.at(cycle, self.tile.number, "sums")
