"""Batches for the array: weights and activations drawn from a seed, and one way to run them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.support.observed import instruments
from trajectile.scripts.flow import simulation, workload
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates import workloads
from trajectile.sw_model.numerics.integer import QuantisedBatch
from trajectile.sw_model.numerics.layers import random_layer
from trajectile.sw_model.timeline.completions import COUNTERS, told


def batch_of(config: Config, gate: workloads.GateBatch, seed: int) -> workload.Workload:
    """Random weights and activations for some gate decisions."""
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    weights = random_layer(config.layer, rng)
    x = rng.standard_normal((len(gate.topk_ids), config.layer.d_model)).astype(np.float32)
    return workload.Workload(f"seed {seed}", gate.topk_ids, workload.drawn(config, weights, x, gate))


def synthetic(config: Config, tokens: int, seed: int, skew: float = 1.0, experts: int | None = None) -> workload.Workload:
    """A batch of a synthetic gate, which uses the first ``experts`` experts, or all."""
    rng = np.random.default_rng(seed)
    gate = workloads.synthetic_gate(experts or config.layer.experts, config.layer.top_k, tokens, skew, rng)
    return batch_of(config, gate, seed)


def queued(config: Config, sizes: Sequence[int], seed: int) -> list[workload.Workload]:
    """Batches of so many tokens each for one layer, whose weights all of them share."""
    return cut(synthetic(config, sum(sizes), seed), sizes)


def cut(whole: workload.Workload, sizes: Sequence[int]) -> list[workload.Workload]:
    """A batch as several, of so many tokens each."""
    given, loads, first = whole.given, [], 0
    for size in sizes:
        part = slice(first, first + size)
        batch = QuantisedBatch(*(values[part] for values in vars(given.batch).values()))
        loads.append(replace(whole, topk_ids=whole.topk_ids[part],
                             values=replace(given, batch=batch, reference=given.reference[part])))
        first += size
    return loads


def simulated(config: Config, load: workload.Workload | Sequence[workload.Workload], folder: Path,
              **options) -> simulation.Simulation:
    """Run batches, observed as this test run is (:mod:`tests.support.observed`) or as the options say."""
    return simulation.simulate(config, load, folder=folder, **({"instruments": instruments()} | options))


def exact(config: Config, load: workload.Workload | Sequence[workload.Workload], folder: Path,
          **options) -> simulation.Simulation:
    """Run batches; results, completion records and events must equal the model's, and so must the cycles of every tile."""
    done = simulated(config, load, folder, **options)
    for outcome in done.outcomes:
        assert outcome.results, outcome.results.message
        assert outcome.events, outcome.events.message
        if outcome.model:
            assert outcome.cycles == outcome.model.cycles >= done.roofline.cycles
            assert [c["COUNT_DDR_BEAT"] for c in outcome.counters] == list(outcome.model.ddr_beats)
            assert [c["COUNT_WORD"] for c in outcome.counters] == list(outcome.model.mac_busy)
            assert [c["COUNT_FLIT_OUT"] for c in outcome.counters] == list(outcome.model.flits)
    first = done.first
    if first.model:  # nothing was counted before it
        for number, records in enumerate(first.records):
            for tile, record in enumerate(records):
                assert record.counters[:COUNTERS] == told(first.model, number, tile).counters, (number, tile)
    return done
