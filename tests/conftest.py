"""Shared by all tests: Amaranth's own Yosys, and where the optional data lies."""

import os
from pathlib import Path

import pytest

from tests.support.paths import SHARED

os.environ.setdefault("AMARANTH_USE_YOSYS", "builtin")


@pytest.fixture
def shared() -> Path:
    """The folder of shared data; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no folder 'shared' beside the repository (real traces and cell libraries)")
    return SHARED
