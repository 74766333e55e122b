"""Programs that a test needs and that may be missing."""

import os
from typing import NoReturn

import pytest

from trajectile.scripts.area import opensta
from trajectile.scripts.board import firmware, system
from trajectile.scripts.errors import ToolError
from trajectile.scripts.fpga import nextpnr
from trajectile.scripts.fpga.devices import ECP5
from trajectile.scripts.fpga.families.family import Family
from trajectile.scripts.soc import litedram_core
from trajectile.tb import runner


def missing(message: str) -> NoReturn:
    """Skip a test; fail where ``TRAJECTILE_REQUIRE_TOOLS`` says that everything must be there."""
    if os.environ.get("TRAJECTILE_REQUIRE_TOOLS") == "1":
        pytest.fail(f"{message} (TRAJECTILE_REQUIRE_TOOLS=1)")
    pytest.skip(message)


def require_icarus() -> None:
    """Icarus Verilog has to be there."""
    if not runner.have_icarus():
        missing("Icarus Verilog is not installed (Debian, Ubuntu: apt install iverilog)")


def require_litedram() -> None:
    """LiteDRAM has to be there."""
    try:
        litedram_core.check()
    except ToolError as error:
        missing(str(error))


def require_nextpnr(family: Family = ECP5) -> None:
    """Place and route has to be there."""
    try:
        nextpnr.check(family)
    except ToolError as error:
        missing(str(error))


def require_soc() -> None:
    """LiteX and the compiler for its RISC-V have to be there."""
    try:
        system.check()
        firmware.check()
    except ToolError as error:
        missing(str(error))


def require_sta() -> None:
    """OpenSTA has to be there."""
    try:
        opensta.require()
    except ToolError as error:
        missing(str(error))
