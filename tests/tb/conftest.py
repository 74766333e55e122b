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


@pytest.fixture(params=["verilator", pytest.param("icarus", marks=pytest.mark.regress)])
def first_verilator(request) -> str:
    """Each simulator in turn, Icarus in ``make regress`` only: for what runs there longer than Verilator needs to compile."""
    if request.param == "icarus":
        require_icarus()
    return request.param


@pytest.fixture(params=["icarus", pytest.param("verilator", marks=pytest.mark.regress)])
def first_icarus(request) -> str:
    """Each simulator in turn, Verilator in ``make regress`` only: for what others run there, but for an option."""
    if request.param == "icarus":
        require_icarus()
    return request.param


@pytest.fixture
def icarus() -> str:
    """Icarus, which builds at once: for small designs with few cycles."""
    require_icarus()
    return "icarus"
