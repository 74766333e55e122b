"""Area by block: which modules make up which part of the tile, and what each part takes."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from trajectile.hw.design import Design
from trajectile.scripts.area.memories import Choice
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError

PREFIX = "trajectile_"
#: The part of the tile that a kind of module belongs to. What is not here (codes of protected words, memories of flip-flops)
#: belongs to the part that it is placed in.
GROUPS = {
    "mac_pe": "MAC array", "mac_array": "MAC array", "mac_sequencer": "MAC array", "compute_unit": "MAC array",
    "group_bias": "MAC array",
    "swiglu_lane": "SwiGLU", "hidden_buffer": "SwiGLU",
    "expert_buffer": "expert buffer",
    "lane_memory": "token buffer", "clip_counter": "token buffer",
    "ddr_loader": "DDR loader",
    "router": "router", "credit_fifo": "router", "count_fifo": "router", "slice_sender": "router", "slice_receiver": "router",
    "word_queue": "router",
    "link_layer": "link layer", "link_tx": "link layer", "link_rx": "link layer",
    "rule_engine": "rule engine", "slot_table": "rule engine",
    "host_port": "host port", "access_port": "host port", "doorbell_check": "host port",
    "batch_queue": "batch former", "batch_control": "batch former", "batch_former": "batch former",
    "count_exchange": "batch former", "expert_order": "batch former", "load_maker": "batch former",
    "token_lists": "batch former",
    "record_reader": "io port", "record_parser": "io port",
    "record_ring": "tokens travel", "record_port": "tokens travel", "flit_merge": "tokens travel",
    "ring_reduction": "tokens travel", "read_merge": "tokens travel",
    "io_reader": "io port", "burst_addresses": "io port",
    "result_writer": "io port", "result_pieces": "io port", "io_writer": "io port", "bfloat_converter": "io port",
    "tile": "wiring",
}
#: memories of these modules are a part of their own
TABLES = {"token_lists": "token lists"}
#: parts in the order of a table
ORDER = ("MAC array", "SwiGLU", "expert buffer", "token buffer", "DDR loader", "router", "link layer", "rule engine",
         "batch former", "token lists", "io port", "tokens travel", "host port", "wiring")
#: what moves and steers slices, as against what stores and computes
OVERHEAD = ("DDR loader", "router", "rule engine")
#: what takes tokens in, forms batches and writes results
FORMING = ("batch former", "token lists", "io port")


@dataclass
class Measure:
    """What something takes. Areas in the unit of the technology."""

    cells: int = 0
    flip_flops: int = 0
    cell_area: float = 0.0
    #: of the cells: flip-flops and latches
    sequential_area: float = 0.0
    #: of the cells: memories made of flip-flops
    memory_cell_area: float = 0.0
    #: in memories made of flip-flops
    memory_cell_bits: int = 0
    #: in macros
    sram_bits: int = 0
    #: macros, and the multiplexers between their rows; None if the technology has no macros
    sram_area: float | None = 0.0

    def __add__(self, other: "Measure") -> "Measure":
        def sum_of(a: Any, b: Any) -> Any:
            return None if a is None or b is None else round(a + b, 4) if isinstance(a, float) else a + b
        return Measure(*(sum_of(getattr(self, field.name), getattr(other, field.name)) for field in fields(self)))

    def times(self, number: int) -> "Measure":
        """Of so many."""
        def product(value: Any) -> Any:
            return value if value is None else round(value * number, 4) if isinstance(value, float) else value * number
        return Measure(*map(product, asdict(self).values()))


def group_of(kind: str, parent: str, within: str) -> str:
    """The part of a module of a kind, placed in a module of kind ``parent`` that belongs to the part ``within``."""
    if kind.startswith("sram_"):
        return TABLES.get(parent, within)
    return GROUPS.get(kind, within)


def placed(modules: Mapping[str, Mapping[str, int]], made: Design) -> Iterator[tuple[str, str, int]]:
    """Each module of the tile and its part, with the number of times it is placed there; those of a kind may come often."""
    def walk(name: str, parent: str, within: str, times: int) -> Iterator[tuple[str, str, int]]:
        kind = name.removeprefix(PREFIX)
        group = group_of(kind, parent, within)
        yield name, group, times
        for child, count in modules.get(name, {}).items():
            if child in modules or child in made.srams:
                yield from walk(child, kind, group, times * count)
    yield from walk(made.tile, "", "wiring", 1)


def own(name: str, modules: Mapping[str, Mapping[str, int]], made: Design, technology: Technology,
        choices: Mapping[str, Choice]) -> Measure:
    """What one module takes by itself, without the modules in it.

    Raises:
        UserError: if a cell is not in the technology.
    """
    if name in choices and not choices[name].registers:
        choice = choices[name]
        return Measure(sram_bits=choice.bits, sram_area=round(choice.macros.area_um2, 4) if choice.macros else None)
    result = Measure()
    for kind, number in modules[name].items():
        if kind in modules or kind in made.srams:
            continue
        if kind not in technology.cells:
            raise UserError(f"cell {kind} of {name} is not mapped: the Liberty files have no cell for it")
        cell = technology.cells[kind]
        area = round(cell.area_um2 * number, 4)
        flop = number if cell.sequential else 0
        result += Measure(number, flop, area, area if flop else 0.0)
    if name in choices:
        result.memory_cell_area, result.memory_cell_bits = result.cell_area, choices[name].bits
    return result


def by_block(modules: Mapping[str, Mapping[str, int]], made: Design, technology: Technology, choices: Mapping[str, Choice]
             ) -> dict[str, dict[str, Any]]:
    """For each part of the tile its measures and those of its kinds of modules (``blocks``); sums are exact."""
    counts: dict[tuple[str, str], int] = {}
    for name, group, times in placed(modules, made):
        counts[group, name] = counts.get((group, name), 0) + times
    once = {name: own(name, modules, made, technology, choices) for _, name in counts}
    result: dict[str, dict[str, Any]] = {}
    for group in ORDER:
        blocks = {name.removeprefix(PREFIX): (times, once[name].times(times))
                  for (part, name), times in counts.items() if part == group}
        if blocks:
            total = sum((measure for _, measure in blocks.values()), Measure())
            result[group] = asdict(total) | {
                "blocks": {kind: {"instances": times} | asdict(measure) for kind, (times, measure) in blocks.items()}}
    return result


def total(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of all parts."""
    return asdict(sum((Measure(**{field.name: group[field.name] for field in fields(Measure)})
                       for group in groups.values()), Measure()))
