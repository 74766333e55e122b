"""The FIFO for words of the count exchange that a link layer has no room for."""

from amaranth.hdl import Signal
from amaranth.lib import data, stream

from trajectile.hw.d2d.credit_fifo import CreditFifo
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.sw_model.config import Config


class CountFifo(CreditFifo):
    """A :class:`~trajectile.hw.d2d.credit_fifo.CreditFifo` for count words. Nobody spends credits on them: it has room for
    all words that a link can owe.

    Those are the words of two exchanges. In an exchange the words of all tiles but the ring-next one take this link, a header
    and ``count_words`` each. Nobody sends words of the exchange after the next before the ring-next tile has sent its own of
    the next one; and it does so only when all words of this exchange have come there, over this link.

    Latency: a word that comes in cycle c can leave in c+1 (``latency_cycles`` = 1), and is gone one cycle (``credit_cycles``
    = 1) before ``credit``, which nobody looks at. Throughput: one word per cycle. Storage: those words, in two-port SRAM, and
    one in flip-flops.
    """

    latency_cycles = 1
    credit_cycles = 1

    write: Signal
    flit: data.View
    head: stream.Interface
    credit: Signal

    def __init__(self, params: LinkLayouts):
        super().__init__(params, params.count_layout, self.most_words(params.config))

    @staticmethod
    def most_words(config: Config) -> int:
        """Words that a link can owe."""
        return 2 * (config.array.tiles - 1) * (1 + config.count_words)
