"""What a host does at a tile's port, as a list of register accesses: shared by the cocotb host and the C++ main."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from trajectile.hw.host.layouts import Table
from trajectile.hw.host.regmap import ROUTE_BITS, ROUTE_TILES, RegisterMap
from trajectile.tb.program import TileImage


class Op(NamedTuple):
    """A write of ``value``, or a read if that is None."""

    address: int
    value: int | None


def put(registers: RegisterMap, name: str, value: int) -> Op:
    """Write a register by name."""
    return Op(registers[name].offset, value)


def get(registers: RegisterMap, name: str) -> Op:
    """Read a register by name."""
    return Op(registers[name].offset, None)


def select_ops(registers: RegisterMap, table: Table, lane: int, index: int = 0) -> Iterator[Op]:
    """Point the table window at an entry."""
    lane_field = registers["TABLE_SELECT"].field("LANE")
    yield put(registers, "TABLE_SELECT", table.value | lane << lane_field.low)
    yield put(registers, "TABLE_INDEX", index)


def route_ops(registers: RegisterMap, route: Sequence[int]) -> Iterator[Op]:
    """Write the routing table: output port by destination tile."""
    for first in range(0, len(route), ROUTE_TILES):
        yield put(registers, f"ROUTE_{first // ROUTE_TILES}", sum(
            port << ROUTE_BITS * number for number, port in enumerate(route[first:first + ROUTE_TILES])))


def program_ops(registers: RegisterMap, image: TileImage) -> Iterator[Op]:
    """Write settings, routes and tables, and enable the interrupt for the end of the batch, good or bad."""
    for name, value in image.settings.items():
        yield put(registers, name, value)
    yield from route_ops(registers, image.route)
    for (table, lane), entries in image.tables.items():
        words = registers.tables[table].words
        yield from select_ops(registers, table, lane)
        for entry in entries:
            for number in range(words):
                yield put(registers, "TABLE_DATA", entry >> 32 * number & 0xFFFFFFFF)
    causes = registers["IRQ_ENABLE"]
    yield put(registers, "IRQ_ENABLE", causes.field("DONE").mask | causes.field("ERROR").mask)


def result_ops(registers: RegisterMap, lane: int, tokens: int) -> Iterator[Op]:
    """Read RESULTS of a lane's first tokens; :func:`lane_results` orders what is read."""
    params, words = registers.params, registers.tables[Table.RESULTS].words
    groups, stride = params.config.down_groups, params.result_stride
    yield from select_ops(registers, Table.RESULTS, lane)
    for token in range(tokens):
        yield from [get(registers, "TABLE_DATA")] * (groups * words)
        if stride != groups and token + 1 < tokens:
            yield put(registers, "TABLE_INDEX", (token + 1) * stride)


def clip_ops(registers: RegisterMap, lane: int, tokens: int) -> Iterator[Op]:
    """Read CLIPS of a lane's first tokens."""
    yield from select_ops(registers, Table.CLIPS, lane)
    yield from [get(registers, "TABLE_DATA")] * tokens


def lane_results(registers: RegisterMap, tokens: int, read: Sequence[int]) -> list[int]:
    """32-bit words of a lane's entries, lowest first; the unused last entry of an odd stride as zero."""
    params, words = registers.params, registers.tables[Table.RESULTS].words
    used, unused = params.config.down_groups * words, (params.result_stride - params.config.down_groups) * words
    return [word for token in range(tokens) for word in [*read[token * used:(token + 1) * used], *[0] * unused]]


def state_ops(registers: RegisterMap) -> list[Op]:
    """Read how a batch has ended: STATUS and ERROR."""
    return [get(registers, "STATUS"), get(registers, "ERROR")]


def failure(registers: RegisterMap, states: Iterable[Sequence[int]]) -> str:
    """What :func:`state_ops` read, tile by tile, if that is not a good end in all of them; else nothing."""
    states = list(states)
    if all(status == registers["STATUS"].field("DONE").mask and not error for status, error in states):
        return ""

    def names(register: str, value: int) -> str:
        return " ".join(field.name for field in registers[register].fields if value & field.mask) or "nothing"
    return "failed: " + "; ".join(f"tile {tile}: status {names('STATUS', status)}, error {names('ERROR', error)}"
                                  for tile, (status, error) in enumerate(states))


def counter_ops(registers: RegisterMap) -> list[Op]:
    """Read all counters."""
    return [get(registers, name) for name in registers.counters]
