"""What the integer layer does to a real language model: ``python -m trajectile.scripts.maintain.accuracy``, ``--write``.

Some of its MLPs run through the Verilog too, and must come out bit-equal: ``--rtl 0,11``.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence

import numpy as np

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import ToolError, UserError
from trajectile.scripts.flow import smollm2
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.accuracy import measure, rtl
from trajectile.scripts.maintain.accuracy.measure import SCHEMES, IntegerMlps, Measured
from trajectile.scripts.maintain.accuracy.rtl import Ran
from trajectile.scripts.report.markdown import table_rows

COMMAND = "python -m trajectile.scripts.maintain.accuracy"
#: blocks that run through the Verilog for the page: the first, and one in which a hidden value of the first token spikes
PAGE_BLOCKS = (0, 11)
#: integer layers whose blocks do
RTL_SCHEMES = ("mx8, integer layer", "mxfp4, integer layer")


def table(found: Sequence[Measured]) -> str:
    """A row per scheme; the first is the reference."""
    perplexities = {one.scheme.name: one.perplexity for one in found}

    def row(one: Measured) -> tuple[object, ...]:
        near, exact = one.fidelity, one.scheme.exact
        return (one.scheme.name, f"{one.perplexity:.2f}", f"{one.perplexity / found[0].perplexity:.3f}",
                "" if exact is None else f"{one.perplexity / perplexities[exact]:.3f}",
                f"{near.sqnr_db:.1f} dB" if np.isfinite(near.sqnr_db) else "", f"{near.cosine_median:.5f}",
                f"{near.cosine_worst:.3f}", near.zeroed, "" if one.clipped is None else one.clipped)
    return "\n".join(table_rows(
        ("MLPs", "perplexity", "over float32", "over the same weights with exact activations", "all results: signal to noise",
         "cosine of the median token", "of the worst", "tokens zeroed", "tokens clipped"), map(row, found)))


def through_verilog(ran: Sequence[Ran]) -> str:
    """What the page says of runs that were all bit-equal."""
    blocks = " and ".join(map(str, sorted({one.block for one in ran})))
    weights = " and ".join(dict.fromkeys(one.weights for one in ran))
    return (f"Through the Verilog, with Verilator: the first {ran[0].tokens} tokens of the MLPs of blocks {blocks}, in "
            f"{weights}.\nResults and counts of clips are bit-equal to those of the integer layer in the table.")


def _blocks(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not legal; legal: numbers of blocks, as in 0,11") from None


def measured(blocks: Sequence[int]) -> tuple[list[Measured], list[Ran]]:
    """All schemes, and what some blocks' MLPs gave in the Verilog.

    Raises:
        UserError: for a block that the model does not have.
        ToolError: if the model is not installed, or Verilator is missing or fails.
    """
    model = smollm2.load()
    if wrong := [block for block in blocks if not 0 <= block < len(model.blocks)]:
        raise UserError(f"--rtl = {wrong[0]} is not legal; legal values: 0 to {len(model.blocks) - 1}")
    text = measure.windows(model)
    found: list[Measured] = []
    integers: list[IntegerMlps] = []
    steps = itertools.count(1)
    with terminal.bar("windows of text", len(SCHEMES) * len(text)) as done:
        for scheme in SCHEMES:
            mlp = scheme.mlp(model)
            found.append(measure.measure(model, scheme, mlp, text, lambda: done(next(steps))))
            if scheme.name in RTL_SCHEMES and isinstance(mlp, IntegerMlps):
                integers.append(mlp)
    with terminal.status("Verilog") as line:
        ran = [rtl.run(model, mlps, block, line.update) for mlps in integers for block in blocks]
    return found, ran


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--rtl", metavar="BLOCKS", type=_blocks, help="run the MLPs of these blocks through the Verilog too, "
                        f"as in 0,11 (default none; with --write {','.join(map(str, PAGE_BLOCKS))})")
    parser.add_argument("--write", action="store_true", help="put the table on docs/numerics.md, if the Verilog is bit-equal")
    args = parser.parse_args(arguments)
    blocks = args.rtl if args.rtl is not None else PAGE_BLOCKS if args.write else ()
    try:
        found, ran = measured(blocks)
    except UserError as error:
        print(error, file=sys.stderr)
        return int(Exit.TOOL if isinstance(error, ToolError) else Exit.WRONG_INPUT)
    print("\n".join([table(found), *map(str, ran)]))
    if not all(one.exact for one in ran):
        return int(Exit.NOT_EXACT)
    if args.write:
        pages.write_part("numerics.md", "accuracy", f"{table(found)}\n{through_verilog(ran)}")
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
