"""The sections of a configuration: layer, array, tile, link, DDR. Each checks its own fields when it is made."""

from dataclasses import dataclass

from trajectile.sw_model.config.checks import ConfigError, check_int, check_member

#: AXI4 lets a burst have 256 beats and forbids it to cross a 4 KiB line.
AXI_MAX_BURST_BEATS = 256
AXI_BOUNDARY_BYTES = 4096
#: Largest magnitude of an int8 operand. Weights and activations are symmetric, -128 never occurs.
INT8_MAX = 127
INT32_MAX = 2**31 - 1
#: Protection of the buffers' SRAM: none, one parity bit per chunk, or single errors corrected and double ones detected.
PROTECTIONS = ("none", "parity", "secded")
#: How the MAC array multiplies: as ``*`` in the Verilog, or with activations recoded in radix 4.
MULTIPLIERS = ("plain", "booth")


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

    def __post_init__(self) -> None:
        check_int("layer.d_model", self.d_model, 1, 16384)
        check_int("layer.d_ff", self.d_ff, 1, 65536)
        check_int("layer.experts", self.experts, 1, 1024)
        check_int("layer.top_k", self.top_k, 1, self.experts)
        # No intermediate sum may leave int32, whatever the data (docs/numerics.md).
        if self.top_k * self.d_ff * INT8_MAX**2 > INT32_MAX:
            raise ConfigError(
                "layer.d_ff", self.d_ff, f"at most {INT32_MAX // (self.top_k * INT8_MAX**2)} with top_k = {self.top_k}, "
                "so that int32 accumulators cannot overflow")


@dataclass(frozen=True, kw_only=True)
class ArrayConfig:
    """Grid of tiles, numbered row by row, and the tiles that own a DDR channel."""

    #: rows of tiles
    rows: int
    #: tiles in a row
    cols: int
    #: tiles that own a DDR channel
    ddr_tiles: tuple[int, ...]

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, kw_only=True)
class TileConfig:
    """MAC array (``mac_k`` inputs x ``mac_n`` outputs x ``mac_t`` token lanes), expert buffer, token buffer.

    ``protect`` is how the SRAM of both buffers is protected. ``multiplier`` and ``mac_part`` trade area against speed in the
    MAC array (docs/area.md); no cycle and no result depends on them.
    """

    #: products that one dot product adds up per cycle
    mac_k: int
    #: outputs of a weight word; gate and up outputs go in pairs
    mac_n: int
    #: token lanes that share a weight word
    mac_t: int
    #: micro-slices of an expert
    slices: int
    #: slots of the expert buffer, of one micro-slice each
    slots: int
    #: tokens that a tile holds
    tokens: int
    #: protection of expert and token buffer against flipped bits (docs/memory.md)
    protect: str = "none"
    #: how the MAC array multiplies: `*` in the Verilog, or recoded activations (docs/area.md)
    multiplier: str = "plain"
    #: products that are added up before a register; a smaller value is faster and larger (docs/area.md)
    mac_part: int = 8

    def __post_init__(self) -> None:
        check_int("tile.mac_k", self.mac_k, 1, 64)
        check_member("tile.mac_n", self.mac_n, range(2, 65, 2))  # gate and up outputs go in pairs
        check_int("tile.mac_t", self.mac_t, 1, 64)
        check_int("tile.slices", self.slices, 1, 256)
        check_int("tile.slots", self.slots, 2, 64)
        check_int("tile.tokens", self.tokens, 1, 4096)
        if self.protect not in PROTECTIONS:
            raise ConfigError("tile.protect", self.protect, f"one of {', '.join(PROTECTIONS)}")
        if self.multiplier not in MULTIPLIERS:
            raise ConfigError("tile.multiplier", self.multiplier, f"one of {', '.join(MULTIPLIERS)}")
        check_int("tile.mac_part", self.mac_part, 1, 64)

    @property
    def macs(self) -> int:
        """Multiply-accumulates per cycle."""
        return self.mac_k * self.mac_n * self.mac_t

    @property
    def word_bytes(self) -> int:
        """Bytes of one weight word, which the MAC array takes per cycle."""
        return self.mac_k * self.mac_n

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
    """One DDR channel: bytes per cycle (also the width of its AXI4 bus) and cycles from request to first beat."""

    #: bytes per cycle, and width of the AXI4 bus in bytes
    bytes_per_cycle: int
    #: from a request to its first beat, in the model; loaders ask far enough ahead to hide it
    latency_cycles: int

    def __post_init__(self) -> None:
        check_member("ddr.bytes_per_cycle", self.bytes_per_cycle, [1, 2, 4, 8, 16, 32, 64, 128])
        check_int("ddr.latency_cycles", self.latency_cycles, 1, 4096)

    @property
    def burst_beats(self) -> int:
        """Beats of a full-length burst: 256, or what fits between two 4 KiB lines."""
        return min(AXI_MAX_BURST_BEATS, AXI_BOUNDARY_BYTES // self.bytes_per_cycle)


#: the tables of a configuration
SECTIONS = {"layer": LayerConfig, "array": ArrayConfig, "tile": TileConfig, "link": LinkConfig, "ddr": DdrConfig}
