"""Biases of gate and up outputs: from the last word of a group to the lanes' SwiGLU units."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib.wiring import In, Out

from trajectile.hw.formats import VALUE_BITS
from trajectile.hw.lib.block import Block
from trajectile.hw.widths import Widths


class GroupBias(Block):
    """Holds a group's bias word until its sums are there, and passes it on a pair per cycle, in step with every lane.

    Latency: with ``load`` in cycle c, pair j is shown in c + 1 + j (``latency_cycles`` = 1), as in
    :class:`~trajectile.hw.compute.swiglu.SwigluLane`. A word is held for ``hold_cycles``, the least distance between two bias
    words: 4, or 5 if products are registered (the configuration refuses ``layer.bias`` with groups of fewer words). Its
    ``load`` comes 1 to ``hold_cycles`` after ``capture``. Throughput: a group every ``hold_cycles``, or every ``mac_n / 2``
    cycles if that is more. Storage: two words of biases.
    """

    latency_cycles = 1

    capture: Signal
    word: Signal
    load: Signal
    gate_bias: Signal
    up_bias: Signal

    def __init__(self, params: Widths):
        self.params = params
        tile = params.config.tile
        self.hold_cycles = 4 + tile.register_operands + tile.register_products
        super().__init__({
            "capture": In(1),  #: ``word`` is a bias word
            "word": In(params.word_bits),  #: ``mac_n`` int16 of step 2^-8: gate, up, gate, up, ...
            "load": In(1),  #: the group's sums go into the lanes: its first pair comes next
            "gate_bias": Out(signed(VALUE_BITS)), "up_bias": Out(signed(VALUE_BITS)),  #: int16 of the pair in front
        })

    def elaborate(self, platform: object) -> Module:
        """A register that holds, a register that shifts."""
        m = Module()
        held = Signal(VALUE_BITS * self.params.config.tile.mac_n, reset_less=True)
        waiting = Signal.like(held, reset_less=True)
        with m.If(self.capture):
            m.d.sync += held.eq(self.word[:len(held)])
        m.d.sync += waiting.eq(waiting >> 2 * VALUE_BITS)
        with m.If(self.load):
            m.d.sync += waiting.eq(held)
        m.d.comb += [self.gate_bias.eq(waiting[:VALUE_BITS]), self.up_bias.eq(waiting[VALUE_BITS:2 * VALUE_BITS])]
        return m
