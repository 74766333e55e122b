"""Shared by all tests: what is observed, and where the optional data lies."""

from pathlib import Path

import pytest

from tests.support import observed
from tests.support.paths import SHARED


def pytest_addoption(parser: pytest.Parser) -> None:
    """Functional coverage of a whole run."""
    parser.addoption(observed.OPTION, metavar="FOLDER", type=Path, help="keep there which points of "
                     "tb/coverage_points.py the simulations of the array hit")


def pytest_configure(config: pytest.Config) -> None:
    """In every process of pytest-xdist as well."""
    observed.observe(config.getoption(observed.OPTION))


@pytest.fixture
def shared() -> Path:
    """The folder of shared data; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no folder 'shared' beside the repository (real traces and cell libraries)")
    return SHARED
