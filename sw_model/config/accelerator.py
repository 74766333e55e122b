"""One configuration: a layer, an array of tiles, the tile itself, its links and its DDR channels
(:mod:`trajectile.sw_model.config.sections`).

Every field is checked when the object is made. What cannot be built is refused with a :class:`ConfigError` that names
the field, the value and the legal values. Derived sizes are properties, so that there is one place that knows them.
"""

import dataclasses
from dataclasses import dataclass, field
from functools import cached_property
from math import gcd
from typing import Any

from trajectile.sw_model.config.checks import ConfigError, check_member
from trajectile.sw_model.config.sections import (
    BLOCK_INPUTS,
    INPUT_SHIFT_MAX,
    INT8_MAX,
    SCALE_FACTOR_MAX,
    SCALE_SHIFT_MAX,
    ArrayConfig,
    DdrConfig,
    IoConfig,
    LayerConfig,
    LinkConfig,
    TileConfig,
    ceil_div,
    divisors,
)
from trajectile.sw_model.latencies import (
    CREDIT_CYCLES,
    CROSSING_CYCLES,
    DRIFT_CYCLES,
    LINK_LAYER_CYCLES,
    LOAD_AHEAD_CYCLES,
)

#: Address space of a DDR channel: a whole model.
DDR_ADDRESS_BITS = 40
#: Bytes of a slice's parameters (docs/numerics.md).
PARAMETER_BYTES = 10
#: Experts of one word of the count exchange (docs/batch.md).
COUNTS_PER_WORD = 4
#: Bytes of an item of a token record's head: the exponent, or a choice; bytes that end a token's results: clips and unit.
HEAD_ITEM_BYTES, RESULT_END_BYTES = 4, 3
#: Bytes of a completion record.
COMPLETION_BYTES = 64
#: Bytes of a result, as int32 and as bf16.
INT32_BYTES, BF16_BYTES = 4, 2


@dataclass(frozen=True, kw_only=True)
class Config:
    """A whole accelerator. Read one with :func:`load`.

    Raises:
        ConfigError: for every combination of fields that cannot be built.
    """

    name: str
    layer: LayerConfig
    array: ArrayConfig
    tile: TileConfig
    link: LinkConfig
    ddr: DdrConfig
    io: IoConfig = field(default_factory=IoConfig)

    def __post_init__(self) -> None:
        tile, layer = self.tile, self.layer
        if layer.d_ff % tile.slices:
            check_member("tile.slices", tile.slices, [d for d in divisors(layer.d_ff) if d <= 256])
        if tile.mac_n > self.gate_up_chunks * 2:
            raise ConfigError(
                "tile.mac_n", tile.mac_n, f"1 to {2 * self.gate_up_chunks} (twice d_model / mac_k: the serial SwiGLU "
                "unit of a lane must keep up with the MAC array)")
        least = 3 + tile.register_operands + tile.register_products
        if layer.bias and self.gate_up_chunks < least:
            raise ConfigError("layer.bias", layer.bias, f"false with d_model / mac_k = {self.gate_up_chunks} words (a group's"
                              f" bias must reach SwiGLU before the next one comes, which takes {least} words)")
        if tile.word_bytes % self.ddr.bytes_per_cycle:
            raise ConfigError(
                "ddr.bytes_per_cycle", self.ddr.bytes_per_cycle,
                f"a divisor of the weight word's {tile.word_bytes} bytes (mac_k * mac_n codes and their scales)")
        if self.link.beat_bytes > tile.word_bytes:
            raise ConfigError(
                "link.beat_bytes", self.link.beat_bytes,
                f"1 to {tile.word_bytes} (a slot delivers one weight word of so many bytes per cycle)")
        if self.array.shares and self.io.bytes_per_cycle > self.link.beat_bytes:
            raise ConfigError(
                "array.dataflows", self.array.dataflows,
                f"spread with io.bytes_per_cycle = {self.io.bytes_per_cycle} and link.beat_bytes = {self.link.beat_bytes} (a "
                "beat of token records travels in one flit)")
        if self.array.independent and not self.link.crc_bits:
            raise ConfigError(
                "array.clocks", self.array.clocks,
                f"common with link.crc_bits = {self.link.crc_bits} (the link layer sends again what a crossing between two "
                "clocks drops: link.crc_bits = 16 or 32)")
        span = ceil_div(layer.experts * tile.slices, self.array.channels) * self.slice_pitch_bytes
        if span > 2**DDR_ADDRESS_BITS:
            raise ConfigError("layer.experts", layer.experts,
                              f"what fits {2**DDR_ADDRESS_BITS} bytes of a DDR channel (this layer takes {span})")

    # -- a micro-slice, in weight words ---------------------------------------------------------------------------

    @cached_property
    def slice_ff(self) -> int:
        """Columns of d_ff in one micro-slice."""
        return self.layer.d_ff // self.tile.slices

    @cached_property
    def gate_up_chunks(self) -> int:
        """Weight words along d_model for one group of gate and up outputs."""
        return ceil_div(self.layer.d_model, self.tile.mac_k)

    @cached_property
    def gate_up_groups(self) -> int:
        """Groups of ``mac_n`` outputs in a slice's gate and up matrices; a group is ``mac_n / 2`` gate-up pairs."""
        return ceil_div(2 * self.slice_ff, self.tile.mac_n)

    @cached_property
    def down_chunks(self) -> int:
        """Weight words along the slice's d_ff for one group of down outputs."""
        return ceil_div(self.slice_ff, self.tile.mac_k)

    @cached_property
    def down_groups(self) -> int:
        """Groups of ``mac_n`` down outputs."""
        return ceil_div(self.layer.d_model, self.tile.mac_n)

    @cached_property
    def gate_up_group_words(self) -> int:
        """Words of one group of gate and up outputs: its weights, and its biases if there are any."""
        return self.gate_up_chunks + self.layer.bias

    @cached_property
    def gate_up_words(self) -> int:
        """Words of a slice's gate and up matrices."""
        return self.gate_up_group_words * self.gate_up_groups

    @cached_property
    def down_words(self) -> int:
        """Weight words of a slice's down matrix."""
        return self.down_chunks * self.down_groups

    @cached_property
    def pass_words(self) -> int:
        """Words that the MAC array takes for one pass, zero padding included."""
        return self.gate_up_words + self.down_words

    @cached_property
    def parameter_words(self) -> int:
        """Words of a slice's parameters, which come first."""
        return ceil_div(PARAMETER_BYTES, self.tile.word_bytes)

    @cached_property
    def slice_words(self) -> int:
        """Words of a slice: parameters and what a pass takes."""
        return self.parameter_words + self.pass_words

    @cached_property
    def slice_bytes(self) -> int:
        """Bytes of a slice as stored in DDR, zero padding included."""
        return self.slice_beats * self.ddr.bytes_per_cycle

    @cached_property
    def slice_weight_bytes(self) -> int:
        """Bytes of a slice's codes and scales, without padding: what the roofline counts."""
        d_model, columns = self.layer.d_model, self.slice_ff
        scales = 2 * columns * ceil_div(d_model, BLOCK_INPUTS) + d_model * ceil_div(columns, BLOCK_INPUTS)
        return ceil_div(3 * d_model * columns * self.tile.code_bits, 8) + scales

    # -- arithmetic (docs/numerics.md) ----------------------------------------------------------------------------

    @cached_property
    def sum_bits(self) -> int:
        """Bits of an accumulator, sign included: no sum of this layer overflows it."""
        tile, layer = self.tile, self.layer
        weight = tile.code_max * (SCALE_FACTOR_MAX if tile.scale_mantissa else 1) << SCALE_SHIFT_MAX
        return (max(layer.d_model << INPUT_SHIFT_MAX, self.slice_ff) * INT8_MAX * weight).bit_length() + 1

    @cached_property
    def term_bits(self) -> int:
        """Bits of the magnitude of what a slice may add to a result: so many of them cannot overflow int32."""
        return 31 - (self.layer.top_k * self.tile.slices - 1).bit_length()

    # -- DDR ------------------------------------------------------------------------------------------------------

    @cached_property
    def word_beats(self) -> int:
        """DDR beats of a weight word."""
        return self.tile.word_bytes // self.ddr.bytes_per_cycle

    @cached_property
    def parameter_beats(self) -> int:
        """DDR beats of a slice's parameters. If they are one word, only its used beats are stored and sent."""
        if self.parameter_words > 1:
            return self.parameter_words * self.word_beats
        return ceil_div(PARAMETER_BYTES, self.ddr.bytes_per_cycle)

    @cached_property
    def slice_beats(self) -> int:
        """DDR beats of a slice."""
        return self.parameter_beats + self.pass_words * self.word_beats

    @cached_property
    def slice_bursts(self) -> int:
        """AXI4 bursts of a slice; all but the last are of full length."""
        return ceil_div(self.slice_beats, self.ddr.burst_beats)

    @cached_property
    def slice_pitch_bytes(self) -> int:
        """Distance of two slices in a DDR channel: whole bursts, so that none crosses a 4 KiB line."""
        return self.slice_bursts * self.ddr.burst_beats * self.ddr.bytes_per_cycle

    @cached_property
    def channel_slices(self) -> int:
        """Slices that a DDR channel stores at the most."""
        return ceil_div(self.layer.experts * self.tile.slices, self.array.channels)

    @cached_property
    def loads_in_flight(self) -> int:
        """Slices a loader may have asked for and not yet received: enough to hide the DDR latency."""
        return 1 + ceil_div(self.ddr.latency_cycles + LOAD_AHEAD_CYCLES, self.slice_beats)

    @cached_property
    def own_share(self) -> int:
        """Slots of a tile that its own loads have a right to: an equal part for each DDR channel."""
        return max(1, self.tile.slots // self.array.channels)

    # -- token records and results (docs/batch.md) ----------------------------------------------------------------

    def _whole_beats(self, size: int) -> int:
        """Bytes of so many, in whole beats of the io port."""
        return ceil_div(size, self.io.bytes_per_cycle) * self.io.bytes_per_cycle

    @cached_property
    def head_bytes(self) -> int:
        """Bytes of a token's head: exponent, and an item for each choice."""
        return self._whole_beats(HEAD_ITEM_BYTES * (1 + self.layer.top_k))

    @cached_property
    def shift_bytes(self) -> int:
        """Bytes of the shifts of a token's blocks of activations."""
        return self._whole_beats(ceil_div(2 * ceil_div(self.layer.d_model, BLOCK_INPUTS), 8))

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of a token's activations with their shifts."""
        return self.shift_bytes + self._whole_beats(self.gate_up_chunks * self.tile.mac_k)

    @cached_property
    def record_bytes(self) -> int:
        """Bytes of a token's record: head and row."""
        return self.head_bytes + self.row_bytes

    @cached_property
    def token_record_bytes(self) -> int:
        """Bytes of a token's record without padding: what the roofline counts."""
        d_model = self.layer.d_model
        return HEAD_ITEM_BYTES * (1 + self.layer.top_k) + ceil_div(2 * ceil_div(d_model, BLOCK_INPUTS), 8) + d_model

    def token_result_bytes(self, result_bytes: int) -> int:
        """Bytes of a token's results of so many bytes each, count of clips and unit, without padding."""
        return self.layer.d_model * result_bytes + RESULT_END_BYTES

    def records_bytes(self, tokens: int) -> int:
        """Bytes of the records of so many tokens, which a tile reads."""
        return tokens * self.record_bytes

    def group_bytes(self, result_bytes: int) -> int:
        """Bytes of a group of ``mac_n`` results of so many bytes each: dense, or padded to whole beats."""
        size = self.tile.mac_n * result_bytes
        return size if self.io.bytes_per_cycle % size == 0 else self._whole_beats(size)

    def result_bytes(self, result_bytes: int) -> int:
        """Bytes of a token's results of so many bytes each, with the beat that ends them (clips, unit)."""
        return self._whole_beats(self.down_groups * self.group_bytes(result_bytes)) + self.io.bytes_per_cycle

    def results_bytes(self, tokens: int, result_bytes: int) -> int:
        """Bytes that a tile writes for so many tokens: completion record, and results of so many bytes each."""
        return self.completion_bytes + tokens * self.result_bytes(result_bytes)

    @cached_property
    def completion_bytes(self) -> int:
        """Bytes of the completion record, in whole beats."""
        return self._whole_beats(COMPLETION_BYTES)

    @cached_property
    def count_bits(self) -> int:
        """Bits of the number of passes of an expert on a tile."""
        return self.tile.lane_tokens.bit_length()

    @cached_property
    def count_words(self) -> int:
        """Words of a tile's counts in the exchange, without the one that begins it."""
        return ceil_div(self.layer.experts, COUNTS_PER_WORD)

    # -- links ----------------------------------------------------------------------------------------------------

    @cached_property
    def word_flits(self) -> int:
        """Flits of a weight word; a flit carries a piece of it, and all but the last are equal."""
        return ceil_div(self.tile.word_bytes, self.link.beat_bytes)

    @cached_property
    def flit_bytes(self) -> int:
        """Payload bytes used in a flit (``link.beat_bytes`` or less): of the sizes that do, the one whose flits and DDR beats
        fit together best, so that the expert buffer is written in lanes as wide as can be.
        """
        sizes = range(ceil_div(self.tile.word_bytes, self.word_flits), self.link.beat_bytes + 1)
        return max(sizes, key=lambda size: gcd(size, self.ddr.bytes_per_cycle))  # the smallest of the best

    @cached_property
    def payload_bytes(self) -> int:
        """Bytes that a flit has room for: those of a slice's, and a beat of records where tokens travel."""
        return max(self.flit_bytes, self.io.bytes_per_cycle if self.array.shares else 0)

    @cached_property
    def sum_flits(self) -> int:
        """Flits of a group of ``mac_n`` sums."""
        return ceil_div(INT32_BYTES * self.tile.mac_n, self.payload_bytes)

    @cached_property
    def lane_bytes(self) -> int:
        """Bytes of a weight word that are written as one: every DDR beat and every flit is a whole number of them."""
        return gcd(self.flit_bytes, self.ddr.bytes_per_cycle)

    @cached_property
    def parameter_flits(self) -> int:
        """Flits of a slice's parameters, as ``parameter_beats``."""
        if self.parameter_words > 1:
            return self.parameter_words * self.word_flits
        return ceil_div(PARAMETER_BYTES, self.flit_bytes)

    @cached_property
    def slice_flits(self) -> int:
        """Payload flits of a slice; the header flit comes before them."""
        return self.parameter_flits + self.pass_words * self.word_flits

    @cached_property
    def link_credits(self) -> int:
        """Flits that may be under way to a port: those of one round trip, so that a link never waits for credits.

        It is also the depth of the FIFO for flits that pass over a tile.
        """
        return 2 * self.link_budget_cycles + CREDIT_CYCLES

    @cached_property
    def link_flight_cycles(self) -> int:
        """Cycles from a router's output to the next router's input, link layer and crossing included."""
        return (self.link.latency_cycles + (LINK_LAYER_CYCLES if self.link.crc_bits else 0)
                + (CROSSING_CYCLES if self.array.independent else 0))

    @cached_property
    def link_budget_cycles(self) -> int:
        """Cycles that a flight takes at the most: clocks that drift let frames wait in a crossing."""
        return self.link_flight_cycles + (DRIFT_CYCLES if self.array.independent else 0)

    @cached_property
    def link_window(self) -> int:
        """Frames that a replay buffer holds: a power of two, and no less than the frames of one round trip."""
        return int(2 ** (2 * self.link_budget_cycles - 1).bit_length())

    @cached_property
    def link_timeout_cycles(self) -> int:
        """Cycles without an acknowledgement after which frames are sent again: two round trips."""
        return 4 * self.link_budget_cycles

    @cached_property
    def link_down_cycles(self) -> int:
        """Cycles without an acknowledgement of what was sent after which a link is down, at the most."""
        return (self.link.retries + 1) * (self.link_timeout_cycles + 1)

    # -- where things are -----------------------------------------------------------------------------------------

    def home(self, expert: int, index: int) -> tuple[int, int]:
        """``(tile, row)`` of slice ``index`` of an expert: the tile of its DDR channel, and its row there."""
        number = expert * self.tile.slices + index
        return self.array.ddr_tiles[number % self.array.channels], number // self.array.channels

    @cached_property
    def token_capacity(self) -> int:
        """Tokens that the whole array holds."""
        return self.array.tiles * self.tile.tokens

    @cached_property
    def as_dict(self) -> dict[str, Any]:
        """The fields as nested dictionaries, as in the TOML file."""
        return dataclasses.asdict(self)
