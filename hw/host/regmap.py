"""The one description of a tile's registers.

The host port decodes it, ``trajectile.scripts.soc.register_map`` prints it, drivers look names up in it. Nothing else
knows an offset.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Shape
from amaranth.lib import data, enum
from amaranth.utils import bits_for

from trajectile.hw.batch.layouts import PAGE_BITS, TAG_BITS, BatchLayouts, Order
from trajectile.hw.batch.ports import QUEUE_DEPTH
from trajectile.hw.d2d.layouts import EPOCH_BITS, NEIGHBOURS, Port
from trajectile.hw.host.axi import HOST_ADDRESS_BITS, HOST_DATA_BITS
from trajectile.hw.host.codes import ERRORS, Refusal
from trajectile.hw.host.doorbell import RESULT_FORMATS
from trajectile.sw_model.config import ACTIVATIONS, PROTECTIONS, WEIGHTS

#: what ID reads as: "TRAJ", first letter in the highest byte
ID_VALUE = int.from_bytes(b"TRAJ", "big")
#: version of this map: a new minor version only adds, a new major version changes
VERSION_MAJOR, VERSION_MINOR = 3, 0
#: destination tiles in one routing register, and bits of each
ROUTE_TILES, ROUTE_BITS = 8, 4


class Access(enum.Enum):
    """What a host may do with a register."""

    CONST = "constant"  #: read what this configuration is
    RO = "read only"  #: read what the tile shows
    RW = "read, write"  #: write, and read back
    W1C = "read, write 1 to clear"  #: read a sticky bit, write 1 to clear it
    W0C = "read, write 0 to clear"  #: read what was noted last, write 0 to clear it all
    WO = "write only"  #: writing 1 does something; reads as 0
    W1S = "read, write 1 to set"  #: read a bit, write 1 to set it until rst


@dataclass(frozen=True, kw_only=True)
class Field:
    """Some bits of a register. A write with a value outside ``minimum`` to ``maximum`` is refused."""

    name: str
    low: int
    width: int
    meaning: str
    reset: int = 0
    minimum: int = 0
    #: largest legal value, if not all ones
    maximum: int | None = None

    @property
    def mask(self) -> int:
        """Its bits within the register."""
        return ((1 << self.width) - 1) << self.low

    @property
    def largest(self) -> int:
        """Largest legal value."""
        return (1 << self.width) - 1 if self.maximum is None else self.maximum


@dataclass(frozen=True, kw_only=True)
class Register:
    """One 32-bit register. A write with a bit set outside its fields is refused."""

    name: str
    #: byte address within the tile
    offset: int
    access: Access
    meaning: str
    fields: tuple[Field, ...]
    #: writes need an idle tile: no descriptor waits, no batch runs, no failure waits for its reset
    idle_only: bool = False
    #: writes are refused after IO_LOCK
    lockable: bool = False

    @property
    def reset(self) -> int:
        """Value after reset."""
        return sum(field.reset << field.low for field in self.fields)

    @property
    def mask(self) -> int:
        """All bits of its fields."""
        return sum(field.mask for field in self.fields)

    @property
    def writable(self) -> bool:
        """Whether a write can be legal."""
        return self.access not in (Access.CONST, Access.RO)

    @cached_property
    def layout(self) -> data.Layout:
        """Where its fields are, for hardware."""
        return data.FlexibleLayout(HOST_DATA_BITS, {f.name: data.Field(f.width, f.low) for f in self.fields})

    def field(self, name: str) -> Field:
        """The field of that name."""
        return next(field for field in self.fields if field.name == name)


def _value(name: str, offset: int, access: Access, meaning: str, *, width: int = HOST_DATA_BITS, reset: int = 0,
           maximum: int | None = None, idle_only: bool = False, lockable: bool = False) -> Register:
    """A register that holds one number."""
    field = Field(name="VALUE", low=0, width=width, meaning=meaning, reset=reset, maximum=maximum)
    return Register(name=name, offset=offset, access=access, meaning=meaning, fields=(field,), idle_only=idle_only,
                    lockable=lockable)


def _bits(meanings: Iterable[tuple[str, str]]) -> tuple[Field, ...]:
    """One bit a name, from bit 0 on."""
    return tuple(Field(name=name, low=low, width=1, meaning=meaning) for low, (name, meaning) in enumerate(meanings))


#: counters: name, meaning. They count from rst on, modulo 2**32. Registers from 0x0C4 on; the host port has a strobe for
#: each (``CountStrobes``), completion records have them all.
COUNTERS = (
    ("COUNT_DDR_BEAT", "DDR data beats taken"),
    ("COUNT_WORD", "words of slices read for the MAC array: parameters, weights, biases"),
    ("COUNT_FLIT_OUT", "flits sent to neighbours"),
    ("COUNT_LOAD", "slices asked for from DDR (rule 1)"),
    ("COUNT_COMPUTE", "slices given to the MAC array (rule 2)"),
    ("COUNT_SEND", "slices sent to the ring-next tile (rules 3 and 4)"),
    ("COUNT_CUT", "of these, sent cut-through"),
    ("COUNT_GRANT", "slots granted to the ring-previous tile"),
    ("COUNT_CLIP", "cycles in which a gate-up pair or a group of results was clipped (docs/numerics.md)"),
)

#: counters of each link of a build with a link layer: name, meaning
LINK_COUNTERS = (
    ("FRAMES", "frames with content sent, each as often as it went"),
    ("REPLAYS", "replays of frames that were not acknowledged"),
    ("ERRORS", "frames that came with a wrong CRC"),
)


def link_counters(params: BatchLayouts) -> tuple[tuple[str, str], ...]:
    """Name and meaning of the counters of all links; none without a link layer."""
    if not params.config.link.crc_bits:
        return ()
    return tuple((f"LINK_{port.name}_{name}", f"port {port.name.lower()}: {meaning}")
                 for port in NEIGHBOURS for name, meaning in LINK_COUNTERS)


def memory_counters(params: BatchLayouts) -> tuple[tuple[str, str], ...]:
    """Name and meaning of the counters of protected memory; none without correction."""
    return (("COUNT_CORRECTED", "cycles in which a word with a corrected bit was used, also by a result that is written"),
            ) if params.protect == "secded" else ()


def optional_counters(params: BatchLayouts) -> tuple[tuple[str, str], ...]:
    """Name and meaning of the counters that this build has and others have not."""
    return (*memory_counters(params), *link_counters(params))


def _control(params: BatchLayouts) -> list[Register]:
    """Identity, reset, status, interrupt."""
    causes = (("COMPLETE", "a completion record has been written"), ("ERROR", "the tile has failed: ERROR says why"),
              ("REFUSED", "an access was refused: REFUSED says which and why"),
              ("RECORD", "something in a token record was wrong: the batch's completion record says what"))
    return [
        _value("ID", 0x000, Access.CONST, "\"TRAJ\", the first letter in the highest byte", reset=ID_VALUE),
        Register(name="VERSION", offset=0x004, access=Access.CONST, meaning="version of this register map", fields=(
            Field(name="MINOR", low=0, width=16, meaning="counts additions", reset=VERSION_MINOR),
            Field(name="MAJOR", low=16, width=16, meaning="counts changes", reset=VERSION_MAJOR))),
        _value("TILE_ID", 0x008, Access.RO, "number of this tile (strap)", width=params.tile_bits),
        Register(name="CONTROL", offset=0x00C, access=Access.WO, meaning="start a reset", fields=(
            Field(name="RESET", low=1, width=1, meaning="1: reset every tile of the array, but for settings and queues"),)),
        Register(name="STATUS", offset=0x010, access=Access.RO, meaning="state of the tile", fields=(
            Field(name="BUSY", low=0, width=1, meaning="a descriptor waits, or a batch runs"),
            Field(name="FAILED", low=3, width=1, meaning="a bit of ERROR is set: no batch can be queued until a reset"),
            Field(name="RESETTING", low=4, width=1, meaning="CONTROL.RESET is under way in this or another tile"))),
        Register(name="IRQ_ENABLE", offset=0x014, access=Access.RW, meaning="causes that raise the interrupt",
                 fields=_bits(causes)),
        Register(name="IRQ_STATUS", offset=0x018, access=Access.W1C, meaning="causes that have occurred",
                 fields=_bits(causes)),
        Register(name="ERROR", offset=0x01C, access=Access.RO, meaning="why the tile has failed; cleared by a reset",
                 fields=_bits(ERRORS)),
    ]


def _settings(params: BatchLayouts) -> list[Register]:
    """What stays as it is while there is a batch."""
    last_tile, pages = params.config.array.tiles - 1, params.address_bits - PAGE_BITS

    def window(name: str, offset: int, meaning: str) -> list[Register]:
        return [
            _value(f"{name}_BASE", offset, Access.RW, f"first page of 4 KiB that {meaning}", width=pages, idle_only=True,
                   lockable=True),
            _value(f"{name}_SIZE", offset + 4, Access.RW, f"how many pages {meaning}; they end with the last address",
                   width=pages + 1, reset=1 << pages, maximum=1 << pages, idle_only=True, lockable=True),
        ]

    registers = [
        _value("RING_NEXT", 0x020, Access.RW, "tile after this one in the ring", width=params.tile_bits,
               maximum=last_tile, idle_only=True),
        _value("RING_PREV", 0x024, Access.RW, "tile before this one in the ring", width=params.tile_bits,
               maximum=last_tile, idle_only=True),
        _value("WATCHDOG", 0x028, Access.RW, "most cycles of a batch: one that takes more fails; 0 is no limit",
               idle_only=True),
        Register(name="IO_LOCK", offset=0x02C, access=Access.W1S, meaning="protects the windows below", fields=(
            Field(name="LOCKED", low=0, width=1, meaning="1: no write changes IO_READ and IO_WRITE any more, until rst"),)),
        *window("IO_READ", 0x030, "the io port may read"),
        *window("IO_WRITE", 0x038, "the io port may write"),
    ]
    ports = ", ".join(f"{port.value} {port.name.lower()}" for port in Port)
    for number, first in enumerate(range(0, last_tile + 1, ROUTE_TILES)):
        tiles = range(first, min(first + ROUTE_TILES, last_tile + 1))
        registers.append(Register(
            name=f"ROUTE_{number}", offset=0x040 + 4 * number, access=Access.RW, idle_only=True,
            meaning=f"output port by destination tile: {ports}", fields=tuple(
                Field(name=f"TILE_{tile}", low=ROUTE_BITS * (tile - first), width=Shape.cast(Port).width,
                      meaning=f"port towards tile {tile}", reset=Port.LOCAL.value,
                      maximum=max(port.value for port in Port)) for tile in tiles)))
    return registers


def _batch(params: BatchLayouts) -> list[Register]:
    """What makes a descriptor, and the doorbell that queues it; what has become of those before."""
    beat, high = params.config.io.bytes_per_cycle, params.address_bits - HOST_DATA_BITS
    addresses = (
        ("LAYER", "row 0 of the layer in the DDR channel", 1 << PAGE_BITS), ("RECORDS", "the token records", beat),
        ("RESULTS", "the completion record, which results follow", beat))
    orders = ", ".join(f"{order.value} {order.name.lower()}" for order in Order)
    running = params.config.tile.batches
    return [
        *(_value(f"BATCH_{name}", 0x080 + 4 * number, Access.RW,
                 f"byte address of {what}, its low 32 bits; a multiple of {unit}")
          for number, (name, what, unit) in enumerate(addresses)),
        Register(name="BATCH_HIGH", offset=0x08C, access=Access.RW, meaning="the bits of these addresses above them",
                 fields=tuple(Field(name=name, low=high * number, width=high, meaning=f"of BATCH_{name}")
                              for number, (name, *_) in enumerate(addresses))),
        Register(name="DOORBELL", offset=0x090, access=Access.WO, meaning="queue a batch", fields=(
            Field(name="TOKENS", low=0, width=16, meaning="tokens of this tile", maximum=params.config.tile.tokens),
            Field(name="ORDER", low=16, width=Shape.cast(Order).width, meaning=f"in which experts are loaded: {orders}",
                  maximum=max(order.value for order in Order)),
            Field(name="BF16", low=18, width=1, meaning="results: 0 int32, 1 bf16"),
            *((Field(name="SHARED", low=19, width=1, meaning="dataflow, the same in all tiles: 0 spread, weights travel; 1 "
                     "shared, every tile holds the tokens of all tiles"),) if params.config.array.shares else ()),
            Field(name="TAG", low=24, width=TAG_BITS, meaning="number of the batch, the same in all tiles; comes back in its "
                  "completion record"))),
        Register(name="QUEUE", offset=0x094, access=Access.RO, meaning="batches that have no completion record yet", fields=(
            Field(name="WAITING", low=0, width=bits_for(QUEUE_DEPTH),
                  meaning=f"descriptors that wait; {QUEUE_DEPTH} at most"),
            Field(name="RUNNING", low=8, width=bits_for(running), meaning=f"batches that have begun; {running} at most"))),
        _value("COMPLETED", 0x098, Access.RO, "completion records written since rst"),
        Register(name="REFUSED", offset=0x09C, access=Access.W0C, meaning="the last access that was refused with SLVERR",
                 fields=(
            Field(name="CODE", low=0, width=Shape.cast(Refusal).width, maximum=0,
                  meaning="why: the table of codes below"),
            Field(name="WRITE", low=8, width=1, meaning="it was a write", maximum=0),
            Field(name="ADDRESS", low=16, width=HOST_ADDRESS_BITS, meaning="its address, the low two bits as 0", maximum=0))),
    ]


def _numbered(names: Iterable[str]) -> str:
    """What each number stands for."""
    return ", ".join(f"{number} {name}" for number, name in enumerate(names))


def _echo(params: BatchLayouts) -> list[Register]:
    """What this configuration is."""
    config = params.config
    layer, array, tile = config.layer, config.array, config.tile
    sizes = (
        ("D_MODEL", layer.d_model, "layer.d_model"), ("D_FF", layer.d_ff, "layer.d_ff"),
        ("EXPERTS", layer.experts, "layer.experts"), ("TOP_K", layer.top_k, "layer.top_k"),
        ("ROWS", array.rows, "array.rows"), ("COLS", array.cols, "array.cols"), ("TILES", array.tiles, "tiles"),
        ("CHANNELS", array.channels, "DDR channels of the array"),
        ("MAC_K", tile.mac_k, "tile.mac_k"), ("MAC_N", tile.mac_n, "tile.mac_n"), ("MAC_T", tile.mac_t, "tile.mac_t"),
        ("SLICES", tile.slices, "tile.slices"), ("SLOTS", tile.slots, "tile.slots"),
        ("TOKENS", tile.tokens, "tile.tokens"),
        ("LINK_BEAT_BYTES", config.link.beat_bytes, "link.beat_bytes"),
        ("DDR_BEAT_BYTES", config.ddr.bytes_per_cycle, "ddr.bytes_per_cycle"),
        ("SLICE_PITCH_BYTES", config.slice_pitch_bytes, "distance of two slices in a DDR channel, in bytes"),
        ("PROTECT", PROTECTIONS.index(params.protect), f"tile.protect: {_numbered(PROTECTIONS)}"),
        ("LINK_CRC_BITS", config.link.crc_bits, "link.crc_bits; 0: no link layer"),
        ("TIMING_ONLY", int(params.timing_only), "1: built without payload and arithmetic"),
        ("WEIGHTS", list(WEIGHTS).index(tile.weights), f"tile.weights: {_numbered(WEIGHTS)}"),
        ("SCALE_MANTISSA", tile.scale_mantissa, "tile.scale_mantissa"),
        ("ACTIVATION", ACTIVATIONS.index(layer.activation), f"layer.activation: {_numbered(ACTIVATIONS)}"),
        ("BIAS", int(layer.bias), "1: layer.bias"),
        ("BATCHES", tile.batches, "tile.batches"),
        ("IO_BEAT_BYTES", config.io.bytes_per_cycle, "io.bytes_per_cycle"),
        ("HEAD_BYTES", config.head_bytes, "head of a token record"),
        ("SHIFT_BYTES", config.shift_bytes, "shifts at the begin of a token record's row"),
        ("ROW_BYTES", config.row_bytes, "row of a token record: shifts and activations"),
        ("COMPLETION_BYTES", config.completion_bytes, "completion record, before the results"),
        *((f"{what}_BYTES_{name}", count(size), f"{meaning}, {name.lower()}")
          for what, count, meaning in (("GROUP", config.group_bytes, "mac_n results of a token"),
                                       ("RESULT", config.result_bytes, "results of a token, clips and unit"))
          for name, size in zip(("INT32", "BF16"), RESULT_FORMATS, strict=True)),
        ("SHARES", int(array.shares), "1: array.dataflows is both, and a batch may be shared"),
    )
    return [_value(name, 0x100 + 4 * number, Access.CONST, meaning, reset=value)
            for number, (name, value, meaning) in enumerate(sizes)]


def _memory(params: BatchLayouts) -> list[Register]:
    """Counters of protected memory, if it is."""
    return [_value(name, 0x200 + 4 * number, Access.RO, meaning)
            for number, (name, meaning) in enumerate(memory_counters(params))]


def _links(params: BatchLayouts) -> list[Register]:
    """State and counters of the link layers, if there are any."""
    if not params.config.link.crc_bits:
        return []
    return [
        Register(name="LINK_DOWN", offset=0x204, access=Access.RO, meaning="links that are down until a reset", fields=tuple(
            Field(name=port.name, low=port.value, width=1, meaning=f"the link at port {port.name.lower()}")
            for port in NEIGHBOURS)),
        *(_dies() if params.config.array.independent else ()),
        *(_value(name, 0x210 + 4 * number, Access.RO, meaning)
          for number, (name, meaning) in enumerate(link_counters(params))),
    ]


def _dies() -> list[Register]:
    """What a host sees of tiles with clocks of their own."""
    return [
        Register(name="LINK_OPEN", offset=0x208, access=Access.RO,
                 meaning="links whose far end is awake and in the same epoch", fields=tuple(
            Field(name=port.name, low=port.value, width=1, meaning=f"the link at port {port.name.lower()}")
            for port in NEIGHBOURS)),
        Register(name="EPOCH", offset=0x20C, access=Access.RO,
                 meaning="the last reset of the array that this tile knows of", fields=(
            Field(name="NUMBER", low=0, width=EPOCH_BITS, meaning=f"its number; it counts modulo {2**EPOCH_BITS}"),
            Field(name="KNOWN", low=8, width=1, meaning="0: after rst, no neighbour has been heard yet"),
            Field(name="READY", low=9, width=1, meaning="all tiles that links reach are in this epoch, and out of reset"))),
    ]


class RegisterMap:
    """Registers of one build, ascending by offset."""

    def __init__(self, params: BatchLayouts):
        self.params = params
        counters = [_value(name, 0x0C4 + 4 * number, Access.RO, meaning)
                    for number, (name, meaning) in enumerate(COUNTERS)]
        now = _value("NOW", 0x0C0, Access.RO, "cycles since rst")
        self.registers = (*_control(params), *_settings(params), *_batch(params), now, *counters,
                          *_echo(params), *_memory(params), *_links(params))
        #: names of all counters
        self.counters = tuple(name for name, _ in (*COUNTERS, *optional_counters(params)))

    def __getitem__(self, name: str) -> Register:
        """The register of that name."""
        return next(register for register in self.registers if register.name == name)
