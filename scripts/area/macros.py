"""SRAM macros among the cells of Liberty files: how many words of how many bits, and how many ports."""

import re

from trajectile.scripts.area.liberty import Group
from trajectile.scripts.area.sram_compiler import Macro

#: names of SRAM with a size in them
_NAMED = re.compile(r"(?:RAM|RM_).*?\d+x\d+", re.I)
#: names that say that there is a port to read and one to write
_TWO_PORTS = re.compile(r"2P|1R1W|1RW1R|2RW", re.I)
#: addresses of a macro have at most so many bits
_MAX_ADDRESS_BITS = 24


def _number(text: str) -> int:
    """A positive number, or 0."""
    return int(text) if re.fullmatch(r"\d{1,9}", text) else 0


def _bus_bits(library: Group, bus: Group) -> int:
    """Width of a bus, or 0."""
    for group in (*bus.of("type"), *library.of("type")):
        if group.name == bus.value("bus_type"):
            return _number(group.value("bit_width"))
    return 0


def _ports(cell: Group) -> tuple[set[str], set[str]]:
    """Buses that are the address of a port that reads, and of one that writes."""
    buses = [*cell.of("bus"), *cell.of("bundle"), *cell.of("pin")]
    reads, writes = ({access.value("address") for bus in buses for access in bus.of(kind)} - {""}
                     for kind in ("memory_read", "memory_write"))
    return reads, writes


def _size(library: Group, cell: Group) -> tuple[int, int]:
    """Bits of an address and of a word: from the memory group, else from the buses; 0 is not known."""
    memory = next(cell.of("memory"), Group("", ""))
    reads, writes = _ports(cell)
    addresses = [_bus_bits(library, bus) for bus in cell.of("bus") if bus.name in reads | writes]
    words = [_bus_bits(library, bus) for bus in cell.of("bus")
             if any(bus.of("memory_read")) or any(bus.of("memory_write")) or bus.value("direction").lower() == "output"]
    return (_number(memory.value("address_width")) or max(addresses, default=0),
            _number(memory.value("word_width")) or max(words, default=0))


def _sizes(name: str, address_bits: int, width: int) -> list[tuple[int, int]]:
    """Words and bits of a word that a name may mean, which agree with what is known of them; the usual order first."""
    found = []
    for one, two in re.findall(r"(\d+)x(?=(\d+))", name, re.I):
        for depth, bits in ((int(one), int(two)), (int(two), int(one))):
            fits = not address_bits or 1 << address_bits - 1 < depth <= 1 << address_bits
            if fits and width in (0, bits) and (depth, bits) not in found:
                found.append((depth, bits))
    return found


def macro_of(library: Group, cell: Group, area: float) -> tuple[Macro | None, str]:
    """An SRAM macro, and what has to be said about it; None for what is none."""
    memory = next(cell.of("memory"), None)
    if memory is None and not _NAMED.search(cell.name):
        return None, ""
    if memory is not None and memory.value("type", "ram").lower() != "ram":
        return None, f"{cell.name} left out: memory of type {memory.value('type')}"
    if not area:
        return None, f"{cell.name} left out: no area"
    address_bits, width = _size(library, cell)
    if address_bits > _MAX_ADDRESS_BITS:
        return None, f"{cell.name} left out: address of {address_bits} bits"
    sizes, note = _sizes(cell.name, address_bits, width), ""
    if address_bits and width:
        depth = sizes[0][0] if sizes else 1 << address_bits
    elif sizes:
        depth, width = sizes[0]
        if len(sizes) > 1:
            note = (f"{cell.name}: {depth} words of {width} bits by its name alone, since the Liberty file has neither "
                    "address_width and word_width nor buses with types")
    else:
        return None, f"{cell.name} left out: words and bits are not known"
    if not 0 < depth <= 1 << _MAX_ADDRESS_BITS or not 0 < width <= 1 << _MAX_ADDRESS_BITS:
        return None, f"{cell.name} left out: {depth} words of {width} bits"
    reads, writes = _ports(cell)
    # A port for tests of the memory writes as well: a second port is one that reads.
    two_port = _TWO_PORTS.search(cell.name) is not None or len(reads) > 1 or bool(writes and reads - writes)
    return Macro(cell.name, depth, width, two_port, area, masked="_BM" in cell.name.upper()), note
