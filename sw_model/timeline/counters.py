"""What a batch did in all tiles together: what its energy is estimated from."""

from dataclasses import dataclass

import numpy as np

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
    """Counters of a batch, from the model's run; its events are not needed."""
    config = plan.config
    words, beats, flits = sum(line.mac_busy), sum(line.ddr_beats), sum(line.flits)
    loaded, choices = beats // config.slice_beats, int((plan.topk_ids >= 0).sum())
    # a slice of a shared batch is computed where it was loaded, any other once in each tile that has tokens for it
    computes = loaded if plan.shared else int(np.count_nonzero(plan.passes)) * config.tile.slices
    passes = (words - computes * config.parameter_words) // config.pass_words
    passed = sum(number * (edge_hops(config.array, tile) - 1) for tile, number in enumerate(line.flits))
    gate_up_words = passes * config.gate_up_groups * config.gate_up_chunks
    others = sum(map(len, line.token_flits))
    summed = (config.array.tiles - 1) * plan.tokens if plan.shared else 0
    records = others - summed * (config.down_groups * config.sum_flits + 1)
    return Counters(
        cycles=line.cycles, tokens=plan.tokens, words=words, weight_words=gate_up_words + passes * config.down_words,
        gate_up_words=gate_up_words, beats=beats, flits=flits, slice_flits=flits - others, records=records, summed=summed,
        flits_passed=passed, passes=passes, slices_loaded=loaded, slices_sent=(flits - others) // (1 + config.slice_flits),
        computes=computes, io_beats=sum(line.io_beats), choices=choices * (config.array.tiles if plan.shared else 1),
        picks=len(np.unique(plan.topk_ids[plan.topk_ids >= 0])) * config.array.tiles)
