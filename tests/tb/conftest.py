"""Array tests: which simulators there are."""

import pytest

from tests.support.tools import require_icarus
from trajectile.tb import runner


@pytest.fixture(params=runner.SIMULATORS)
def simulator(request) -> str:
    """Each simulator in turn."""
    if request.param == "icarus":
        require_icarus()
    return request.param


@pytest.fixture
def icarus() -> str:
    """Icarus, which builds at once: for many small designs."""
    require_icarus()
    return "icarus"
