"""The power estimate of a batch: how often each part of the tiles works, times what it takes when it does.

How often comes from the timeline model (which the RTL equals cycle for cycle): weight words, DDR beats, flits, slices.
Energies come from the Liberty file (:mod:`trajectile.scripts.area.activity`), the table of SRAM macros, and published
figures for links. It is an estimate: it has no glitches, no clock gating, no clock tree, and no wires longer than those of
the load model; controllers count as busy as the data path.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from trajectile.hw.design import Design
from trajectile.scripts.area import netlist
from trajectile.scripts.area.activity import BlockEnergy, energy_of
from trajectile.scripts.area.blocks import ORDER, PREFIX, placed
from trajectile.scripts.area.flow import Mapped
from trajectile.scripts.area.memories import Choice
from trajectile.scripts.area.outside import Outside
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError
from trajectile.sw_model.config import COUNTS_PER_WORD, Config
from trajectile.sw_model.timeline.counters import Counters

#: modules of this name and the layout of what they hold are in several parts
PLACES = "two_places"


def busy_cycles(config: Config, counters: Counters) -> dict[str, float]:
    """Cycles, in all tiles together, in which the modules of each kind work; those that are not here always do. Places of
    streams are named by their part (:func:`_kind`).
    """
    pairs = counters.passes * config.gate_up_groups * config.tile.mac_n // 2
    scans = counters.picks * config.layer.experts
    # each is received and sent
    sums = 2 * counters.summed * (config.down_groups + 1)
    return {
        "mac_pe": counters.weight_words, "mac_array": counters.weight_words, "compute_unit": counters.words,
        "mac_sequencer": counters.words, "lane_memory": counters.weight_words, "swiglu_lane": pairs, "hidden_buffer": pairs,
        "group_bias": counters.passes * config.gate_up_groups, "clip_counter": 3 * counters.passes,
        "expert_buffer": counters.words + counters.slices_sent * config.slice_words,
        "ddr_loader": counters.beats, "router": counters.flits + counters.flits_passed,
        "credit_fifo": counters.flits_passed, "slice_sender": counters.slice_flits, "slice_receiver": counters.slice_flits,
        "flit_merge": counters.flits, "record_port": counters.records, "ring_reduction": sums, "read_merge": sums,
        "record_parser": counters.io_beats + counters.records, "record_ring": counters.io_beats + counters.records,
        f"{PLACES} of io port": counters.io_beats + counters.records, f"{PLACES} of tokens travel": counters.records,
        f"{PLACES} of router": counters.slice_flits, "word_queue": counters.slices_sent * config.slice_words,
        "io_reader": counters.io_beats, "result_writer": counters.io_beats,
        "result_pieces": counters.io_beats, "io_writer": counters.io_beats, "bfloat_converter": 0,
        "token_lists": 2 * counters.choices + counters.computes + counters.passes,
        "count_exchange": config.array.tiles**2 * config.count_words, "expert_order": scans,
        "load_maker": counters.picks * config.tile.slices,
    }


def accesses(config: Config, counters: Counters) -> dict[str, list[tuple[float, float]]]:
    """Reads and writes of the memories of each part, in all tiles together.

    The token buffer has three kinds: activations and counts of clips (one each per lane), results (two banks per lane).
    """
    lanes = config.tile.mac_t
    received = counters.slices_sent * config.slice_words
    loaded = counters.slices_loaded * config.slice_words
    groups, sums = counters.passes * config.down_groups, counters.summed * config.down_groups
    return {
        "expert buffer": [(counters.words + received, loaded + received)],
        "token buffer": [(counters.gate_up_words * lanes, 0.0),
                         (counters.passes * lanes + 2 * counters.summed, counters.passes * lanes + counters.summed),
                         (groups * lanes + 2 * sums, groups * lanes + sums)],
        "token lists": [(counters.passes * lanes, counters.choices),
                        (counters.choices + (counters.computes + config.array.tiles * config.layer.experts) * lanes,
                         counters.choices)],
        "batch former": [((config.array.tiles * config.layer.experts + counters.picks * config.layer.experts)
                          / COUNTS_PER_WORD, config.array.tiles**2 * config.count_words)],
        "router": [(counters.flits_passed, counters.flits_passed)],
    }


@dataclass(frozen=True)
class Works:
    """All modules of a kind in a part of the tile, one tile's."""

    part: str
    kind: str
    #: of a cycle in which they work
    logic_pj: float
    #: of every cycle
    clock_pj: float
    leakage_nw: float


@dataclass(frozen=True)
class Remembers:
    """The memories of one kind in a part of the tile, one tile's."""

    part: str
    #: place among the part's kinds of memory, and how many there are: which accesses are its own (:func:`accesses`)
    place: int
    kinds: int
    read_pj: float
    write_pj: float
    leakage_nw: float


@dataclass(frozen=True)
class TileEnergy:
    """What the parts of a tile take when they work: all that a batch's counters are multiplied with."""

    modules: tuple[Works, ...]
    memories: tuple[Remembers, ...]
    #: memories whose energy is not known
    unknown: tuple[str, ...]
    sram_energies: str

    @property
    def leakage_watts(self) -> float:
        """Of a tile, whatever it does."""
        return (sum(one.leakage_nw for one in self.modules) + sum(one.leakage_nw for one in self.memories)) * 1e-9

    @staticmethod
    def read(values: Mapping[str, Any]) -> "TileEnergy":
        """As ``--json`` of ``trajectile synthesize --power`` has it.

        Raises:
            KeyError, TypeError: if it is something else.
        """
        return TileEnergy(tuple(Works(**row) for row in values["modules"]),
                          tuple(Remembers(**row) for row in values["memories"]), tuple(values["unknown"]),
                          values["sram_energies"])


def tile_energy(made: Design, mapped: Mapped, technology: Technology, choices: Mapping[str, Choice]) -> TileEnergy:
    """Energies of a tile's parts, from the netlist that :func:`~trajectile.scripts.area.flow.map_tile` left.

    Raises:
        UserError: if the libraries have no energies.
    """
    if technology.loads is None:
        raise UserError("a power estimate needs energies; legal: --liberty with the full library of the technology")
    netlists = netlist.read(mapped.folder / "fast.blif")
    energies: dict[str, BlockEnergy] = {}
    modules: list[Works] = []
    held: dict[str, list[tuple[str, int]]] = {}
    for name, part, times in placed(mapped.modules, made):
        if name in choices:
            held.setdefault(part, []).append((name, times))
            if not choices[name].registers:
                continue
        if name not in energies:
            energies[name] = energy_of(netlists[name], technology.cells, technology.loads)
        energy = energies[name]
        modules.append(Works(part, name.removeprefix(PREFIX), times * energy.logic_fj / 1e3, times * energy.clock_fj / 1e3,
                             times * energy.leakage_nw))
    memories, unknown = [], set[str]()
    for part, mine in held.items():
        kinds = sorted(mine, key=lambda item: (item[1], -choices[item[0]].width))  # fewest first, of these the widest
        for place, (name, times) in enumerate(kinds):
            choice = choices[name]
            if choice.registers or choice.macros is None:
                continue
            macro = choice.macros
            if macro.read_pj is None or macro.write_pj is None:
                unknown.add(f"{part}: {choice.depth}x{choice.width} ({macro.picked})")
            memories.append(Remembers(part, place, len(kinds), macro.read_pj or 0.0, macro.write_pj or 0.0,
                                      times * (macro.leakage_nw or 0.0)))
    return TileEnergy(tuple(modules), tuple(memories), tuple(sorted(unknown)), technology.srams.source)


def _kind(one: Works) -> str:
    """What ``busy_cycles`` calls a module."""
    return f"{PLACES} of {one.part}" if one.kind.startswith(PLACES) else one.kind


def parts_pj(config: Config, tile: TileEnergy, counters: Counters, clock_mhz: float,
             outside: Outside) -> dict[str, dict[str, float]]:
    """Energy of a batch by part of the tiles and kind, in pJ; links and DRAM with their bits."""
    tiles, seconds = config.array.tiles, counters.cycles / (clock_mhz * 1e6)
    busy, wanted = busy_cycles(config, counters), accesses(config, counters)
    found: dict[str, dict[str, float]] = {}

    def add(part: str, kind: str, energy_pj: float) -> None:
        row = found.setdefault(part, {})
        row[kind] = row.get(kind, 0.0) + energy_pj
    for one in tile.modules:
        works = busy.get(_kind(one), 0.0 if one.kind.startswith("sram_") else counters.cycles * tiles)
        add(one.part, "logic", works * one.logic_pj)
        add(one.part, "clock", tiles * counters.cycles * one.clock_pj)
        add(one.part, "leakage", tiles * one.leakage_nw * seconds * 1e3)
    for memory in tile.memories:
        rows = wanted.get(memory.part, [])
        if len(rows) == memory.kinds:
            reads, writes = rows[memory.place]
        else:  # kinds that look the same are one; kinds of one use share its accesses
            reads, writes = (sum(row[side] for row in rows) / memory.kinds for side in (0, 1))
        add(memory.part, "SRAM", reads * memory.read_pj + writes * memory.write_pj)
        add(memory.part, "leakage", tiles * memory.leakage_nw * seconds * 1e3)
    bits = bits_pj(config, counters, outside)
    for part, energy_pj in bits.items():
        if energy_pj:
            add(part, "bits", energy_pj)
    return {part: found[part] for part in [*ORDER, *bits] if part in found}


def bits_pj(config: Config, counters: Counters, outside: Outside) -> dict[str, float]:
    """Energy of what goes over links and comes from DRAM, in pJ."""
    return outside.of_bits(8 * config.flit_bytes * (counters.flits + counters.flits_passed),
                           8 * config.ddr.bytes_per_cycle * counters.beats)


def power_of(config: Config, made: Design, mapped: Mapped, technology: Technology,
             choices: Mapping[str, Choice], counters: Counters, clock_mhz: float, outside: Outside) -> dict[str, Any]:
    """The estimate of a batch, and the energies that it is made of (``tile``).

    Raises:
        UserError: if the libraries have no energies.
    """
    tile = tile_energy(made, mapped, technology, choices)
    parts = parts_pj(config, tile, counters, clock_mhz, outside)
    seconds = counters.cycles / (clock_mhz * 1e6)
    energy_pj = sum(sum(row.values()) for row in parts.values())
    return {
        "what": "ESTIMATE of all tiles, one batch",
        "clock_mhz": clock_mhz, "cycles": counters.cycles, "tokens": counters.tokens,
        "assumed": {"d2d_pj_per_bit": outside.d2d_pj_per_bit,
                    "ddr_pj_per_bit": outside.ddr_pj_per_bit, "clock_gating": False},
        "energy_uj": energy_pj / 1e6,
        "uj_per_token": energy_pj / 1e6 / counters.tokens,
        "watts": energy_pj / 1e12 / seconds,
        "parts_uj": {part: {kind: value / 1e6 for kind, value in row.items()} for part, row in parts.items()},
        "ddr_bytes": config.ddr.bytes_per_cycle * counters.beats,
        "sram_energies": tile.sram_energies,
        "unknown": list(tile.unknown),
        "tile": asdict(tile),
    }


def show(values: Mapping[str, Any], console: Console) -> None:
    """Print the estimate."""
    table = Table(title=f"energy of a batch of {values['tokens']} tokens, all tiles, in uJ (an ESTIMATE: docs/area.md says "
                        "what it assumes)", title_justify="left", box=None, padding=(0, 2, 0, 0))
    kinds = ("logic", "clock", "SRAM", "leakage", "bits")
    table.add_column("part")
    for name in (*kinds, "all", "share"):
        table.add_column(name, justify="right")
    for part, row in values["parts_uj"].items():
        whole = sum(row.values())
        table.add_row(part, *(f"{row[kind]:,.2f}" if kind in row else "" for kind in kinds), f"{whole:,.2f}",
                      f"{whole / values['energy_uj']:.1%}")
    console.print(table, highlight=False)
    console.print(f"{values['energy_uj']:,.1f} uJ, {values['uj_per_token']:,.2f} uJ per token, {values['watts']:,.2f} W at "
                  f"{values['clock_mhz']:,.0f} MHz", highlight=False)
    if not values["assumed"]["ddr_pj_per_bit"]:
        console.print(f"DRAM is not counted: {values['ddr_bytes']:,} bytes were read (--ddr-pj)", highlight=False)
    for name in values["unknown"]:
        console.print(f"energy not known, not counted: {name}", highlight=False)
