"""Yosys for sby out of the pyosys wheel: ``native_yosys.py -ql LOG SCRIPT``. No WebAssembly to compile first."""

import sys

from pyosys import libyosys

if __name__ == "__main__":
    options, log, script = sys.argv[1:]
    assert options == "-ql", sys.argv
    libyosys.run_pass(f"tee -q -o {log} script {script}", libyosys.Design())
