"""A job on a running system: into the DRAM, through the firmware, results out of the DRAM and compared."""

import re
from dataclasses import dataclass, field
from typing import Protocol

from trajectile.scripts.board import job as jobs
from trajectile.scripts.board.job import BoardJob


class Machine(Protocol):
    """A system whose DRAM can be filled and read, and whose firmware takes commands."""

    def load(self, address: int, data: bytes) -> None:
        """Fill a part of the DRAM."""

    def dump(self, address: int, count: int) -> bytes:
        """Read a part of the DRAM."""

    def command(self, data: bytes = ...) -> str:
        """Send a command, and wait for the answer; without one, see that the firmware is there."""


@dataclass
class BatchesRun:
    """What has become of a job."""

    #: what the firmware has said
    said: str
    #: of each batch, from the doorbell to the completion record of the last tile
    cycles: list[int] = field(default_factory=list)
    #: of each batch, from the first access of the driver until it has seen all completion records
    with_driver: list[int] = field(default_factory=list)
    #: what was not as the golden model has it
    wrong: list[str] = field(default_factory=list)


def run_job(machine: Machine, job: BoardJob) -> BatchesRun:
    """Run a job's batches; the firmware compares their results, and they are compared here again, bit for bit."""
    for address, data in jobs.pieces(job):
        machine.load(address, data)
    done = BatchesRun(machine.command(b"b\n"))
    if not done.said.endswith("ok\n"):
        done.wrong.append("the firmware says that the batch has failed, or its results differ")
    lines = re.findall(r"^batch (\d+): (\d+) cycles, (\d+) with the driver$", done.said, re.M)
    if [int(number) for number, *_ in lines] != list(range(job.batches)):
        done.wrong.append("the firmware has not run all batches")
    done.with_driver = [int(taken) for *_, taken in lines]
    golden = job.golden
    for number in range(max(0, len(lines) - 2), len(lines)):  # of two batches the results are still there
        descriptors = job.descriptors(number)
        regions = [machine.dump(one.results, jobs.region_bytes(job.config, one)) for one in descriptors]
        found, cycles = jobs.verdict(golden, descriptors, regions)
        if not found:
            done.wrong.append(f"batch {number}: {found.message}")
        if cycles != int(lines[number][1]):
            done.wrong.append(f"batch {number}: the firmware says {lines[number][1]} cycles, its record {cycles}")
    done.cycles = [int(cycles) for _, cycles, _ in lines]
    return done
