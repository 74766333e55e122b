"""Which of several places is kept, and what stays of the others."""

import pytest

from trajectile.scripts.fpga import flow, seeds
from trajectile.scripts.fpga.flow import Routed
from trajectile.scripts.fpga.nextpnr import Report


def try_out(monkeypatch, folder, speeds):
    """What comes of places with these clocks, in MHz, by seed; None: not routed."""
    def place_and_route(netlist, place, *, seed, told):
        told("Info: Running router2")
        (place / "nextpnr.log").write_text(str(seed))
        bitstream = place / "fpga.bit"
        if speeds[seed] is None:
            return Routed(Report({}, None), "too large", None)
        bitstream.write_text(str(seed))
        return Routed(Report({}, speeds[seed]), None, bitstream)
    said = []
    monkeypatch.setattr(flow, "place_and_route", place_and_route)
    return seeds.place_and_route(folder, folder, list(speeds), said.append), said


@pytest.mark.parametrize(("speeds", "best"), [
    ({1: 70.0, 2: 80.0, 3: 75.0}, 2), ({4: None, 5: 60.0}, 5), ({1: 80.0, 2: 80.0}, 1), ({7: None, 8: None}, 7)])
def test_the_fastest_is_kept(monkeypatch, tmp_path, speeds, best):
    """Of equals the first; one that is routed before one that is not. The others' logs stay in folders of their own."""
    tried, said = try_out(monkeypatch, tmp_path, speeds)
    assert (tried.seed, tried.fmax_mhz) == (best, speeds) and tried.routed.report.fmax_mhz == speeds[best]
    assert (tmp_path / "nextpnr.log").read_text() == str(best)
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {f"seed-{seed}" for seed in speeds if seed != best}
    assert all(path.name == "nextpnr.log" for path in tmp_path.glob("seed-*/*"))
    assert any(f"seed {best}: routing" in line for line in said)
    if speeds[best]:
        assert tried.routed.bitstream == tmp_path / "fpga.bit" and tried.routed.bitstream.read_text() == str(best)


def test_one_seed(monkeypatch, tmp_path):
    """It works in the folder itself, and says what it does without its number."""
    tried, said = try_out(monkeypatch, tmp_path, {3: 81.5})
    assert (tried.seed, tried.routed.bitstream, said) == (3, tmp_path / "fpga.bit", ["routing"])
    assert {path.name for path in tmp_path.iterdir()} == {"nextpnr.log", "fpga.bit"}
