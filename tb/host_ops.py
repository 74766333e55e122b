"""What a host does at a tile's port, as a list of register accesses: shared by the cocotb host and the C++ main."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from trajectile.hw.d2d.layouts import NEIGHBOURS
from trajectile.hw.host.axi import HOST_DATA_BITS
from trajectile.hw.host.regmap import ROUTE_BITS, ROUTE_TILES, RegisterMap
from trajectile.sw_model.config.topology import neighbour, ring_next, ring_prev, route
from trajectile.tb.job import Descriptor


class Op(NamedTuple):
    """A write of ``value``, or a read if that is None."""

    address: int
    value: int | None


def put(registers: RegisterMap, name: str, value: int) -> Op:
    """Write a register by name."""
    return Op(registers[name].offset, value)


def put_fields(registers: RegisterMap, name: str, **values: int) -> Op:
    """Write the fields of a register by name."""
    fields = {field.name: field for field in registers[name].fields}
    return put(registers, name, sum(value << fields[field.upper()].low for field, value in values.items()))


def get(registers: RegisterMap, name: str) -> Op:
    """Read a register by name."""
    return Op(registers[name].offset, None)


def route_ops(registers: RegisterMap, ports: Sequence[int]) -> Iterator[Op]:
    """Write the routing table: output port by destination tile."""
    for first in range(0, len(ports), ROUTE_TILES):
        yield put(registers, f"ROUTE_{first // ROUTE_TILES}", sum(
            port << ROUTE_BITS * number for number, port in enumerate(ports[first:first + ROUTE_TILES])))


def setup_ops(registers: RegisterMap, tile: int) -> Iterator[Op]:
    """Once after power-up: the place of the tile in the ring, its routes, interrupts for the end of a batch, good or bad."""
    array = registers.params.config.array
    yield put(registers, "RING_NEXT", ring_next(array, tile))
    yield put(registers, "RING_PREV", ring_prev(array, tile))
    yield from route_ops(registers, route(array, tile))
    causes = registers["IRQ_ENABLE"]
    yield put(registers, "IRQ_ENABLE", causes.field("COMPLETE").mask | causes.field("ERROR").mask)


def port_mask(registers: RegisterMap, tile: int) -> int:
    """The bits of LINK_OPEN when all links of a tile are open."""
    array = registers.params.config.array
    return sum(1 << port.value for port in NEIGHBOURS if neighbour(array, tile, port.value) is not None)


def descriptor_ops(registers: RegisterMap, descriptor: Descriptor) -> Iterator[Op]:
    """Describe a batch; :func:`doorbell_op` queues it."""
    low = 2**HOST_DATA_BITS
    yield put(registers, "BATCH_LAYER", descriptor.layer % low)
    yield put(registers, "BATCH_RECORDS", descriptor.records % low)
    yield put(registers, "BATCH_RESULTS", descriptor.results % low)
    yield put_fields(registers, "BATCH_HIGH", layer=descriptor.layer // low, records=descriptor.records // low,
                     results=descriptor.results // low)


def doorbell_op(registers: RegisterMap, descriptor: Descriptor) -> Op:
    """Queue the batch that was described last."""
    only_if_shared = {"shared": 1} if descriptor.shared else {}  # some builds have no such field
    return put_fields(registers, "DOORBELL", tokens=descriptor.tokens, order=descriptor.order, bf16=int(descriptor.bf16),
                      tag=descriptor.tag, **only_if_shared)


def state_ops(registers: RegisterMap) -> list[Op]:
    """Read how a batch has ended: STATUS and ERROR."""
    return [get(registers, "STATUS"), get(registers, "ERROR")]


def failure(registers: RegisterMap, states: Iterable[Sequence[int]]) -> str:
    """What :func:`state_ops` read, tile by tile, if that is not a good end in all of them; else nothing."""
    states = list(states)
    if not any(status or error for status, error in states):
        return ""

    def names(register: str, value: int) -> str:
        return " ".join(field.name for field in registers[register].fields if value & field.mask) or "nothing"
    return "failed: " + "; ".join(f"tile {tile}: status {names('STATUS', status)}, error {names('ERROR', error)}"
                                  for tile, (status, error) in enumerate(states))


def counter_ops(registers: RegisterMap) -> list[Op]:
    """Read all counters."""
    return [get(registers, name) for name in registers.counters]
