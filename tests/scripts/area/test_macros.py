"""SRAM macros of Liberty files: words, bits and ports from what the file says, then from the name."""

import pytest

from trajectile.scripts.area import liberty
from trajectile.scripts.area.macros import macro_of

TYPES = "type (data) { bit_width : 32; } type (address) { bit_width : 8; }"
BUSES = """bus (dout) { bus_type : data; direction : output; memory_read () { address : addr; } }
    bus (din) { bus_type : data; direction : input; memory_write () { address : addr; } }
    bus (addr) { bus_type : address; direction : input; }"""
MEMORY = "memory () { type : ram; address_width : 8; word_width : 32; }"


def macro(name, body, types="", area="9000"):
    """Words, bits and ports, and what is said."""
    library = liberty.read("x", f"library (x) {{ {types} cell ({name}) {{ area : {area}; {body} }} }}")[1][0]
    found, note = macro_of(library, next(library.of("cell")), float(area))
    return found and (found.depth, found.width, found.two_port), note


@pytest.mark.parametrize(("name", "body", "types", "size"), [
    ("fakeram_256x32", MEMORY, "", (256, 32, False)),
    # the width first, as OpenRAM has it, and the width of a write lane behind
    ("vendor_sram_1kbyte_1rw1r_32x256_8", MEMORY, "", (256, 32, True)),
    ("anything", MEMORY, "", (256, 32, False)),
    ("anything", BUSES, TYPES, None),
    ("sram_32x256", BUSES, TYPES, (256, 32, False)),
    ("sram_32x256", BUSES.replace("bus_type", "type (data) { bit_width : 32; } type (address) { bit_width : 8; } bus_type"),
     "", (256, 32, False)),
    # no power of two
    ("ram_200x32", MEMORY, "", (200, 32, False)),
    ("ram_32x200", MEMORY, "", (200, 32, False)),
    ("ram_100x32", MEMORY, "", (256, 32, False)),
    # the name fills in what the file leaves open
    ("ram_32x256", "memory () { type : ram; address_width : 8; }", "", (256, 32, False)),
    ("ram_32x256", "memory () { type : ram; word_width : 32; }", "", (256, 32, False)),
    ("ram_64x64", "", "", (64, 64, False)),
    ("RM_1P_64x64_c2_bm", "", "", (64, 64, False)),
    # ports
    ("ram_256x32", MEMORY + BUSES.replace("memory_read () { address : addr", "memory_read () { address : other"), "",
     (256, 32, True)),
    ("ram_256x32", MEMORY + BUSES.replace("memory_write () { address : addr;",
                                          "memory_write () { address : addr; } memory_write () { address : bist;"), "",
     (256, 32, False)),
    ("ram_2P_256x32", MEMORY, "", (256, 32, True)),
    ("INVX1", "", "", None),
])
def test_size(name, body, types, size):
    """Nothing to be said about it."""
    assert macro(name, body, types) == (size, "")


@pytest.mark.parametrize(("name", "body", "size", "note"), [
    ("ram_8x4", "", (8, 4, False), "8 words of 4 bits by its name alone"),
    ("rom_8x4", "memory () { type : rom; address_width : 3; word_width : 4; }", None, "memory of type rom"),
    ("anything", "memory () { type : ram; address_width : 3; }", None, "words and bits are not known"),
    ("ram_8x4", "memory () { type : ram; address_width : 40; word_width : 4; }", None, "address of 40 bits"),
    ("ram_0x0", "", None, "0 words of 0 bits"),
])
def test_size_that_is_not_certain(name, body, size, note):
    """Guessed, or left out, but never in silence."""
    found, said = macro(name, body)
    assert found == size and note in said and name in said


def test_no_area():
    """It is not free."""
    assert macro("ram_8x8", "", area="0") == (None, "ram_8x8 left out: no area")
