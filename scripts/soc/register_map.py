"""The register map for people (Markdown) and for drivers (a C header), from its one description in
``trajectile.hw.host.regmap``.
"""

from amaranth.hdl import Shape
from amaranth.lib import data

from trajectile.hw.batch.layouts import COMPLETION_LAYOUT, NO_EXPERT, Order
from trajectile.hw.d2d.layouts import Port
from trajectile.hw.host.axi import HOST_DATA_BITS
from trajectile.hw.host.codes import ERRORS, RECORD_ERROR_LOW, RECORD_ERRORS, REFUSALS, Refusal
from trajectile.hw.host.regmap import COUNTERS, RegisterMap
from trajectile.hw.params import Params
from trajectile.scripts.report.markdown import table_rows

#: prefix of every macro in the C header
PREFIX = "TRAJ_"

INTRODUCTION = """\
Every tile has this map of 32-bit registers behind its AXI4-Lite port; offsets are in bytes. The low two bits of an address
are ignored. An access that is refused is answered with SLVERR and changes nothing but REFUSED, which says which it was
and why (codes below), and IRQ_STATUS. Writes marked *idle* need an idle tile: no descriptor waits and no batch runs
(STATUS.BUSY), no failure waits for its reset (STATUS.FAILED), no reset is under way (STATUS.RESETTING).

Once: write the settings of every tile. A batch: put the token records of each tile into memory that its io port reaches,
write BATCH_LAYER to BATCH_HIGH and DOORBELL of every tile, wait for the completion record of every tile in memory (or for
its interrupt). A tile without tokens takes part with 0 tokens. BATCH_LAYER to BATCH_HIGH stay as they are until they are
written again. Counters and NOW go on from batch to batch, modulo 2^32; only rst sets them to 0.

A failure in one tile ends the batches of all: STATUS.FAILED, ERROR, and the interrupt cause ERROR; each batch that runs and
each descriptor that waits gets a completion record that says FAILED. Write 1 to CONTROL.RESET of any tile and wait until
STATUS.RESETTING of every tile is 0: STATUS, ERROR and the interrupt cause ERROR are cleared, settings are kept, and the next
batch can be queued. docs/errors.md has each error.
"""

RECORD_INTRODUCTION = """\
What a tile writes at BATCH_RESULTS when it is done with a batch and all its results are in memory: 16 words of 32 bits,
little endian. The last word (`again`) is the first once more: the record is there when both have VALID and the batch's tag.
All bits that are not named are 0. `errors` has the bits of ERROR, and of records:
"""


def bit_range(low: int, width: int) -> str:
    """Bits of a field, as written in tables."""
    return f"{low + width - 1}:{low}" if width > 1 else str(low)


def completion_fields() -> list[tuple[str, int, int, int]]:
    """Name, word, lowest bit within it and width of each field of a completion record."""
    fields = []
    for key, field in COMPLETION_LAYOUT:
        name = str(key)
        if isinstance(field.shape, data.ArrayLayout):
            bits = Shape.cast(field.shape.elem_shape).width
            parts = [(counter.lower(), field.offset + bits * n, bits) for n, (counter, _) in enumerate(COUNTERS)]
        else:
            parts = [] if name.startswith("zero") else [(name, field.offset, field.width)]
        fields += [(part, *divmod(low, HOST_DATA_BITS), width) for part, low, width in parts]
    return fields


def markdown(params: Params) -> str:
    """Registers, fields and table entries as a Markdown page."""
    regmap = RegisterMap(params)
    lines = ["# Register map", "",
             f"Configuration `{params.config.name}`{', timing only' if params.timing_only else ''}. "
             "Generated from `hw/host/regmap.py`; do not edit.", "", INTRODUCTION, "## Registers", ""]
    lines += table_rows(("offset", "register", "access", "reset", "meaning"), (
        (f"0x{r.offset:03X}", r.name, r.access.value + (", idle" if r.idle_only else ""), f"0x{r.reset:08X}", r.meaning)
        for r in regmap.registers))
    lines += ["## Fields", "", "Of every register that is not one plain number of 32 bits.", ""]
    lines += table_rows(("register", "field", "bits", "reset", "legal", "meaning"), (
        (r.name, f.name, bit_range(f.low, f.width), f.reset, f"{f.minimum} to {f.largest}" if r.writable else "", f.meaning)
        for r in regmap.registers for f in r.fields if f.width < 32))
    lines += ["## Codes in REFUSED", "", "Where several reasons hold, the lowest.", ""]
    lines += table_rows(("code", "name", "meaning"), ((c.value, c.name, meaning) for c, meaning in REFUSALS.items()))
    lines += ["## Completion record", "", RECORD_INTRODUCTION]
    lines += table_rows(("bit", "error", "meaning"), (
        (RECORD_ERROR_LOW + n, name, meaning) for n, (name, meaning) in enumerate(RECORD_ERRORS)))
    lines += table_rows(("word", "bits", "field"), (
        (word, bit_range(low, width), name) for name, word, low, width in completion_fields()))
    return "\n".join(lines)


def constants(params: Params) -> dict[str, int]:
    """Name (without prefix) and value of every constant in the C header."""
    regmap = RegisterMap(params)
    values: dict[str, int] = {}

    def define(name: str, value: int) -> None:
        if name in values:
            raise AssertionError(f"two constants are both named {name}")
        values[name] = value

    for register in regmap.registers:
        define(f"{register.name}_OFFSET", register.offset)
        for field in register.fields:
            define(f"{register.name}_{field.name}_SHIFT", field.low)
            define(f"{register.name}_{field.name}_MASK", field.mask)
            define(f"{register.name}_{field.name}_RESET", field.reset)
    for code in Refusal:
        define(f"REFUSAL_{code.name}", code.value)
    for port in Port:
        define(f"PORT_{port.name}", port.value)
    for order in Order:
        define(f"ORDER_{order.name}", order.value)
    define("NO_EXPERT", NO_EXPERT)
    for name, word, low, width in completion_fields():
        define(f"COMPLETION_{name.upper()}_WORD", word)
        define(f"COMPLETION_{name.upper()}_SHIFT", low)
        define(f"COMPLETION_{name.upper()}_MASK", ((1 << width) - 1) << low)
    for number, (name, _) in enumerate(ERRORS):
        define(f"COMPLETION_{name}_MASK", 1 << number)
    for number, (name, _) in enumerate(RECORD_ERRORS):
        define(f"COMPLETION_RECORD_{name}_MASK", 1 << RECORD_ERROR_LOW + number)
    return values


def c_header(params: Params) -> str:
    """Every constant as a macro.

    Of a field: SHIFT is its lowest bit and MASK its bits in place. Of a field of the completion record also WORD.
    """
    lines = [
        f"/* Trajectile, configuration '{params.config.name}'{', timing only' if params.timing_only else ''}: registers "
        "of a tile, completion record.",
        " * Generated from hw/host/regmap.py; do not edit. registers.md says what each means.",
        " * Registers: byte OFFSET; of each field SHIFT (lowest bit), MASK (in place), RESET (its own value).",
        " * Completion record: of each field WORD (of 32 bits), SHIFT, MASK; of each error its MASK in the word ERRORS. */",
        "#ifndef TRAJECTILE_H", "#define TRAJECTILE_H", "",
    ]
    lines += [f"#define {PREFIX + name:<40} 0x{value:X}u" for name, value in constants(params).items()]
    return "\n".join([*lines, "", "#endif", ""])
