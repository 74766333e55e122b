"""What the integer layer does to the toy model: ``python -m trajectile.scripts.maintain.toy_model.accuracy``, ``--write``.

The model predicts held-out text with all its MoE layers in the integer layer of docs/numerics.md. Units of results are those
of other text.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.accuracy.measure import KINDS
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import load
from trajectile.sw_model.gates import toy_model
from trajectile.sw_model.gates.toy_model import Bytes, MoeLayer, Recorded, ToyModel
from trajectile.sw_model.gates.workloads import GateBatch
from trajectile.sw_model.numerics import integer
from trajectile.sw_model.numerics.fidelity import Fidelity, fidelity
from trajectile.sw_model.numerics.integer import Float32
from trajectile.sw_model.numerics.weights import WeightFormat


@dataclass(frozen=True)
class Measured:
    """What a way to compute the MoE layers costs."""

    scheme: str
    bits_per_byte: float
    #: of the results of all MoE layers and tokens against float32 on the same inputs
    fidelity: Fidelity
    #: results of a token in a layer of which a value did not fit its format
    clipped: int


class Hardware:
    """The demo's integer layer with weights in a format."""

    def __init__(self, model: ToyModel, recorded: Recorded, kind: WeightFormat) -> None:
        self.config = load("demo", [f"tile.weights={kind.name}", f"tile.scale_mantissa={kind.mantissa_bits}"])
        self.layers = [
            integer.prepared(self.config, block.experts,
                             integer.quantise_batch(recorded.x[number], recorded.trace.topk_ids[number],
                                                    recorded.trace.topk_weights[number]))
            for number, block in enumerate(model.blocks)]
        self.clipped = 0

    def __call__(self, number: int, x: Float32, gate: GateBatch) -> Float32:
        """A block's MoE layer."""
        results = integer.integer_layer(self.config, self.layers[number],
                                        integer.quantise_batch(x, gate.topk_ids, gate.topk_weights))
        self.clipped += int((results.clips > 0).sum())
        return integer.dequantise(results.y, self.layers[number])


def measure(model: ToyModel, scheme: str, moe: MoeLayer, text: Bytes) -> Measured:
    """Run the text, uint8 [texts, length], once."""
    results: list[Float32] = []
    references: list[Float32] = []

    def watched(number: int, x: Float32, gate: GateBatch) -> Float32:
        results.append(moe(number, x, gate))
        references.append(model.exact(number, x, gate))
        return results[-1]
    bits = float(model.bits(text, watched).mean())
    return Measured(scheme, bits, fidelity(np.concatenate(results), np.concatenate(references)), getattr(moe, "clipped", 0))


def measured(names: Sequence[str] = tuple(KINDS), texts: int | None = None) -> list[Measured]:
    """Float32, then each format by its name, on the first ``texts`` of the held-out text; None: all."""
    model, recorded = toy_model.load()
    text = recorded.held_out[:texts]
    return [measure(model, "float32", model.exact, text),
            *(measure(model, f"{name}, integer layer", Hardware(model, recorded, KINDS[name]), text)
              for name in terminal.tracked(names, "formats", len(names)))]


def markdown(found: list[Measured]) -> str:
    """A row per scheme; the first is the reference."""
    rows = ((one.scheme, f"{one.bits_per_byte:.4f}", f"{one.bits_per_byte / found[0].bits_per_byte:.4f}",
             f"{one.fidelity.cosine_median:.5f}", f"{one.fidelity.cosine_worst:.3f}", one.clipped) for one in found)
    return "\n".join(table_rows(("MoE layers", "bits per byte", "over float32", "cosine of the median token", "of the worst",
                                 "clipped"), rows))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m trajectile.scripts.maintain.toy_model.accuracy", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table on docs/toy_model.md")
    args = parser.parse_args(arguments)
    table = markdown(measured())
    print(table)
    if args.write:
        pages.write_part("toy_model.md", "toy accuracy", table)
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
