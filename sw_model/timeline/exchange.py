"""The exchange of counts: every tile sends its passes of each expert once around the ring (docs/batch.md).

Each tile sends a word that says order and tag of its batch, then its counts, some experts a word. A word that came from the
ring-previous tile goes first: it is written, and sent on, in the cycle in which it stands here.
"""

from trajectile.sw_model import latencies
from trajectile.sw_model.config import Config


class CountExchange:
    """A tile's part in one exchange after the other."""

    def __init__(self, config: Config):
        #: words of a tile, with the one that begins its exchange
        self.words = 1 + config.count_words
        #: words of an exchange
        self.all_words = self.words * config.array.tiles
        self.left = 0  # own words that have not been sent
        self.missing = self.all_words  # words that have not been written
        self.ready = 0  # first cycle in which the next own word may go
        self._first = 0  # first cycle in which the first counts may go

    def start(self, now: int) -> None:
        """The lists of a batch are complete."""
        assert not self.left
        self.left = self.words
        self.ready = now + latencies.EXCHANGE_HEADER_CYCLES
        self._first = self.ready + latencies.EXCHANGE_COUNTS_CYCLES

    def send(self, now: int) -> None:
        """An own word is sent."""
        self.left -= 1
        self.ready = max(now + latencies.COUNT_AGAIN_CYCLES, self._first)

    def write(self) -> bool:
        """A word, own or of another tile, is written. Returns whether it is the last of the exchange."""
        self.missing = (self.missing or self.all_words) - 1
        return self.missing == 0
