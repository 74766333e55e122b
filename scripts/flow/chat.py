"""A language model continues a prompt with its MoE layers on the array: each layer of each step is a batch, and checked."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trajectile.hw.batch.layouts import TAG_BITS
from trajectile.hw.design import design
from trajectile.scripts.errors import ToolError
from trajectile.scripts.flow.outcomes import Golden, written_batch
from trajectile.scripts.flow.speakers import Speaker, Tokens
from trajectile.sw_model.config import Config
from trajectile.sw_model.gates.toy_model import MoeLayer
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics import integer
from trajectile.sw_model.numerics.integer import Float32, QuantisedLayer
from trajectile.sw_model.schedule.dataflow import planned
from trajectile.sw_model.schedule.scheduler import roofline
from trajectile.sw_model.timeline.control import Batch
from trajectile.sw_model.timeline.model import simulate
from trajectile.tb.live import LiveArray
from trajectile.tb.program import descriptors
from trajectile.tb.runner import SimulationError
from trajectile.tb.top import layer_pitch

#: texts that one model continues at once
MOST_SEQUENCES = 8


@dataclass
class Totals:
    """What the MoE layers have cost so far."""

    #: batches through the array, tokens in them
    batches: int = 0
    tokens: int = 0
    cycles: int = 0
    roofline: int = 0
    #: each batch: its layer, tokens and cycles, and of these until the first DDR address and while slices stream
    runs: list[dict[str, int]] = field(default_factory=list)
    #: what was not as the golden model has it; empty if everything was
    wrong: list[str] = field(default_factory=list)


class ArrayLayers:
    """MoE layers on the array: a batch each, its results and its cycles compared with the golden model."""

    def __init__(self, config: Config, layers: Sequence[QuantisedLayer], live: LiveArray | None, order: str,
                 dataflow: str):
        """``live`` is the Verilog; without it results and cycles are the golden model's."""
        self.config, self.layers, self.live, self.order, self.dataflow = config, layers, live, order, dataflow
        self.totals = Totals()

    def __call__(self, number: int, x: Float32, gate: GateBatch) -> Float32:
        """A block's MoE layer, [tokens, d_model].

        Raises:
            ToolError: if the simulation fails.
        """
        config, layer, totals = self.config, self.layers[number], self.totals
        batch = integer.quantise_batch(x, gate.topk_ids, gate.topk_weights)
        plan = planned(config, batch.topk_ids, self.order, self.dataflow)
        golden = integer.integer_layer(config, layer, batch)
        layer_at, tag = layer_pitch(config) * number, totals.batches % 2**TAG_BITS
        queued = [replace(one, layer=layer_at, tag=tag) for one in descriptors(plan, 0)]
        model = simulate([Batch(plan, (0,) * len(queued), [one.records for one in queued],
                                [one.results for one in queued])], record=False)
        y, cycles = golden.y, model.cycles
        if self.live:
            try:
                written = self.live.run(plan, batch, queued)
            except SimulationError as error:
                raise ToolError(str(error)) from error
            verdict, records, results = written_batch(config, Golden(plan, golden, layer), queued, written, model.batches[0])
            if not verdict:
                totals.wrong.append(f"batch {totals.batches}: {verdict.message}")
            assert results is not None  # int32
            y = results.y
            # a record says when it was put together; the model knows how much later it was answered
            cycles = max(record.cycles + (times.complete or 0) - (times.doorbell or 0) - (times.cycles or 0)
                         for record, times in zip(records, model.batches[0], strict=True))
        totals.batches += 1
        totals.tokens += len(x)
        totals.cycles += cycles
        bound = roofline(plan).cycles
        totals.roofline += bound
        totals.runs.append({"layer": number, "tokens": len(x), "cycles": cycles, "roofline": bound,
                            "first_load_cycles": model.first_load_cycles, "streaming_cycles": model.streaming_cycles})
        return integer.dequantise(y, layer)


def continued(speaker: Speaker, moe: MoeLayer, prompt: Tokens, *, length: int, sequences: int, temperature: float, seed: int,
              capacity: int) -> Iterator[Tokens]:
    """Tokens that follow a prompt, one after the other, [sequences] each.

    Each text draws its tokens with random numbers of its own, so it is the same whatever runs beside it.

    Args:
        speaker: in float32 but for its MoE layers.
        moe: computes these.
        prompt: [tokens]; at least one.
        length: tokens to draw.
        sequences: texts, all with this prompt.
        temperature: what logits are divided by; 0: the likeliest token.
        seed: of the random numbers.
        capacity: most tokens of a batch; a longer prompt is read in pieces.
    """
    cache, draws = speaker.new_cache(), [np.random.default_rng([seed, number]) for number in range(sequences)]
    piece = min(speaker.piece, capacity // sequences)
    for begin in range(0, len(prompt), piece):
        text = np.repeat(prompt[None, begin:begin + piece], sequences, axis=0)
        logits = speaker.logits(text, moe, cache)[:, -1]
    for count in range(length):
        drawn = np.array([_draw(one, temperature, rng) for one, rng in zip(logits, draws, strict=True)])
        yield drawn
        if count + 1 < length:
            logits = speaker.logits(drawn[:, None], moe, cache)[:, -1]


def capacity(config: Config, dataflow: str) -> int:
    """Tokens of a batch at the most; those of a shared one have to fit into each tile."""
    return config.tile.tokens if dataflow == "shared" else config.token_capacity


def _draw(logits: Float32, temperature: float, rng: np.random.Generator) -> int:
    """A token, by its likelihood."""
    number = rng.random()  # also where it is not needed: texts of other temperatures have the same numbers
    if temperature == 0:
        return int(np.argmax(logits))
    scores = logits.astype(np.float64) / temperature
    shares: NDArray[np.float64] = np.exp(scores - scores.max()).cumsum()
    return int(np.searchsorted(shares, number * shares[-1], side="right"))


@contextmanager
def array_layers(config: Config, speaker: Speaker, *, order: str, dataflow: str, rtl: bool, folder: Path,
                 say: Callable[[str], object] = str) -> Iterator[ArrayLayers]:
    """The model's MoE layers on the array, in Verilog or as the golden model alone.

    Raises:
        ToolError: if the simulation cannot be built.
    """
    layers = speaker.layers(config)
    if not rtl:
        yield ArrayLayers(config, layers, None, order, dataflow)
        return
    say("generating the Verilog")
    files = design(config).files()
    say("building it, once for this design")
    try:
        with LiveArray(config, files, layers, folder) as live:
            yield ArrayLayers(config, layers, live, order, dataflow)
    except SimulationError as error:
        raise ToolError(str(error)) from error
