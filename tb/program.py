"""From a schedule and a quantised batch to the table entries that a host writes into a tile.

The layouts are those of ``trajectile.hw.host.layouts``; the order of the fields is taken from there and never written
again here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data

from trajectile.hw.formats import EXPONENT_BITS
from trajectile.hw.host.axi import HOST_DATA_BITS
from trajectile.hw.host.layouts import Table
from trajectile.hw.params import Params
from trajectile.sw_model.config import BLOCK_INPUTS
from trajectile.sw_model.config.topology import ring_next, ring_prev, route
from trajectile.sw_model.numerics.integer import QuantisedBatch, Results
from trajectile.sw_model.schedule.scheduler import Schedule


@dataclass(frozen=True)
class TileImage:
    """Everything the host writes into one tile before a batch."""

    #: register name of ``trajectile.hw.host.regmap`` -> value
    settings: Mapping[str, int]
    #: entries of each table memory by (table, lane), from index 0 on
    tables: Mapping[tuple[Table, int], list[int]]
    #: output port by destination tile
    route: tuple[int, ...]


def pack(layout: data.Layout, **fields: int) -> int:
    """The bits of one entry."""
    value = 0
    for name, content in fields.items():
        field = layout[name]
        width = Shape.cast(field.shape).width
        if not 0 <= content < 1 << width:
            raise ValueError(f"{name} = {content} does not fit {width} bits")
        value |= content << field.offset
    return value


def _activations(params: Params, x: np.ndarray, shifts: np.ndarray) -> list[int]:
    """Entries of a token: int8 ``x`` [d_model], zero padded, and the shift of each block of 32 inputs with its part."""
    tile, layout = params.config.tile, params.activations_layout
    padded = np.zeros(params.config.gate_up_chunks * tile.mac_k, dtype=np.int8)
    padded[:len(x)] = x
    parts = [int.from_bytes(row.tobytes(), "little") for row in padded.reshape(-1, tile.word_inputs)]
    entries = []
    for start in range(0, len(parts), tile.word_scales):
        entry = 0
        for number, values in enumerate(parts[start:start + tile.word_scales]):
            block = (start + number) * tile.word_inputs // BLOCK_INPUTS
            shift = int(shifts[block]) if block < len(shifts) else 0
            entry |= pack(layout.elem_shape, values=values, shift=shift) << number * layout.elem_shape.size
        entries.append(entry)
    return entries


def ddr_base(address: int) -> dict[str, int]:
    """The settings that say where row 0 is in a DDR channel, for a byte address: a multiple of 4096."""
    return {"DDR_BASE": address % 2**HOST_DATA_BITS, "DDR_BASE_HIGH": address >> HOST_DATA_BITS}


def tile_image(params: Params, plan: Schedule, tile: int, batch: QuantisedBatch | None) -> TileImage:
    """What the host writes into ``tile``; without a batch (timing only) neither activations nor weights of choices.

    The slices begin at byte 0 of their DDR channel.
    """
    if not plan.skip:
        raise ValueError("skip = False is not legal here; the RTL's slices always skip tiles without tokens")
    config, program = plan.config, plan.tiles[tile]
    here = plan.passes > 0
    after = ring_next(config.array, tile)
    experts = range(config.layer.experts)
    rules = [pack(params.rule_layout, here=int(here[tile, e]), next=int(here[after, e]), first=int(program.first[e]),
                  passes=int(program.passes[e])) for e in experts]
    loads = [pack(params.load_layout, expert=load.expert, index=load.index, row=load.row, here=int(load.here),
                  next=int(load.next_here), left=load.left) for load in program.loads]
    index_of = plan.placement[:, 2]
    width = params.token_layout.size
    tokens = []
    for chosen, ranks in zip(program.list_tokens, program.list_ranks, strict=True):
        entry = 0
        for lane, (token, rank) in enumerate(zip(chosen, ranks, strict=True)):
            if token >= 0:
                numbers = {} if batch is None else {
                    "weight": int(batch.weight[token, rank]), "exponent": int(batch.exponent[token]) % 2**EXPONENT_BITS}
                entry |= pack(params.token_layout, valid=1, token=int(index_of[token]), **numbers) << lane * width
        tokens.append(entry)
    tables: dict[tuple[Table, int], list[int]] = {
        (Table.RULES, 0): rules, (Table.LOADS, 0): loads, (Table.TOKENS, 0): tokens}
    if batch is not None:
        for lane, members in enumerate(program.lanes):
            tables[Table.ACTIVATIONS, lane] = [
                entry for token in members for entry in _activations(params, batch.x[token], batch.shift[token])]
    settings = {
        **ddr_base(0), "RING_NEXT": after, "RING_PREV": ring_prev(config.array, tile),
        "LOAD_COUNT": len(loads), "ARRIVAL_COUNT": program.arrivals,
    }
    return TileImage(settings, tables, route(config.array, tile))


def gather_results(params: Params, plan: Schedule, results: Mapping[tuple[int, int], np.ndarray]) -> np.ndarray:
    """Results of all tokens, int32 [tokens, d_model].

    Args:
        params: layouts.
        plan: where each token is.
        results: words read from RESULTS by (tile, lane), int32 [entries, mac_n].
    """
    config = plan.config
    y = np.zeros((plan.tokens, config.layer.d_model), dtype=np.int32)
    for token, (tile, lane, index) in enumerate(plan.placement):
        start = index * params.result_stride
        words = results[int(tile), int(lane)][start:start + config.down_groups]
        y[token] = words.reshape(-1)[:config.layer.d_model]
    return y


def gathered(params: Params, plan: Schedule, tiles: Sequence[Mapping[str, Any]]) -> Results:
    """Results and clips of all tokens.

    Args:
        params: layouts.
        plan: where each token is.
        tiles: of each tile ``results``, 32-bit words by lane, and ``clips``, counts by lane, as JSON gives them back.
    """
    words = {(tile, int(lane)): np.array(values, dtype=np.uint32).view(np.int32).reshape(-1, params.config.tile.mac_n)
             for tile, part in enumerate(tiles) for lane, values in part["results"].items()}
    clips = {(tile, int(lane)): counts for tile, part in enumerate(tiles) for lane, counts in part["clips"].items()}
    return Results(gather_results(params, plan, words), gather_clips(plan, clips))


def gather_clips(plan: Schedule, clips: Mapping[tuple[int, int], Sequence[int]]) -> np.ndarray:
    """Counts of clips of all tokens, int64 [tokens].

    Args:
        plan: where each token is.
        clips: entries read from CLIPS by (tile, lane).
    """
    return np.array([clips[int(tile), int(lane)][index] for tile, lane, index in plan.placement], dtype=np.int64)
