"""SwiGLU for one token lane: requantise, SiLU, multiply, requantise (docs/numerics.md)."""

from itertools import pairwise

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory
from amaranth.lib.wiring import In, Out

from trajectile.hw.formats import (
    GATE_BITS,
    GATE_LIMIT,
    HIDDEN_LIMIT,
    MULT_BITS,
    SHIFT_BITS,
    SILU_BITS,
    SILU_ENTRY_BITS,
    UP_LIMIT,
    silu_table,
)
from trajectile.hw.lib.block import Block
from trajectile.hw.widths import Widths


def clip(value: Value, limit: int) -> Value:
    """``value`` within +-``limit``."""
    return Mux(value > limit, limit, Mux(value < -limit, -limit, value))


class SwigluLane(Block):
    """Takes all sums of a gate-up group at once, and turns its gate-up pairs into hidden values, one pair per cycle.

    Multipliers and shifts of gate and up are registered here. They must be valid with ``load``, and stay until the group's
    last pair is requantised. Only ``valid`` has an enable: the values between two groups are never used.

    Latency: with ``load`` in cycle c, pair j leaves at c + 9 + j (``latency_cycles`` = 9). Throughput: one pair per cycle.
    The next ``load`` may come ``mac_n / 2`` cycles later. Storage: the sums of one group, eight pipeline stages, the SiLU
    table (ROM, 512 x 10 bits).
    """

    latency_cycles = 9

    load: Signal
    totals: Signal
    half: Signal
    gate_mult: Signal
    gate_shift: Signal
    up_mult: Signal
    up_shift: Signal
    token_mult: data.View
    token_shift: Signal
    valid: Signal
    value: Signal

    def __init__(self, params: Widths):
        self.params = params
        mult, shift = MULT_BITS, SHIFT_BITS
        super().__init__({
            "load": In(1),  #: take ``totals``
            "totals": In(params.result_bits),  #: int32: gate, up, gate, up, ...
            "half": In(1),  #: half of their pass
            "gate_mult": In(mult), "gate_shift": In(shift), "up_mult": In(mult), "up_shift": In(shift),
            "token_mult": In(data.ArrayLayout(mult, 2)),  #: gate weight and down scale of the token, by half
            "token_shift": In(shift),
            "valid": Out(1),  #: a hidden value leaves
            "value": Out(8),  #: int8
        })

    def elaborate(self, platform: object) -> Module:
        """Stages as in docs/numerics.md; the shift drops ``shift - 1`` bits and the next stage rounds by the last one."""
        m = Module()
        pairs = self.params.config.tile.mac_n // 2
        stages = self.latency_cycles
        valid = [Signal(name=f"valid_{stage}") for stage in range(1, stages + 1)]
        half = [Signal(name=f"half_{stage}", reset_less=True) for stage in range(1, 8)]

        # 1: the pairs wait in a shift register.
        waiting = Signal(self.params.result_bits, reset_less=True)
        count = Signal(range(pairs + 1))
        m.d.comb += valid[0].eq(count != 0)
        with m.If(self.load):
            m.d.sync += [waiting.eq(self.totals), count.eq(pairs), half[0].eq(self.half)]
        with m.Else():
            m.d.sync += waiting.eq(waiting >> 64)
            with m.If(count != 0):
                m.d.sync += count.eq(count - 1)
        # The scales of a slice come out of an SRAM and go to every lane; here they are near.
        scales = (self.gate_mult, self.gate_shift, self.up_mult, self.up_shift)
        near = [Signal.like(scale, name_suffix="_1", reset_less=True) for scale in scales]
        m.d.sync += [register.eq(scale) for register, scale in zip(near, scales, strict=True)]
        gate_mult, gate_shift, up_mult, up_shift = near
        for chain in (valid, half):
            m.d.sync += [after.eq(before) for before, after in pairwise(chain)]

        def stage(number: int, name: str, value: Value, shape: object = None) -> Signal:
            """Register ``value`` at the end of a stage; it shows in the next one."""
            register = Signal(value.shape() if shape is None else shape, name=f"{name}_{number + 1}", reset_less=True)
            m.d.sync += register.eq(value)
            return register

        def rounded(number: int, name: str, value: Value, mult: Value, shift: Value, limit: int) -> Value:
            """Requantise in the three stages from ``number`` on; the last is not registered here."""
            product = stage(number, f"{name}_product", value * mult)
            dropped = stage(number + 1, f"{name}_shifted", product >> (shift - 1)[:6])
            return clip((dropped + 1) >> 1, limit)

        # 1-3: requantise gate and up.
        gate = stage(3, "gate", rounded(1, "gate", waiting[:32].as_signed(), gate_mult, gate_shift, GATE_LIMIT),
                     signed(GATE_LIMIT.bit_length() + 1))
        up_4 = stage(3, "up", rounded(1, "up", waiting[32:64].as_signed(), up_mult, up_shift, UP_LIMIT),
                     signed(UP_LIMIT.bit_length() + 1))
        # 4: the table says what |g| loses in SiLU.
        table: memory.Memory = memory.Memory(shape=SILU_ENTRY_BITS, depth=GATE_LIMIT + 1, init=silu_table())
        m.submodules.silu_table = table
        port = table.read_port()
        magnitude = Signal(range(GATE_LIMIT + 1))
        m.d.comb += [magnitude.eq(abs(gate)), port.addr.eq(magnitude), port.en.eq(1)]
        kept = stage(4, "kept", Mux(gate >= 0, Cat(Const(0, SILU_BITS - GATE_BITS), magnitude), 0))
        up_5 = stage(4, "up", up_4)
        # 5: SiLU; 6: times up.
        silu = stage(5, "silu", kept - port.data, signed(15))
        up_6 = stage(5, "up", up_5)
        product = stage(6, "hidden", silu * up_6, signed(26))
        # 7-9: requantise with the token's multiplier; the hidden buffer is the last register.
        mult = Mux(half[6], self.token_mult[1], self.token_mult[0])
        hidden = rounded(7, "value", product, mult, self.token_shift, HIDDEN_LIMIT)
        m.d.comb += [self.valid.eq(valid[-1]), self.value.eq(hidden)]
        return m
