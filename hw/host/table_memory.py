"""The table memories behind the host port's window: shapes of their entries, and which entries are legal."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Value
from amaranth.lib import data

from trajectile.hw.formats import CLIP_BITS
from trajectile.hw.host.axi import HOST_DATA_BITS
from trajectile.hw.host.layouts import READ_ONLY, Table, TableLayouts
from trajectile.hw.lib.limits import exceeds
from trajectile.sw_model.config import ceil_div


@dataclass(frozen=True, kw_only=True)
class EntryField:
    """Some bits of a table entry, of its element 0. An entry with a value outside ``minimum`` to ``maximum`` is refused."""

    name: str
    low: int
    width: int
    minimum: int = 0
    #: largest legal value, if not all ones
    maximum: int | None = None
    #: the limits hold only where this one-bit field is 1
    only_if: str | None = None

    @property
    def largest(self) -> int:
        """Largest legal value."""
        return (1 << self.width) - 1 if self.maximum is None else self.maximum


@dataclass(frozen=True, kw_only=True)
class EntrySum:
    """Fields whose sum is at most ``maximum``, where the one-bit field ``only_if`` is 1."""

    fields: tuple[str, ...]
    maximum: int
    only_if: str


@dataclass(frozen=True, kw_only=True)
class TableMemory:
    """A memory behind TABLE_DATA. An entry is ``elements`` equal elements, ``stride_bits`` apart, element 0 lowest."""

    table: Table
    meaning: str
    depth: int
    width: int
    #: memories of this kind, one per lane, chosen by TABLE_SELECT.LANE
    lanes: int
    #: the host reads it; it writes the others
    read_only: bool
    elements: int
    stride_bits: int
    fields: tuple[EntryField, ...]
    sums: tuple[EntrySum, ...] = ()

    @property
    def words(self) -> int:
        """32-bit words of an entry in TABLE_DATA, lowest first."""
        return ceil_div(self.width, HOST_DATA_BITS)

    def _part(self, entry: Value, element: int, name: str) -> Value:
        """A field of an element of an entry."""
        field = next(field for field in self.fields if field.name == name)
        low = element * self.stride_bits + field.low
        return entry[low:low + field.width]

    def illegal(self, entry: Value) -> Value:
        """One bit: the host must not write this entry (``width`` bits)."""
        wrong: list[Value] = []

        def look(element: int, broken: Value, only_if: str | None) -> None:
            wrong.append(broken if only_if is None else broken & self._part(entry, element, only_if))

        for element in range(self.elements):
            for field in self.fields:
                part = self._part(entry, element, field.name)
                if field.minimum > 0:
                    look(element, part < field.minimum, field.only_if)
                look(element, exceeds(part, field.largest), field.only_if)
            for limit in self.sums:
                first, *others = (self._part(entry, element, name) for name in limit.fields)
                total = sum(others, first)
                look(element, exceeds(total, limit.maximum), limit.only_if)
        return Cat(wrong).any()


def table_memories(params: TableLayouts) -> dict[Table, TableMemory]:
    """The table memories of this build; a timing-only one has no activations, no results and no clips."""
    tile = params.config.tile
    # An expert without tokens here is not looked at.
    limits: dict[Table, dict[str, dict[str, Any]]] = {
        Table.RULES: {"passes": {"minimum": 1, "only_if": "here"}},
        Table.LOADS: {name: {"maximum": maximum} for name, maximum in params.load_maxima.items()},
        Table.TOKENS: {"token": {"maximum": params.token_maximum, "only_if": "valid"}},
    }

    def memory(table: Table, meaning: str, layout: data.StructLayout, *, elements: int = 1, per_lane: bool = False,
               sums: tuple[EntrySum, ...] = ()) -> TableMemory:
        depth, width = params.table_shape(table)
        fields = tuple(EntryField(name=str(name), low=field.offset, width=field.width,
                                  **limits.get(table, {}).get(str(name), {})) for name, field in layout)
        return TableMemory(table=table, meaning=meaning, depth=depth, width=width, lanes=tile.mac_t if per_lane else 1,
                           read_only=table in READ_ONLY, elements=elements, stride_bits=layout.size, fields=fields,
                           sums=sums)

    memories = [
        memory(Table.RULES, "one entry per expert", params.rule_layout,
               sums=(EntrySum(fields=("first", "passes"), maximum=params.list_depth, only_if="here"),)),
        memory(Table.LOADS, "load list, in order", params.load_layout),
        memory(Table.TOKENS, "token lists: one entry per pass, one element per lane", params.token_layout,
               elements=tile.mac_t),
    ]
    if not params.timing_only:
        memories += [
            memory(Table.ACTIVATIONS, "activations of a lane, int8, and a shift for each block; entry token * GATE_UP_CHUNKS "
                   "+ chunk", params.activations_layout.elem_shape, elements=tile.word_scales, per_lane=True),
            memory(Table.RESULTS, "int32 results of a lane; entry token * RESULT_STRIDE + group; 0 where no expert was met",
                   data.StructLayout({"value": 32}), elements=tile.mac_n, per_lane=True),
            memory(Table.CLIPS, "counts of clips of a lane's tokens; 0 where no expert was met",
                   data.StructLayout({"value": CLIP_BITS}), per_lane=True),
        ]
    return {memory.table: memory for memory in memories}
