"""Batches for the array: weights and activations drawn from a seed, and one way to run them."""

from pathlib import Path

import numpy as np

from tests.support.observed import instruments
from trajectile.scripts.flow import simulation, workload
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates import workloads
from trajectile.sw_model.numerics.layers import random_layer
from trajectile.tb.job import Run


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


def simulated(config: Config, load: workload.Workload, folder: Path, **options) -> simulation.Simulation:
    """Run a batch, observed as this test run is (:mod:`tests.support.observed`) or as the options say."""
    return simulation.simulate(config, load, folder=folder, **({"instruments": instruments()} | options))


def exact(config: Config, load: workload.Workload, folder: Path, **options) -> simulation.Simulation:
    """Run a batch; results and events must equal the model's, and so must the cycles of every tile."""
    done = simulated(config, load, folder, **options)
    for outcome in done.outcomes:
        assert outcome.results, outcome.results.message
        assert outcome.events, outcome.events.message
    if options.get("runs", [Run()])[0] == Run():
        assert [c["CYCLES"] for c in done.first.counters] == list(done.model.tile_cycles)
        assert done.first.cycles == done.model.cycles >= done.roofline.cycles
    return done
