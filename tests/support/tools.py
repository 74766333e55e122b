"""Programs that a test needs and that may be missing."""

import os

import pytest

from trajectile.scripts.board import firmware, system
from trajectile.scripts.errors import ToolError
from trajectile.scripts.soc import litedram_core
from trajectile.tb import runner


def require_icarus() -> None:
    """Skip without Icarus; fail where ``TRAJECTILE_REQUIRE_TOOLS`` says that everything must be there."""
    if not runner.have_icarus():
        if os.environ.get("TRAJECTILE_REQUIRE_TOOLS") == "1":
            pytest.fail("Icarus Verilog is missing and TRAJECTILE_REQUIRE_TOOLS=1")
        pytest.skip("Icarus Verilog is not installed (Debian, Ubuntu: apt install iverilog)")


def require_litedram() -> None:
    """Skip without LiteDRAM; fail where ``TRAJECTILE_REQUIRE_TOOLS`` says that everything must be there."""
    try:
        litedram_core.check()
    except litedram_core.LiteDramMissing as missing:
        if os.environ.get("TRAJECTILE_REQUIRE_TOOLS") == "1":
            pytest.fail(f"{missing}; and TRAJECTILE_REQUIRE_TOOLS=1")
        pytest.skip(str(missing))


def require_soc() -> None:
    """Skip without LiteX or the compiler for its RISC-V; fail where everything must be there."""
    for check in (system.check, firmware.check):
        try:
            check()
        except ToolError as error:
            if os.environ.get("TRAJECTILE_REQUIRE_TOOLS") == "1":
                pytest.fail(f"{error} (TRAJECTILE_REQUIRE_TOOLS=1)")
            pytest.skip(str(error))
