"""Arguments that say what a tile is made of."""

import argparse
from pathlib import Path

from trajectile.scripts.area import technology
from trajectile.scripts.area.technology import TECHNOLOGIES, Technology


def add_technology(parser: argparse.ArgumentParser) -> None:
    """Arguments that say what a tile is made of."""
    parser.add_argument("--technology", choices=TECHNOLOGIES, default="sg13g2",
                        help="; ".join(f"{name}: {known.title}" for name, known in TECHNOLOGIES.items())
                             + " (default sg13g2)")
    parser.add_argument("--liberty", metavar="FILE", type=Path, action="append", default=[],
                        help="Liberty file (plain or gzip) of cells or SRAM macros, in place of the areas that come with the "
                             "project; may be repeated")
    parser.add_argument("--sram", metavar="FILE", type=Path, help="SRAM macros: a TOML table (docs/area.md)")
    parser.add_argument("--registers", metavar="BITS", type=int,
                        help="memories of at most BITS bits become flip-flops (default: those that are smaller so)")


def technology_of(args: argparse.Namespace) -> Technology:
    """The technology that the arguments name.

    Raises:
        UserError: as :func:`trajectile.scripts.area.technology.load`.
    """
    return technology.load(args.technology, args.liberty, args.sram)
