"""``trajectile link``: table, JSON, plot, and what it refuses."""

import json

import pytest

from trajectile.scripts import cli

CRC = ["--set", "link.crc_bits=16"]


def test_link(tmp_path, capsys):
    """Full rate without errors, less with them; everything that is promised is there."""
    out, plot = tmp_path / "deep" / "link.json", tmp_path / "link.png"
    assert cli.main(["link", "smoke", *CRC, "--ber", "1e-4,0,1e-3", "--cycles", "20000", "--seeds", "2", "--seed", "5",
                     "--json", str(out), "--plot", str(plot), "-o", str(tmp_path)]) == 0
    values = json.loads(out.read_text())
    assert (values["config"]["name"], values["cycles"], values["seeds"]) == ("smoke", 20_000, [5, 6])
    rates = values["rates"]
    assert [row["ber"] for row in rates] == [0, 1e-4, 1e-3]
    assert all(row["frames"] == 2 * 2 * 20_000 and row["undetected"] == row["down"] == row["hung"] == 0 for row in rates)
    assert rates[0]["goodput"] == 1 and rates[0]["replays"] == rates[0]["frames_spoilt"] == 0
    for row in rates[1:]:
        assert row["goodput_least"] - 0.02 < row["goodput"] < row["goodput_most"] + 0.02
        assert 0 < row["replays"] <= row["crc_errors"]
    assert plot.stat().st_size > 10_000
    shown = capsys.readouterr().out
    assert "CRC-16" in shown and "1.0000" in shown and f"{rates[2]['crc_errors']:,}" in shown


@pytest.mark.regress
def test_batch(tmp_path, capsys):
    """A batch at each rate: exact, and slower with errors."""
    out = tmp_path / "link.json"
    assert cli.main(["link", "smoke", *CRC, "--ber", "0,1e-3", "--cycles", "2000", "--batch", "--tokens", "12",
                     "--json", str(out), "--plot", str(tmp_path / "link.png"), "-o", str(tmp_path)]) == 0
    without, with_errors = json.loads(out.read_text())["rates"]
    assert without["batch_exact"] and with_errors["batch_exact"]
    assert with_errors["batch_cycles"] > 1.2 * without["batch_cycles"]
    assert f"{with_errors['batch_cycles']:,.0f}" in capsys.readouterr().out


@pytest.mark.parametrize(("arguments", "named"), [
    ([], "link.crc_bits = 0"),
    ([*CRC, "--ber", "x"], "--ber = 'x'"),
    ([*CRC, "--ber", "0.1,1"], "--ber = '0.1,1'"),
    ([*CRC, "--ber", ""], "--ber = ''"),
    ([*CRC, "--ber", "nan"], "--ber = 'nan'"),
    ([*CRC, "--ber", "0", "--plot", "x.png"], "--ber = '0'"),
    ([*CRC, "--seeds", "0"], "--seeds = 0"),
    ([*CRC, "--cycles", "0"], "--cycles = 0"),
])
def test_wrong_input(arguments, named, capsys):
    """One line that names the field, exit code 2."""
    assert cli.main(["link", "smoke", *arguments]) == 2
    shown = capsys.readouterr().err
    assert named in shown.replace("\n", " ") and "legal values" in shown and "Traceback" not in shown
