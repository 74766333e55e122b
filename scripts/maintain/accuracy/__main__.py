"""What the integer layer does to a real language model: ``python -m trajectile.scripts.maintain.accuracy``, ``--write``."""

import argparse
import sys

from trajectile.scripts.command_line import terminal
from trajectile.scripts.command_line.errors import Exit
from trajectile.scripts.errors import ToolError
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.accuracy.measure import SCHEMES, Measured, measure, windows
from trajectile.scripts.maintain.accuracy.smollm2 import load
from trajectile.scripts.report.markdown import table_rows


def markdown(found: list[Measured]) -> str:
    """A row per scheme; the first is the reference."""
    rows = ((one.scheme, f"{one.perplexity:.2f}", f"{one.perplexity / found[0].perplexity:.3f}",
             f"{one.fidelity.cosine_median:.5f}", f"{one.fidelity.cosine_worst:.3f}", one.fidelity.zeroed) for one in found)
    return "\n".join(table_rows(("MLPs", "perplexity", "over float32", "cosine of the median token", "of the worst",
                                 "tokens zeroed"), rows))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m trajectile.scripts.maintain.accuracy", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table on docs/numerics.md")
    args = parser.parse_args(arguments)
    try:
        model = load()
    except ToolError as error:
        print(error, file=sys.stderr)
        return int(Exit.TOOL)
    text = windows(model)
    found = [measure(model, scheme, text) for scheme in terminal.tracked(SCHEMES, "schemes", len(SCHEMES))]
    print(markdown(found))
    if args.write:
        pages.write_part("numerics.md", "accuracy", markdown(found))
    return int(Exit.DONE)


if __name__ == "__main__":
    sys.exit(main())
