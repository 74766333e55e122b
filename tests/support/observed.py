"""What the simulations of this test run are observed with: nothing, or what ``pytest --coverage-folder FOLDER`` says.

Tests call the product in many places; each passes :func:`instruments` on.
"""

from pathlib import Path

from trajectile.tb.instruments import OFF, Instruments

OPTION = "--coverage-folder"
_chosen = [OFF]


def observe(coverage: Path | None) -> None:
    """From now on keep what simulations hit in a folder; None: in none."""
    _chosen[0] = Instruments(coverage=coverage and coverage.resolve())


def instruments() -> Instruments:
    """For ``simulate`` and ``build``."""
    return _chosen[0]
