"""The register map for people (Markdown) and for drivers (a C header), from its one description in
``trajectile.hw.host.regmap``.
"""

from trajectile.hw.d2d.layouts import Port
from trajectile.hw.host.codes import REFUSALS, Refusal
from trajectile.hw.host.layouts import Table
from trajectile.hw.host.regmap import RegisterMap
from trajectile.hw.host.table_memory import EntryField
from trajectile.hw.params import Params
from trajectile.scripts.report.markdown import table_rows

#: prefix of every macro in the C header
PREFIX = "TRAJ_"

INTRODUCTION = """\
Every tile has this map of 32-bit registers behind its AXI4-Lite port; offsets are in bytes. The low two bits of an address
are ignored. An access that is refused is answered with SLVERR and changes nothing but REFUSED, which says which it was
and why (codes below), and IRQ_STATUS. Writes marked *idle* and every access to TABLE_DATA need an idle tile: no batch runs
(STATUS.RUNNING), no failure waits for its reset (STATUS.FAILED), no reset is under way (STATUS.RESETTING).

A batch: write settings and tables of every tile, write 1 to CONTROL.START of any tile, wait for STATUS.DONE (or the
interrupt) of every tile, read RESULTS. Counters and CYCLES begin with 0 at the start and count while the tile runs;
those of links and COUNT_CORRECTED count on.

A failure in one tile ends the batch in all of them: STATUS.FAILED, ERROR, and the interrupt cause ERROR. Write 1 to
CONTROL.RESET of any tile and wait until STATUS.RESETTING of every tile is 0: STATUS, ERROR and the interrupt causes DONE and
ERROR are cleared, settings and tables are kept, and the next batch can be started. docs/errors.md has each error.
"""

TABLE_INTRODUCTION = """\
To write entries: TABLE_SELECT, TABLE_INDEX, then TABLE_DATA once per word, lowest word first. With the last word of an entry
the entry is written and TABLE_INDEX counts up. To read RESULTS: the same, reading TABLE_DATA. Bits above an entry's
width are ignored. Element number i of an entry has its bits i * stride higher. An entry with a field that is not legal is
refused with its last word: write TABLE_INDEX again to begin it anew.
"""


def bit_range(low: int, width: int) -> str:
    """Bits of a field, as written in tables."""
    return f"{low + width - 1}:{low}" if width > 1 else str(low)


def _range(field: EntryField) -> str:
    """Legal values of a table entry's field."""
    return f"{field.minimum} to {field.largest}" + (f" if {field.only_if} is 1" if field.only_if else "")


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
    lines += ["## Tables", "", TABLE_INTRODUCTION]
    lines += table_rows(("number", "table", "entries", "bits", "words", "lanes", "access", "meaning"), (
        (t.table.value, t.table.name, t.depth, t.width, t.words, t.lanes, "read" if t.read_only else "write", t.meaning)
        for t in regmap.tables.values()))
    for table in regmap.tables.values():
        several = f": {table.elements} elements, stride {table.stride_bits} bits" if table.elements > 1 else ""
        lines += [f"### Entry of {table.table.name}{several}", ""]
        lines += table_rows(("field", "lowest bit", "width", "legal"), (
            (f.name, f.low, f.width, _range(f)) for f in table.fields))
        lines += [line for limit in table.sums for line in (
            f"{' + '.join(limit.fields)}: at most {limit.maximum} if {limit.only_if} is 1.", "")]
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
    for table in Table:
        define(f"TABLE_{table.name}", table.value)
    for memory in regmap.tables.values():
        name = memory.table.name
        for what in ("depth", "width", "words", "lanes", "elements", "stride_bits"):
            define(f"TABLE_{name}_{what.upper()}", getattr(memory, what))
        for part in memory.fields:
            define(f"ENTRY_{name}_{part.name.upper()}_LOW", part.low)
            define(f"ENTRY_{name}_{part.name.upper()}_WIDTH", part.width)
    return values


def c_header(params: Params) -> str:
    """Every constant as a macro.

    Of a field: SHIFT is its lowest bit and MASK its bits in place. Of a table entry's field: LOW and WIDTH.
    """
    lines = [
        f"/* Trajectile, configuration '{params.config.name}'{', timing only' if params.timing_only else ''}: registers "
        "and table entries of a tile.",
        " * Generated from hw/host/regmap.py; do not edit. registers.md says what each means.",
        " * Registers: byte OFFSET; of each field SHIFT (lowest bit), MASK (in place), RESET (its own value).",
        " * Tables: number, DEPTH (entries), WIDTH (bits), WORDS (of 32 bits), LANES, ELEMENTS and their STRIDE_BITS;",
        " * of each field of an entry's element 0: LOW (lowest bit), WIDTH. */",
        "#ifndef TRAJECTILE_H", "#define TRAJECTILE_H", "",
    ]
    lines += [f"#define {PREFIX + name:<40} 0x{value:X}u" for name, value in constants(params).items()]
    return "\n".join([*lines, "", "#endif", ""])
