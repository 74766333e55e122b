"""Line coverage: counts of all instances and runs are added, what nothing can execute is left out."""

import pytest

from trajectile.tb import lines
from trajectile.tb.lines import Block

VERILOG = """module trajectile_part (a, b);
  always @* begin
    if (_at_time_0 ) begin end
    if (a) b = 1;
  end
endmodule
"""


def record(path, line: int, kind: str, instance: str, count: int) -> str:
    """A line as Verilator writes it."""
    fields = {"f": path, "l": line, "n": 5, "t": "line", "page": "v_line/trajectile_part", "o": kind, "h": instance}
    return "C '" + "".join(f"\x01{name}\x02{value}" for name, value in fields.items()) + f"' {count}\n"


def test_counts_of_instances_and_runs_are_added(tmp_path):
    """One block, two instances, two runs; another one that is never executed."""
    verilog = tmp_path / "part.v"
    verilog.write_text(VERILOG)
    for run in (1, 2):
        (tmp_path / f"{run}.dat").write_text("# SystemC::Coverage-3\n" + "".join(
            record(verilog, 4, "if", f"top.{name}", 10 * run) for name in "xy") + record(verilog, 4, "else", "top.x", 0))
    part = "trajectile_part"
    assert lines.merged(tmp_path.glob("*.dat")) == {Block(part, 4, 5, "if"): 60, Block(part, 4, 5, "else"): 0}


def test_what_nothing_can_execute_is_left_out(tmp_path):
    """Yosys's own ``if``; and without the Verilog nobody can say."""
    verilog, data = tmp_path / "part.v", tmp_path / "1.dat"
    verilog.write_text(VERILOG)
    data.write_text(record(verilog, 3, "if", "top.x", 0))
    assert lines.merged([data]) == {}
    data.write_text(record(tmp_path / "gone.v", 3, "if", "top.x", 0))
    with pytest.raises(FileNotFoundError, match="gone"):
        lines.merged([data])
