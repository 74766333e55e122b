"""SwiGLU for one token lane: from the sums of gate and up to hidden values (docs/numerics.md, "One slice on one token")."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from trajectile.hw.compute.rounding import AMOUNT_BITS, FINE_BITS, coarse_shift, fine_shift, limited_amount, rounded
from trajectile.hw.formats import (
    ACTIVATED_FRACTION,
    CHOICE_WEIGHT,
    EXPONENT_BITS,
    HIDDEN,
    HIDDEN_BITS,
    HIDDEN_EXPONENT_BITS,
    PARAMETERS,
    TABLE_DEPTH,
    TABLE_ENTRY_BITS,
    TABLE_FRACTION,
    VALUE_BITS,
    VALUE_FRACTION,
    VALUE_MAX,
    WEIGHT_FRACTION_BITS,
    activation_table,
)
from trajectile.hw.lib.block import Block
from trajectile.hw.lib.chain import chain
from trajectile.hw.widths import Widths

#: leading bits of a product that meet the choice's weight
LEADING_BITS = WEIGHT_FRACTION_BITS + 1


class Stages:
    """Registers between the stages of a pipeline, and wires within them. A stage's values show in the next one."""

    def __init__(self, m: Module):
        self._m = m

    def __call__(self, first: int, last: int, name: str, value: Any) -> Any:
        """Register a value, or a view of one, at the end of each stage from ``first`` to ``last``."""
        return chain(self._m, name, value, range(first + 1, last + 2))[-1]

    def wire(self, name: str, value: Value) -> Signal:
        """A name for a value that is used several times."""
        wire = Signal(value.shape(), name=name)
        self._m.d.comb += wire.eq(value)
        return wire


def raised(stages: Stages, value: Value, powers: Sequence[int]) -> tuple[Value, Value]:
    """An unsigned value shifted up by each power of two of places that are zeros at its top; which ones, lowest first."""
    skips: list[Value] = []
    for power in powers:
        places = 2**power
        skip = stages.wire(f"skip_{places}", value[-places:] == 0)
        value = stages.wire(f"raised_by_{places}", Mux(skip, Cat(Const(0, places), value[:-places]), value))
        skips.insert(0, skip)
    return value, Cat(skips)


class SwigluLane(Block):
    """Takes all sums of a gate-up group at once, and turns its gate-up pairs into hidden values, one pair per cycle.

    The shifts are computed in the cycle of ``load``, from ``parameters`` and the token's ``exponent``. The other parameters
    and ``weight`` must stay until the group's last pair has left. Only ``valid`` has an enable: the values between two groups
    are never used.

    Latency: with ``load`` in cycle c, pair j leaves at c + 11 + j (``latency_cycles`` = 11). Throughput: one pair per cycle.
    The next ``load`` may come ``mac_n / 2`` cycles later. Storage: the sums of one group, ten pipeline stages, the table
    of the activation function (ROM, 512 x 10 bits).
    """

    latency_cycles = 11

    load: Signal
    totals: Signal
    half: Signal
    gate_bias: Signal
    up_bias: Signal
    parameters: data.View
    exponent: data.View
    weight: data.View
    valid: Signal
    value: data.View
    clipped: Signal

    def __init__(self, params: Widths):
        self.params = params
        bias = signed(VALUE_BITS)
        super().__init__({
            "load": In(1),  #: take ``totals``
            "totals": In(params.totals_bits),  #: ``sum_bits`` signed each: gate, up, gate, up, ...
            "half": In(1),  #: half of their pass
            **({"gate_bias": In(bias), "up_bias": In(bias)} if params.config.layer.bias else {}),  #: of the pair in front
            "parameters": In(PARAMETERS),  #: of the slice
            "exponent": In(data.ArrayLayout(signed(EXPONENT_BITS), 2)),  #: of the token's activations, by half
            "weight": In(data.ArrayLayout(CHOICE_WEIGHT, 2)),  #: of the token's choice, by half
            "valid": Out(1),  #: a hidden value leaves
            "value": Out(HIDDEN),  #: the hidden value
            "clipped": Out(1),  #: with it: gate or up did not fit its format
        })

    def elaborate(self, platform: object) -> Module:
        """The stages of docs/numerics.md; a suffix ``_1`` means: shows in stage 1, one cycle after ``load``."""
        m = Module()
        stages = Stages(m)
        pairs, width = self.params.config.tile.mac_n // 2, self.params.sum_bits
        valid = [Signal(name=f"valid_{number}") for number in range(1, self.latency_cycles + 1)]
        m.d.sync += [after.eq(before) for before, after in pairwise(valid)]

        # 1: the pairs wait in a shift register.
        waiting = Signal(self.params.totals_bits, reset_less=True)
        count = Signal(range(pairs + 1))
        half_1 = Signal(reset_less=True)
        m.d.sync += waiting.eq(waiting >> 2 * width)
        with m.If(count != 0):
            m.d.sync += count.eq(count - 1)
        with m.If(self.load):
            m.d.sync += [waiting.eq(self.totals), count.eq(pairs), half_1.eq(self.half)]
        m.d.comb += valid[0].eq(count != 0)

        gate_4, gate_lost_4 = self._in_steps(m, stages, "gate", waiting[:width].as_signed())
        up_4, up_lost_4 = self._in_steps(m, stages, "up", waiting[width:2 * width].as_signed())
        gate, up, clipped = self._limited(stages, gate_4, up_4)
        product_8, negative_7 = self._multiplied(m, stages, gate, up)
        weight_9 = Mux(stages(1, 8, "half", half_1), self.weight[1], self.weight[0])
        self._hidden(m, stages, product_8, stages(7, 10, "negative", negative_7), data.View(CHOICE_WEIGHT, weight_9))
        m.d.comb += [
            self.valid.eq(valid[-1]), self.clipped.eq(stages(4, 10, "clipped", gate_lost_4 | up_lost_4 | clipped)),
        ]
        return m

    def _in_steps(self, m: Module, stages: Stages, name: str, total_1: Value) -> tuple[Signal, Signal]:
        """A sum in steps of 2^-8, with its bias, and whether its steps are larger than those while it is not 0."""
        # 0: the shift, once for all pairs.
        exponent = Mux(self.half, self.exponent[1], self.exponent[0])
        amount, below = limited_amount(stages.wire(f"{name}_places", -(self.parameters[f"{name}_unit"] + exponent)))
        amount_1 = Signal(AMOUNT_BITS, name=f"{name}_amount_1", reset_less=True)
        below_1 = Signal(name=f"{name}_below_1", reset_less=True)
        with m.If(self.load):
            m.d.sync += [amount_1.eq(amount), below_1.eq(below)]
        # 1-2: shifted. A bias of int16 brings nothing back within int16 that is beyond int17.
        biased = self.params.config.layer.bias
        bits = VALUE_BITS + biased
        coarse_2 = stages(1, 1, f"{name}_coarse", coarse_shift(m, name, total_1, amount_1, bits))
        amount_2 = stages(1, 1, f"{name}_fine_amount", amount_1[:FINE_BITS])
        value_3 = rounded(stages(2, 2, f"{name}_fine", fine_shift(m, name, coarse_2, amount_2, bits)))
        # 3: rounded, and biased.
        if biased:
            value_3 += stages(1, 2, f"{name}_bias", getattr(self, f"{name}_bias"))
        return stages(3, 3, name, value_3), stages(1, 3, f"{name}_lost", below_1 & (total_1 != 0))

    def _limited(self, stages: Stages, gate_4: Value, up_4: Value) -> tuple[Value, Value, Value]:
        """4: gate and up within their limits; whether the format's end was the limit that one of them passed."""
        gate_max, up_max = self.parameters.gate_max, self.parameters.up_max
        gate_below, gate_above, up_below, up_above = (stages.wire(name, value) for name, value in (
            ("gate_below", gate_4 < -VALUE_MAX), ("gate_above", gate_4 > gate_max),
            ("up_below", up_4 + up_max < 0), ("up_above", up_4 > up_max)))
        gate = Mux(gate_below, -VALUE_MAX, Mux(gate_above, gate_max, gate_4))
        up = Mux(up_below, -up_max, Mux(up_above, up_max, up_4))
        clipped = gate_below | (gate_above & (gate_max == VALUE_MAX)) | ((up_below | up_above) & (up_max == VALUE_MAX))
        return stages.wire("gate_4_limited", gate[:VALUE_BITS].as_signed()), up[:VALUE_BITS].as_signed(), clipped

    def _multiplied(self, m: Module, stages: Stages, gate_4: Value, up_4: Value) -> tuple[Value, Value]:
        """The magnitude of ``v``, in stage 8, and its sign, in stage 7."""
        # 4: where in the table |g| is, rounded half up.
        negative_4, step = gate_4[-1], VALUE_FRACTION - TABLE_FRACTION
        magnitude = Cat(gate_4[:-1] ^ negative_4.replicate(VALUE_BITS - 1), Const(0, 1))
        index_4 = stages.wire("index_4", (magnitude + 2**(step - 1) + negative_4) >> step)
        # 5: what |g| loses, nothing beyond the table; up with its offset.
        table: memory.Memory = memory.Memory(shape=TABLE_ENTRY_BITS, depth=TABLE_DEPTH,
                                             init=activation_table(self.params.config.layer.activation))
        m.submodules.activation_table = table
        port = table.read_port()
        m.d.comb += [port.addr.eq(stages(4, 4, "index", index_4[:len(port.addr)])), port.en.eq(1)]
        gate_6 = stages(4, 5, "gate", gate_4)
        up_6 = stages(5, 5, "up", stages(4, 4, "up", up_4) + self.parameters.up_offset)
        # 6: magnitudes. The table never says more than g is worth, so that the activation has the sign of g.
        loss = Mux(stages(4, 5, "beyond", index_4 >= TABLE_DEPTH), 0, port.data)
        kept = Cat(Const(0, ACTIVATED_FRACTION - VALUE_FRACTION), gate_6[:-1])
        activated_7 = stages(6, 6, "activated", Mux(gate_6[-1], loss, (kept - loss)[:len(kept)]))
        up_7 = stages(6, 6, "up", abs(up_6)[:VALUE_BITS])
        # 7: times up.
        return stages(7, 7, "product", activated_7 * up_7), stages(6, 6, "negative", gate_6[-1] ^ up_6[-1])

    def _hidden(self, m: Module, stages: Stages, product_8: Value, negative_11: Value, weight_9: data.View) -> None:
        """The product as a small float, times the choice's weight."""
        # 8-9: the leading bits, and places skipped above them, as a number from 2^5 down. Stage 9 skips up to seven.
        coarse, skipped_8 = raised(stages, product_8, (5, 4, 3))
        fine, skipped_9 = raised(stages, stages(8, 8, "raised", coarse[-(LEADING_BITS + 7):]), (2, 1, 0))
        skipped_9 = Cat(skipped_9, stages(8, 8, "skipped", skipped_8))
        # 10: times the weight, whose highest bit is not stored.
        leading_10, skipped_10, weight_10 = (stages(9, 9, name, value) for name, value in (
            ("leading", fine[-LEADING_BITS:]), ("skipped", skipped_9), ("weight", weight_9)))
        present_11 = stages(10, 10, "present", leading_10[-1] & (weight_10.exponent != 0))
        length = len(product_8) - skipped_10
        exponent_11 = stages(10, 10, "exponent", (length + weight_10.exponent)[:HIDDEN_EXPONENT_BITS])
        scaled_11 = stages(10, 10, "scaled", leading_10 * Cat(weight_10.fraction, Const(1, 1)))
        # 11: eight bits of it.
        carry = scaled_11[-1]
        with m.If(present_11):
            m.d.comb += [
                self.value.magnitude.eq(Mux(carry, scaled_11[-HIDDEN_BITS:], scaled_11[-HIDDEN_BITS - 1:-1])),
                self.value.exponent.eq(exponent_11 + carry), self.value.negative.eq(negative_11),
            ]
