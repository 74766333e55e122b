"""The sections of a configuration: layer, array, tile, link, DDR. Each checks its own fields when it is made."""

from dataclasses import dataclass

from trajectile.sw_model.config.checks import ConfigError, check_bool, check_int, check_member, check_name

#: AXI4 lets a burst have 256 beats and forbids it to cross a 4 KiB line.
AXI_MAX_BURST_BEATS = 256
AXI_BOUNDARY_BYTES = 4096
#: Largest magnitude of an int8 operand. Codes of mx8 and activations are symmetric, -128 never occurs.
INT8_MAX = 127
#: Inputs that share a scale.
BLOCK_INPUTS = 32
#: Largest shift of a scale, and largest mantissa factor (8 + m) where there is one; largest shift of a block of activations
#: (docs/numerics.md).
SCALE_SHIFT_MAX, SCALE_FACTOR_MAX, INPUT_SHIFT_MAX = 7, 15, 3
#: Weight formats: bits of a code and its largest magnitude.
WEIGHTS = {"mx8": (8, INT8_MAX), "mxfp4": (4, 12), "int4": (4, 8)}
#: Activation functions of the gate: f(-z) = f(z) - z holds for all of them.
ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "quick_gelu")
#: Protection of the buffers' SRAM: none, one parity bit per chunk, or single errors corrected and double ones detected.
PROTECTIONS = ("none", "parity", "secded")
#: Dataflows that an array can be asked for, batch by batch: weights travel, or also tokens travel (docs/dataflows.md).
DATAFLOWS = ("spread", "both")
#: Clocks of an array: one for all tiles, or each tile its own (docs/clocks.md).
CLOCKS = ("common", "independent")
#: Read ports that a tile can have at its DDR controller.
DDR_PORTS = (1, 2, 4)
#: How the MAC array multiplies: as ``*`` in the Verilog, or with sums and multiples of activations that its outputs share.
MULTIPLIERS = ("plain", "shared")


def ceil_div(a: int, b: int) -> int:
    """Smallest integer not below ``a / b``."""
    return -(-a // b)


def divisors(n: int) -> list[int]:
    """All divisors of ``n``, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """Shape of the Mixture-of-Experts layer."""

    #: width of a token: inputs of gate and up, outputs of down
    d_model: int
    #: hidden width of one expert
    d_ff: int
    #: experts of the layer
    experts: int
    #: experts that the gate chooses for a token
    top_k: int
    #: activation function of the gate value
    activation: str = "silu"
    #: gate and up have a bias, a word for each of their groups
    bias: bool = False

    def __post_init__(self) -> None:
        check_int("layer.d_model", self.d_model, 1, 16384)
        check_int("layer.d_ff", self.d_ff, 1, 65536)
        check_int("layer.experts", self.experts, 1, 1024)
        check_int("layer.top_k", self.top_k, 1, self.experts)
        check_name("layer.activation", self.activation, ACTIVATIONS)
        check_bool("layer.bias", self.bias)


@dataclass(frozen=True, kw_only=True)
class ArrayConfig:
    """Grid of tiles, numbered row by row, and the tiles that own a DDR channel."""

    #: rows of tiles
    rows: int
    #: tiles in a row
    cols: int
    #: tiles that own a DDR channel
    ddr_tiles: tuple[int, ...]
    #: dataflows that a batch may have: `spread` (weights travel), or `both` (also tokens travel; docs/dataflows.md)
    dataflows: str = "spread"
    #: `common`: one clock for all tiles; `independent`: each tile is a die with a clock of its own (docs/clocks.md)
    clocks: str = "common"

    def __post_init__(self) -> None:
        check_name("array.dataflows", self.dataflows, DATAFLOWS)
        check_name("array.clocks", self.clocks, CLOCKS)
        check_int("array.rows", self.rows, 1, 4)
        check_int("array.cols", self.cols, 1, 4)
        if self.tiles < 2:
            raise ConfigError("array.cols", self.cols, "2 to 4 when array.rows = 1 (an array has at least two tiles)")
        if not isinstance(self.ddr_tiles, tuple) or not self.ddr_tiles:
            raise ConfigError("array.ddr_tiles", self.ddr_tiles, f"a list of tile numbers from 0 to {self.tiles - 1}")
        for tile in self.ddr_tiles:
            check_int("array.ddr_tiles", tile, 0, self.tiles - 1)
        if list(self.ddr_tiles) != sorted(set(self.ddr_tiles)):
            raise ConfigError("array.ddr_tiles", list(self.ddr_tiles), "tile numbers in ascending order, none twice")

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.rows * self.cols

    @property
    def channels(self) -> int:
        """Number of DDR channels."""
        return len(self.ddr_tiles)

    @property
    def independent(self) -> bool:
        """Whether each tile has a clock of its own."""
        return self.clocks == "independent"

    @property
    def shares(self) -> bool:
        """Whether a batch may be shared: every tile holds all its tokens."""
        return self.dataflows == "both"


@dataclass(frozen=True, kw_only=True)
class TileConfig:
    """MAC array (``mac_k`` inputs x ``mac_n`` outputs x ``mac_t`` token lanes), expert buffer, token buffer.

    ``weights`` and ``scale_mantissa`` are the format of the weights (docs/numerics.md).

    ``protect`` is how the SRAM of both buffers is protected. ``multiplier`` and ``mac_part`` trade area against speed in the
    MAC array (docs/area.md); no cycle and no result depends on them. With ``register_operands`` sums come a cycle later, and
    so with ``register_products``; with ``register_slots`` words of a slot, with ``register_starts`` a slice's first word, and
    with ``register_flits`` a slice at the ring-next tile.
    """

    #: products that one dot product adds up per cycle: a power of two
    mac_k: int
    #: outputs of a weight word; gate and up outputs go in pairs
    mac_n: int
    #: token lanes that share a weight word
    mac_t: int
    #: micro-slices of an expert
    slices: int
    #: slots of the expert buffer, of one micro-slice each
    slots: int
    #: tokens of a batch that a tile holds
    tokens: int
    #: format of the weights (docs/numerics.md)
    weights: str = "mx8"
    #: bits of the mantissa of a block's scale: 0 (a power of two) or 3
    scale_mantissa: int = 0
    #: protection of expert and token buffer against flipped bits (docs/memory.md)
    protect: str = "none"
    #: how the MAC array multiplies: `*` in the Verilog, or shared sums and multiples of activations (docs/area.md)
    multiplier: str = "plain"
    #: products that are added up before a register; a smaller value is faster and larger (docs/area.md)
    mac_part: int = 8
    #: codes and activations have a second register before they are multiplied: a cycle more (docs/fpga.md)
    register_operands: bool = False
    #: each product has a register before it is added up: a cycle more, for FPGAs, whose multipliers are slow (docs/fpga.md)
    register_products: bool = False
    #: slots have registers before their SRAM, and words that are sent on wait in a queue (docs/fpga.md)
    register_slots: bool = False
    #: which slice is computed has a register before its tokens are looked up (docs/fpga.md)
    register_starts: bool = False
    #: flits of slices have registers on their way to the link (docs/fpga.md)
    register_flits: bool = False
    #: batches in flight: with 2, one forms and one leaves while another streams (docs/batch.md)
    batches: int = 1

    def __post_init__(self) -> None:
        check_member("tile.mac_k", self.mac_k, [2, 4, 8, 16, 32, 64])
        check_member("tile.mac_n", self.mac_n, range(2, 65, 2))  # gate and up outputs go in pairs
        check_int("tile.mac_t", self.mac_t, 1, 64)
        check_int("tile.slices", self.slices, 1, 256)
        check_int("tile.slots", self.slots, 2, 64)
        check_int("tile.tokens", self.tokens, 1, 4096)
        check_name("tile.weights", self.weights, WEIGHTS)
        check_member("tile.scale_mantissa", self.scale_mantissa, [0, 3])
        check_name("tile.protect", self.protect, PROTECTIONS)
        check_name("tile.multiplier", self.multiplier, MULTIPLIERS)
        check_int("tile.mac_part", self.mac_part, 1, 64)
        check_bool("tile.register_operands", self.register_operands)
        check_bool("tile.register_products", self.register_products)
        check_bool("tile.register_slots", self.register_slots)
        check_bool("tile.register_starts", self.register_starts)
        check_bool("tile.register_flits", self.register_flits)
        check_member("tile.batches", self.batches, [1, 2])

    @property
    def macs(self) -> int:
        """Multiply-accumulates per cycle."""
        return self.mac_k * self.mac_n * self.mac_t

    @property
    def code_bits(self) -> int:
        """Bits of a weight's code."""
        return WEIGHTS[self.weights][0]

    @property
    def code_max(self) -> int:
        """Largest magnitude of a weight's code."""
        return WEIGHTS[self.weights][1]

    @property
    def word_inputs(self) -> int:
        """Inputs that share a scale in a weight word."""
        return min(self.mac_k, BLOCK_INPUTS)

    @property
    def word_scales(self) -> int:
        """Scale bytes of one output in a weight word."""
        return self.mac_k // self.word_inputs

    @property
    def word_bytes(self) -> int:
        """Bytes of one weight word, which the MAC array takes per cycle: codes and scales."""
        return self.mac_n * (self.mac_k * self.code_bits // 8 + self.word_scales)

    @property
    def lane_tokens(self) -> int:
        """Tokens that one MAC lane's bank of the token buffer holds."""
        return ceil_div(self.tokens, self.mac_t)


@dataclass(frozen=True, kw_only=True)
class LinkConfig:
    """One direction of a die-to-die link: bytes per flit (one flit per cycle) and cycles of flight of the PHY.

    With ``crc_bits`` there is a link layer at both ends (docs/link.md): CRC, sequence numbers, replay. After ``retries``
    replays without an acknowledgement in between, the link is down.
    """

    #: bytes of a flit; a link carries one flit per cycle
    beat_bytes: int
    #: flight through the PHY
    latency_cycles: int
    #: CRC of the link layer; 0: no link layer (docs/link.md)
    crc_bits: int = 0
    #: replays without an acknowledgement in between, after which the link is down
    retries: int = 64

    def __post_init__(self) -> None:
        check_int("link.beat_bytes", self.beat_bytes, 1, 4096)
        check_int("link.latency_cycles", self.latency_cycles, 1, 64)
        check_member("link.crc_bits", self.crc_bits, [0, 16, 32])
        check_int("link.retries", self.retries, 1, 65535)


@dataclass(frozen=True, kw_only=True)
class DdrConfig:
    """One DDR channel: bytes per cycle (also the width of its AXI4 bus) and cycles from request to first beat.

    ``ports`` says by how many ports a tile reads it. The fields after it are for the timeline and the baselines alone, and
    make them follow a controller with refresh and rows (docs/ddr.md); 0, as they are by default, is a channel that pauses
    for nothing.
    """

    #: bytes per cycle, and width of the AXI4 bus in bytes
    bytes_per_cycle: int
    #: from a request to its first beat, in the model; loaders ask far enough ahead to hide it
    latency_cycles: int
    #: read ports of the controller, to which the tile deals its bursts in turn; with 1 there is no splitter (docs/ddr.md)
    ports: int = 1
    #: of the timeline: cycles from one refresh to the next; 0: the channel never refreshes
    refresh_interval_cycles: int = 0
    #: of the timeline: cycles without a beat in each refresh
    refresh_cycles: int = 0
    #: of the timeline: beats of a row, in all chips of the channel; 0: no rows
    row_beats: int = 0
    #: of the timeline: cycles without a beat at each change of rows
    row_cycles: int = 0

    def __post_init__(self) -> None:
        check_member("ddr.ports", self.ports, DDR_PORTS)
        check_int("ddr.refresh_interval_cycles", self.refresh_interval_cycles, 0, 1_000_000)
        check_int("ddr.refresh_cycles", self.refresh_cycles, 0, 500_000)
        if 2 * self.refresh_cycles > self.refresh_interval_cycles:
            raise ConfigError("ddr.refresh_cycles", self.refresh_cycles, f"0 to {self.refresh_interval_cycles // 2} (half of "
                              "ddr.refresh_interval_cycles)")
        check_int("ddr.row_beats", self.row_beats, 0, 65536)
        check_int("ddr.row_cycles", self.row_cycles, 0, 1024)
        if self.row_cycles and not self.row_beats:
            raise ConfigError("ddr.row_cycles", self.row_cycles, "0 with ddr.row_beats = 0 (a channel without rows)")
        check_member("ddr.bytes_per_cycle", self.bytes_per_cycle, [1, 2, 4, 8, 16, 32, 64, 128])
        check_int("ddr.latency_cycles", self.latency_cycles, 1, 4096)

    @property
    def burst_beats(self) -> int:
        """Beats of a full-length burst: 256, or what fits between two 4 KiB lines."""
        return min(AXI_MAX_BURST_BEATS, AXI_BOUNDARY_BYTES // self.bytes_per_cycle)

    @property
    def pauses(self) -> bool:
        """Whether the timeline's channel refreshes or changes rows: it follows a controller, not the model of the benches."""
        return bool(self.refresh_cycles or self.row_cycles)


@dataclass(frozen=True, kw_only=True)
class IoConfig:
    """The port by which a tile reads token records and writes results: an AXI4 manager."""

    #: bytes per cycle, and width of the AXI4 bus in bytes
    bytes_per_cycle: int = 32
    #: from a request to its first beat, or from the last beat of a write to its response, in the model
    latency_cycles: int = 80

    def __post_init__(self) -> None:
        check_member("io.bytes_per_cycle", self.bytes_per_cycle, [4, 8, 16, 32, 64, 128])
        check_int("io.latency_cycles", self.latency_cycles, 1, 4096)

    @property
    def burst_beats(self) -> int:
        """Beats of a full-length burst: 256, or what fits between two 4 KiB lines."""
        return min(AXI_MAX_BURST_BEATS, AXI_BOUNDARY_BYTES // self.bytes_per_cycle)


#: the tables of a configuration; one whose fields all have a default may be left out
SECTIONS = {"layer": LayerConfig, "array": ArrayConfig, "tile": TileConfig, "link": LinkConfig, "ddr": DdrConfig,
            "io": IoConfig}
