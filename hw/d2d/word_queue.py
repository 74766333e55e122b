"""Words of a slot on their way to the link, read ahead."""

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Out

from trajectile.hw.d2d.layouts import LinkLayouts
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.chain import chain
from trajectile.hw.memory.expert_buffer import word_cycles
from trajectile.sw_model.config import TileConfig, ceil_div


def queue_cycles(tile: TileConfig) -> int:
    """From a word's address to the word at the end of the queue."""
    return word_cycles(tile) + 1


class WordQueue(Block):
    """Words that a slot with registers before its SRAM gives to the sender (``tile.register_slots``).

    A word is read if there is a place for it, whatever the link takes in that cycle. So what the link takes, which is known
    late, moves a pointer here and addresses no memory. There are as many places as a full link needs: a place is in use from
    the read until the word's last flit has gone, and the next word is read in the cycle after that.

    Latency: a word that is read in cycle c is at ``data`` in c+2, and offered in c+3 (``latency_cycles`` = 3). Throughput:
    one word each ``config.word_flits`` cycles. Storage: ``places`` words.
    """

    more: Signal
    reads: Signal
    data: Signal
    waits: Signal
    goes: Signal
    word: Signal

    def __init__(self, params: LinkLayouts):
        self.params = params
        config = params.config
        self.latency_cycles = queue_cycles(config.tile)
        #: words that are read, or wait, at the most
        self.places = 1 + ceil_div(self.latency_cycles, config.word_flits)
        super().__init__({
            "more": In(1),  #: there is a word to read
            "reads": Out(1),  #: it is read
            "waits": Out(1),  #: a word is there
            "goes": In(1),  #: its last flit goes
            **({} if params.timing_only else {
                "data": In(params.word_bits),  #: from the expert buffer
                "word": Out(params.word_bits),  #: the first of those that wait
            }),
        })

    def elaborate(self, platform: object) -> Module:
        """A ring of registers."""
        m = Module()
        places = range(self.places)
        taken = Signal(range(self.places + 1), name="places_taken")
        comes = chain(m, "reads", self.reads, range(1, self.latency_cycles), reset_less=False)[-1]
        full = Signal(self.places, name="place_full")
        first = Signal(places, name="first_place")
        last = Signal(places, name="last_place")

        def after(place: Signal) -> Value:
            return Mux(place == self.places - 1, 0, place + 1)

        m.d.comb += [self.reads.eq(self.more & (taken != self.places)), self.waits.eq(Array(full)[first])]
        m.d.sync += taken.eq(taken + self.reads - self.goes)
        with m.If(self.goes):
            m.d.sync += [first.eq(after(first)), Array(full)[first].eq(0)]
        with m.If(comes):
            m.d.sync += [last.eq(after(last)), Array(full)[last].eq(1)]
        if self.params.timing_only:
            return m
        held = Array(Signal(self.params.word_bits, name=f"word_{place}", reset_less=True) for place in places)
        m.d.comb += self.word.eq(held[first])
        with m.If(comes):
            m.d.sync += held[last].eq(self.data)
        return m
