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

    Latency: with ``load`` in cycle c, pair j leaves at c + 13 + j (``latency_cycles`` = 13). Throughput: one pair per cycle.
    The next ``load`` may come ``mac_n / 2`` cycles later. Storage: the sums of one group, twelve pipeline stages, the table
    of the activation function (ROM, 512 x 10 bits).
    """

    latency_cycles = 13

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
        product_9, negative_8 = self._multiplied(m, stages, gate, up)
        weight_11 = Mux(stages(1, 10, "half", half_1), self.weight[1], self.weight[0])
        self._hidden(m, stages, product_9, stages(8, 12, "negative", negative_8), data.View(CHOICE_WEIGHT, weight_11))
        m.d.comb += [
            self.valid.eq(valid[-1]), self.clipped.eq(stages(4, 12, "clipped", gate_lost_4 | up_lost_4 | clipped)),
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
        return (stages(4, 4, "gate_limited", gate[:VALUE_BITS].as_signed()),
                stages(4, 4, "up_limited", up[:VALUE_BITS].as_signed()), clipped)

    def _multiplied(self, m: Module, stages: Stages, gate_5: Value, up_5: Value) -> tuple[Value, Value]:
        """The magnitude of ``v``, in stage 9, and its sign, in stage 8."""
        # 5: where in the table |g| is, rounded half up; up with its offset.
        negative_5, step = gate_5[-1], VALUE_FRACTION - TABLE_FRACTION
        magnitude = Cat(gate_5[:-1] ^ negative_5.replicate(VALUE_BITS - 1), Const(0, 1))
        index_5 = stages.wire("index_5", (magnitude + 2**(step - 1) + negative_5) >> step)
        up_6 = stages(5, 5, "up", up_5 + self.parameters.up_offset)
        # 6: what |g| loses comes out of the table, nothing beyond it.
        table: memory.Memory = memory.Memory(shape=TABLE_ENTRY_BITS, depth=TABLE_DEPTH,
                                             init=activation_table(self.params.config.layer.activation))
        m.submodules.activation_table = table
        port = table.read_port()
        m.d.comb += [port.addr.eq(index_5[:len(port.addr)]), port.en.eq(1)]
        loss_7 = stages(6, 6, "loss", Mux(stages(5, 5, "beyond", index_5 >= TABLE_DEPTH), 0, port.data))
        gate_7, up_7 = stages(5, 6, "gate", gate_5), stages(6, 6, "up", up_6)
        # 7: magnitudes. The table never says more than g is worth, so that the activation has the sign of g.
        kept = Cat(Const(0, ACTIVATED_FRACTION - VALUE_FRACTION), gate_7[:-1])
        activated_8 = stages(7, 7, "activated", Mux(gate_7[-1], loss_7, (kept - loss_7)[:len(kept)]))
        up_8 = stages(7, 7, "up", abs(up_7)[:VALUE_BITS])
        # 8: times up.
        return stages(8, 8, "product", activated_8 * up_8), stages(7, 7, "negative", gate_7[-1] ^ up_7[-1])

    def _hidden(self, m: Module, stages: Stages, product_9: Value, negative_13: Value, weight_11: data.View) -> None:
        """The product as a small float, times the choice's weight."""
        # 9-11: the leading bits, and places skipped above them, as a number from 2^5 down. Stage 11 skips up to seven.
        raised_9, most = raised(stages, product_9, (5,))
        raised_10, more = raised(stages, stages(9, 9, "raised", raised_9), (4, 3))
        fine, few = raised(stages, stages(10, 10, "raised", raised_10[-(LEADING_BITS + 7):]), (2, 1, 0))
        skipped_11 = Cat(few, stages(10, 10, "skipped", Cat(more, stages(9, 9, "skipped", most))))
        # 12: times the weight, whose highest bit is not stored.
        leading_12, skipped_12, weight_12 = (stages(11, 11, name, value) for name, value in (
            ("leading", fine[-LEADING_BITS:]), ("skipped_all", skipped_11), ("weight", weight_11)))
        present_13 = stages(12, 12, "present", leading_12[-1] & (weight_12.exponent != 0))
        length = len(product_9) - skipped_12
        exponents_13 = [stages(12, 12, f"exponent_{carried}", (length + weight_12.exponent + carried)[:HIDDEN_EXPONENT_BITS])
                        for carried in range(2)]
        scaled_13 = stages(12, 12, "scaled", leading_12 * Cat(weight_12.fraction, Const(1, 1)))
        # 13: eight bits of it.
        carry = scaled_13[-1]
        with m.If(present_13):
            m.d.comb += [
                self.value.magnitude.eq(Mux(carry, scaled_13[-HIDDEN_BITS:], scaled_13[-HIDDEN_BITS - 1:-1])),
                self.value.exponent.eq(Mux(carry, *reversed(exponents_13))), self.value.negative.eq(negative_13),
            ]
