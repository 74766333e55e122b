"""The power estimate of a batch: how often each part of the tiles works, times what it takes when it does.

How often comes from the timeline model (which the RTL equals cycle for cycle): weight words, DDR beats, flits, slices.
Energies come from the Liberty file (:mod:`trajectile.scripts.area.activity`), the table of SRAM macros, and published
figures for links. It is an estimate: it has no glitches, no clock gating, no clock tree, and no wires longer than those of
the load model; controllers count as busy as the data path.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from trajectile.sw_model.config.topology import edge_hops
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.model import Timeline


@dataclass(frozen=True)
class Counters:
    """What a batch did in all tiles together."""

    cycles: int
    tokens: int
    #: from slots: parameters, weights, biases
    words: int
    #: of weights, which are multiplied
    weight_words: int
    #: of these, of gate and up: they meet activations
    gate_up_words: int
    beats: int
    #: given to the ring edge out of a tile
    flits: int
    #: of these, of slices; the others are items of records, and words of sums
    slice_flits: int
    records: int
    #: tokens whose sums go to a ring-next tile: each counts once for each way
    summed: int
    #: of these, over a tile between: each such tile counts
    flits_passed: int
    #: passes of a slice: segments of the MAC array
    passes: int
    slices_loaded: int
    slices_sent: int
    computes: int
    #: read and written by the io port
    io_beats: int
    #: that are put into token lists
    choices: int
    #: active experts, once for each tile
    picks: int


def count(plan: Schedule, line: Timeline) -> Counters:
    """Counters of a batch, from the model's run with its events."""
    config = plan.config
    words = sum(line.mac_busy)
    kinds = [event.kind for event in line.events]
    passes = (words - kinds.count("compute") * config.parameter_words) // config.pass_words
    passed = sum(flits * (edge_hops(config.array, tile) - 1) for tile, flits in enumerate(line.flits))
    gate_up_words = passes * config.gate_up_groups * config.gate_up_chunks
    others = sum(map(len, line.token_flits))
    summed = (config.array.tiles - 1) * plan.tokens if plan.shared else 0
    choices = int((plan.topk_ids >= 0).sum()) * (config.array.tiles if plan.shared else 1)
    records = others - summed * (config.down_groups * config.sum_flits + 1)
    return Counters(line.cycles, plan.tokens, words, gate_up_words + passes * config.down_words, gate_up_words,
                    sum(line.ddr_beats), sum(line.flits), sum(line.flits) - others, records, summed, passed, passes,
                    kinds.count("load"), kinds.count("send"), kinds.count("compute"), sum(line.io_beats), choices,
                    kinds.count("pick"))


def busy_cycles(config: Config, counters: Counters) -> dict[str, float]:
    """Cycles, in all tiles together, in which the modules of each kind work; those that are not here always do."""
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


@dataclass
class _Sum:
    """Energy by part and kind, in pJ."""

    values: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, part: str, kind: str, energy_pj: float) -> None:
        row = self.values.setdefault(part, {})
        row[kind] = row.get(kind, 0.0) + energy_pj


def power_of(config: Config, made: Design, mapped: Mapped, technology: Technology,
             choices: Mapping[str, Choice], counters: Counters, clock_mhz: float, outside: Outside) -> dict[str, Any]:
    """The estimate, from the netlist that :func:`~trajectile.scripts.area.flow.map_tile` left.

    Raises:
        UserError: if the libraries have no energies.
    """
    if technology.loads is None:
        raise UserError("a power estimate needs energies; legal: --liberty with the full library of the technology")
    modules = netlist.read(mapped.folder / "fast.blif")
    tiles, seconds = config.array.tiles, counters.cycles / (clock_mhz * 1e6)
    busy = busy_cycles(config, counters)
    energies: dict[str, BlockEnergy] = {}
    total, unknown = _Sum(), set[str]()
    for name, group, times in placed(mapped.modules, made):
        kind = name.removeprefix(PREFIX)
        if name in choices and not choices[name].registers:
            continue
        if name not in energies:
            energies[name] = energy_of(modules[name], technology.cells, technology.loads)
        energy = energies[name]
        works = busy.get(kind, 0.0 if kind.startswith("sram_") else counters.cycles * tiles)
        total.add(group, "logic", times * works * energy.logic_fj / 1e3)
        total.add(group, "clock", times * tiles * counters.cycles * energy.clock_fj / 1e3)
        total.add(group, "leakage", times * tiles * energy.leakage_nw * seconds * 1e3)
    _memories(config, made, mapped, choices, counters, seconds, total, unknown)
    bits = {"D2D links": (8 * config.flit_bytes * (counters.flits + counters.flits_passed), outside.d2d_pj_per_bit),
            "DDR": (8 * config.ddr.bytes_per_cycle * counters.beats, outside.ddr_pj_per_bit)}
    for part, (moved, each) in bits.items():
        if each:
            total.add(part, "bits", moved * each)
    energy_pj = sum(sum(row.values()) for row in total.values.values())
    order = [*ORDER, *bits]
    return {
        "what": "ESTIMATE of all tiles, one batch",
        "clock_mhz": clock_mhz, "cycles": counters.cycles, "tokens": counters.tokens,
        "assumed": {"d2d_pj_per_bit": outside.d2d_pj_per_bit,
                    "ddr_pj_per_bit": outside.ddr_pj_per_bit, "clock_gating": False},
        "energy_uj": energy_pj / 1e6,
        "uj_per_token": energy_pj / 1e6 / counters.tokens,
        "watts": energy_pj / 1e12 / seconds,
        "parts_uj": {part: {kind: value / 1e6 for kind, value in total.values[part].items()}
                     for part in order if part in total.values},
        "ddr_bytes": config.ddr.bytes_per_cycle * counters.beats,
        "sram_energies": technology.srams.source,
        "unknown": sorted(unknown),
    }


def _memories(config: Config, made: Design, mapped: Mapped, choices: Mapping[str, Choice], counters: Counters, seconds: float,
              total: _Sum, unknown: set[str]) -> None:
    """Add the accesses and the leakage of the memories; name those whose energy is not known."""
    by_group: dict[str, list[tuple[str, int]]] = {}
    for name, group, times in placed(mapped.modules, made):
        if name in choices:
            by_group.setdefault(group, []).append((name, times))
    wanted = accesses(config, counters)
    for group, memories in by_group.items():
        rows = wanted.get(group, [])
        kinds = sorted(memories, key=lambda item: (item[1], -choices[item[0]].width))  # fewest first, of these the widest
        if len(rows) != len(kinds):  # kinds that look the same are one; kinds of one use share its accesses
            rows = [(sum(row[0] for row in rows) / len(kinds), sum(row[1] for row in rows) / len(kinds))] * len(kinds)
        for (name, times), (reads, writes) in zip(kinds, rows, strict=True):
            choice = choices[name]
            if choice.registers or choice.macros is None:
                continue
            memory = choice.macros
            if memory.read_pj is None or memory.write_pj is None:
                unknown.add(f"{group}: {choice.depth}x{choice.width} ({memory.picked})")
            else:
                total.add(group, "SRAM", reads * memory.read_pj + writes * memory.write_pj)
            if memory.leakage_nw is not None:
                total.add(group, "leakage", times * config.array.tiles * memory.leakage_nw * seconds * 1e3)


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
