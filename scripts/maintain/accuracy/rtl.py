"""MLPs of the language model through the Verilog: batches that the integer layer has computed, compared bit for bit."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trajectile.scripts.errors import ToolError
from trajectile.scripts.flow import simulation
from trajectile.scripts.flow.smollm2 import Model
from trajectile.scripts.flow.workload import Values, Workload
from trajectile.scripts.maintain.accuracy.measure import IntegerMlps
from trajectile.tb.runner import SimulationError

FOLDER = Path("build/accuracy")
#: of the text's first window, its first one included
TOKENS = 64


@dataclass(frozen=True)
class Ran:
    """An MLP as the RTL ran it."""

    #: format
    weights: str
    block: int
    tokens: int
    cycles: int
    #: results and clips are the integer layer's, events the timeline model's
    exact: bool
    #: what was compared, or the first difference
    message: str

    def __str__(self) -> str:
        return (f"{self.weights}, block {self.block}, {self.tokens} tokens through the Verilog in {self.cycles:,} cycles: "
                f"{'bit-equal' if self.exact else 'NOT EQUAL'} ({self.message})")


def run(model: Model, mlps: IntegerMlps, block: int, say: Callable[[str], object] = str) -> Ran:
    """The first tokens that a block's MLP was given, through the Verilog in Verilator.

    Args:
        model: the language model.
        mlps: in the integer layer, after they have run.
        block: which MLP.
        say: told what is being done.

    Raises:
        ToolError: if Verilator is missing or fails.
    """
    x = mlps.first[block][:TOKENS]
    batch = mlps.quantised(x)
    load = Workload(f"SmolLM2, block {block}", batch.topk_ids,
                    Values(mlps.layers[block], batch, model.exact(block, x)))
    weights = mlps.config.tile.weights
    try:
        done = simulation.simulate(mlps.config, load, folder=FOLDER / f"{weights}-{block}",
                                   simulator="native", say=lambda text: say(f"{weights}, block {block}: {text}"))
    except SimulationError as error:
        raise ToolError(str(error)) from error
    first = done.first
    return Ran(weights, block, len(x), done.cycles, done.exact,
               "; ".join(verdict.message for verdict in (first.results, first.events)))
