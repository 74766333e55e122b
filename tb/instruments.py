"""What is observed of simulations of the array besides results and events: told to a build, which keeps it for its runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trajectile.tb import coverage, lines


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """Two kinds of coverage, each with the folder in which every run of a build keeps what it saw; None: not observed."""

    #: points that were hit (:mod:`trajectile.tb.coverage`)
    coverage: Path | None = None
    #: how often blocks of Verilog were executed (:mod:`trajectile.tb.lines`); Verilator under cocotb only
    lines: Path | None = None

    def require(self, simulator: str) -> None:
        """See that a simulator can do it.

        Raises:
            ValueError: if it cannot.
        """
        if self.lines is not None and simulator != "verilator":
            raise ValueError(f"instruments.lines = {self.lines} is not legal with simulator {simulator}; legal: verilator")

    def files(self, files: Mapping[str, str]) -> Mapping[str, str]:
        """What to build of a design."""
        return files if self.coverage is None else coverage.instrumented(files)

    @property
    def build_arguments(self) -> list[str]:
        """More arguments of a Verilator build."""
        return [] if self.lines is None else [lines.BUILD_ARGUMENT]

    def collect(self, run: Path) -> None:
        """Keep what a run saw; ``run`` is its folder, with its ``run.log``."""
        if self.coverage is not None:
            coverage.keep(run / "run.log", self.coverage)
        if self.lines is not None:
            lines.keep(run / "coverage.dat", self.lines)


#: nothing is observed
OFF = Instruments()
