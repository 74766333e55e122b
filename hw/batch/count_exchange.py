"""The count exchange: every tile tells every other how many passes each expert takes on it."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import TAG_BITS
from trajectile.hw.batch.ports import CountPort, FormedPort
from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.d2d.port import Message
from trajectile.hw.lib.block import Block, place
from trajectile.hw.lib.sram import Sram1RW
from trajectile.hw.lib.struct_signal import struct_signal
from trajectile.sw_model.config import COUNTS_PER_WORD


class CountExchange(Block):
    """Sends this tile's counts once around the ring, and keeps those of all tiles.

    A tile's message is a header (load order, tag and dataflow of the batch), then one word for every four experts. A word
    that comes from the ring-previous tile is kept, and goes on in the same cycle, until it has reached the tile before its
    origin. It never waits, so the lane has no flow control: words of this tile go in the cycles in which none comes.

    There are two banks of counts: one for the exchange that goes on, or comes next, and one for the exchange before, whose
    counts are being read. A tile begins an exchange only when it has made all loads of the one before, for which it needed
    everybody's counts. So no word comes that is two exchanges ahead, and all words of one exchange come before those of the
    next. But they may come before this tile has begun the exchange itself.

    Latency: with ``start`` in cycle s the header can go from s+1 on (``latency_cycles`` = 1). The first count is read in s+1
    too, and the first word can go ``read_cycles`` = 5 later, but no earlier than ``refill_cycles`` = 4 after the header has
    gone. Each of the others can go 4 cycles after the one before has gone. A word that comes is kept, and goes on, in the
    cycle after (``held_cycles`` = 1). ``formed`` comes in the cycle after the last word was kept, and a header that
    differs is reported in the cycle after it was kept (``report_cycles`` = 1). Throughput: one word per cycle.
    Storage: two SRAM banks with the counts of all tiles, one word of this tile and one that came, and the number of the next
    word of each tile.
    """

    latency_cycles = 1
    #: from the first read of a count to the first word: four counts, a cycle each, and the register
    read_cycles = COUNTS_PER_WORD + 1
    refill_cycles = COUNTS_PER_WORD
    held_cycles = 1
    report_cycles = 1

    start: Signal
    batch: Signal
    order: Signal
    tag: Signal
    shared: Signal
    disagree: Signal
    sent: Signal
    passes: CountPort.Interface
    word_out: Message.Interface
    word_in: Message.Interface
    formed: FormedPort.Interface

    def __init__(self, params: LinkLayouts):
        self.params = params
        super().__init__({
            "start": In(1),  #: strobe: the lists of a batch are complete, exchange their lengths
            "batch": In(1),  #: with it: which batch
            "order": In(2),  #: with it: its load order
            "tag": In(TAG_BITS),  #: with it: what the host calls it
            **({"shared": In(1)} if params.config.array.shares else {}),  #: with it: every tile has all its tokens
            "disagree": Out(1),  #: strobe: the header is not the same on all tiles
            "sent": Out(1),  #: strobe: a word of this tile goes
            "passes": Out(CountPort(params)),  #: of this tile's lists
            "word_out": Out(Message(params.count_layout)),  #: to the ring-next tile
            "word_in": In(Message(params.count_layout)),  #: from the ring-previous tile
            "formed": Out(FormedPort(params)),  #: everybody's counts
        })

    def elaborate(self, platform: object) -> Module:
        """What came, what this tile sends, where a word belongs, the counts."""
        m = Module()
        params, config = self.params, self.params.config
        tiles = config.array.tiles
        out = self.word_out.payload

        # A word that came goes on unless the ring-next tile is its origin.
        held_valid = Signal()
        held = struct_signal(params.count_layout, name="held", reset_less=True)
        m.d.sync += [held_valid.eq(self.word_in.valid), held.eq(self.word_in.payload)]

        word, full = self._own(m)
        m.d.comb += [
            self.sent.eq(full & ~held_valid),
            self.word_out.valid.eq(self.sent | (held_valid & (held.hops != tiles - 2))),
            out.hops.eq(Mux(held_valid, held.hops + 1, 0)),
            out.word.eq(Mux(held_valid, held.word, word)),
        ]

        # Of which tile it is, by distance along the ring, and the how many-th of this tile.
        of_tile = Cat(self.sent, *(held_valid & (held.hops == tiles - 1 - distance) for distance in range(1, tiles)))
        header = Signal()
        everybody = Signal()
        number = self._number(m, of_tile, header, everybody)
        self._agree(m, (held_valid | self.sent) & header)
        self._memory(m, platform, Mux(header, 0, of_tile), number, everybody)
        return m

    def _own(self, m: Module) -> tuple[Value, Value]:
        """Words of this tile: the one that is to go, and whether it is complete."""
        config, passes = self.params.config, self.passes
        experts, count_bits = config.layer.experts, config.count_bits
        counts_bits = COUNTS_PER_WORD * count_bits
        last = COUNTS_PER_WORD * config.count_words - 1
        word = Signal(self.params.count_word_bits, reset_less=True)
        full = Signal()
        reading = Signal()
        read = Signal()
        expert = Signal(range(last + 1))  # whose count is read next
        come = Signal()  # the count of the one before is there
        taken = Signal()
        beyond = Signal()  # there is no such expert: the last word is filled with zeros
        m.d.comb += [
            taken.eq(come & (~full | self.sent)),
            read.eq(reading & (~come | taken)),
            passes.read.eq(read & (expert < experts)),
            passes.expert.eq(expert),
        ]
        m.d.sync += come.eq(read | (come & ~taken))
        with m.If(read):
            m.d.sync += [expert.eq(expert + 1), beyond.eq(expert >= experts)]
            with m.If(expert == last):
                m.d.sync += [expert.eq(0), reading.eq(0)]
        with m.If(self.sent):
            m.d.sync += full.eq(0)
        with m.If(taken):
            m.d.sync += [
                word.eq(Cat(word[count_bits:counts_bits], Mux(beyond, 0, passes.passes))),
                full.eq(expert % COUNTS_PER_WORD == 0),
            ]
        with m.If(self.start):
            shared = [self.shared] if self.params.config.array.shares else []
            m.d.sync += [word.eq(Cat(self.order, self.tag, *shared)), full.eq(1), reading.eq(1), passes.batch.eq(self.batch)]
        return word, full

    def _number(self, m: Module, of_tile: Value, header: Signal, everybody: Signal) -> Value:
        """Number of the word, whether it is a ``header``, and whether with it the words of all tiles are here."""
        words, tiles = self.params.config.count_words, self.params.config.array.tiles
        number = Signal(bits_for(words))  # all ones: a header
        none = (1 << len(number)) - 1
        awaited = [Signal.like(number, name=f"awaited_{distance}", init=none) for distance in range(tiles)]
        complete = Signal(tiles)
        completed = Signal(tiles)
        last = number == words - 1
        m.d.comb += [
            number.eq(reduce(or_, (Mux(of_tile[distance], awaited[distance], 0) for distance in range(tiles)))),
            header.eq(number == none),
            completed.eq(complete | Mux(last, of_tile, 0)),
            everybody.eq(completed.all()),
        ]
        for distance in range(tiles):
            with m.If(of_tile[distance]):
                m.d.sync += awaited[distance].eq(Mux(last, none, number + 1))
        m.d.sync += [complete.eq(Mux(everybody, 0, completed)), self.formed.formed.eq(everybody)]
        return number

    def _agree(self, m: Module, header: Value) -> None:
        """The first header of an exchange is kept; the others must be the same."""
        first = struct_signal(self.params.agreed_layout, name="first", reset_less=True)
        kept = first.as_value()
        contents = self.word_out.payload.word[:len(kept)]
        known = Signal()
        m.d.sync += self.disagree.eq(header & known & (contents != kept))
        with m.If(header & ~known):
            m.d.sync += [known.eq(1), kept.eq(contents)]
        with m.If(self.formed.formed):
            m.d.sync += known.eq(0)
        m.d.comb += [self.formed.order.eq(first.order), self.formed.batch.eq(self.passes.batch)]
        if self.params.config.array.shares:
            m.d.comb += self.formed.shared.eq(first.shared)

    def _memory(self, m: Module, platform: object, of_tile: Value, number: Value, everybody: Value) -> None:
        """Counts of all tiles: one bank is written, the other one read."""
        config, formed = self.params.config, self.formed
        tiles, counts_bits = config.array.tiles, COUNTS_PER_WORD * config.count_bits
        bank = Signal()  # that is written
        written = Value.cast(self.word_out.payload.word)[:counts_bits].replicate(tiles)
        with m.If(everybody):
            m.d.sync += bank.eq(~bank)
        banks = [Sram1RW(depth=config.count_words, width=tiles * counts_bits, lanes=tiles) for _ in range(2)]
        for which, sram in enumerate(banks):
            m.d.comb += sram.wdata.eq(written)
            with m.If(bank == which):
                m.d.comb += [sram.en.eq(of_tile.any()), sram.we.eq(of_tile), sram.addr.eq(number)]
            with m.Else():
                m.d.comb += [sram.en.eq(formed.read), sram.addr.eq(formed.number)]
        place(m, platform, {f"counts_{which}": sram for which, sram in enumerate(banks)})
        m.d.comb += formed.counts.eq(Mux(bank, banks[0].rdata, banks[1].rdata))
