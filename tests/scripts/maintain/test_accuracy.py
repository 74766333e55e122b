"""The accuracy command, on a small model of the same kind: its schemes, its table, MLPs through the Verilog, exit codes."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.paths import DOCS
from tests.support.small_smollm2 import D_MODEL, SmallTokenizer, small_model
from trajectile.scripts.errors import ToolError
from trajectile.scripts.flow import smollm2
from trajectile.scripts.maintain import pages
from trajectile.scripts.maintain.accuracy import __main__ as command
from trajectile.scripts.maintain.accuracy import measure, rtl
from trajectile.scripts.maintain.accuracy.measure import KINDS, SCHEMES, Measured, Scheme
from trajectile.sw_model.numerics.fidelity import fidelity
from trajectile.tb.runner import SimulationError
from trajectile.tb.scoreboard import Verdict


@pytest.fixture(scope="module", name="model")
def random_model():
    """As ``small_model`` draws it."""
    return small_model()


@pytest.fixture(name="installed")
def small_model_installed(model, monkeypatch):
    """The command finds the small model, a tokenizer without a package, and little text."""
    monkeypatch.setattr(smollm2, "load", lambda: model)
    monkeypatch.setattr(smollm2, "tokenizer", lambda _: SmallTokenizer)
    monkeypatch.setattr(measure, "PREDICTED", 9)
    monkeypatch.setattr(smollm2, "CALIBRATED", 16)
    return model


def pretend(monkeypatch, exact):
    """Runs through the Verilog take no time and are exact or not; returns the batches they were given."""
    given = []

    def simulate(config, load, **_):
        given.append((config, load))
        verdict = Verdict(exact, "all equal" if exact else "1 of 9 results differ")
        return SimpleNamespace(exact=exact, cycles=7, first=SimpleNamespace(results=verdict, events=verdict))
    monkeypatch.setattr(rtl.simulation, "simulate", simulate)
    return given


def names(text):
    """Schemes of a table's rows."""
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:]


def test_without_the_model(monkeypatch, capsys):
    """One line that says how it is installed, exit code 3; the page says the same."""
    monkeypatch.setattr(smollm2, "find_spec", lambda name: None)
    assert command.main([]) == 3
    shown = capsys.readouterr().err
    assert smollm2.INSTALL in shown and shown.count("\n") == 1
    assert smollm2.INSTALL in (DOCS / "numerics.md").read_text(encoding="utf-8")


def test_the_table():
    """Perplexities relative to the first row's and to those with exact activations; tokens that were zero or clipped."""
    near = fidelity(np.array([[1.0, 0], [0, 0]]), np.array([[1.0, 0], [0, 1]]))
    exact, layer = Scheme("exact", measure.float32), Scheme("layer", measure.float32, "exact")
    rows = command.table([Measured(Scheme("float32", measure.float32), 10, 4, near), Measured(exact, 12.5, 4, near),
                          Measured(layer, 13, 4, near, 3)]).splitlines()
    assert rows[3] == "| exact | 12.50 | 1.250 |  | 3.0 dB | 0.50000 | 0.000 | 1 |  |"
    assert rows[4] == "| layer | 13.00 | 1.300 | 1.040 | 3.0 dB | 0.50000 | 0.000 | 1 | 3 |"


def test_the_page():
    """Every scheme has its row, mx8 is within 1 % of float32, and what is said of the Verilog is of the page's blocks."""
    text = pages.read_part("numerics.md", "accuracy")
    assert names(text) == [scheme.name for scheme in SCHEMES]
    row = next(line for line in text.splitlines() if line.startswith("| mx8, integer layer |"))
    assert float(row.split("|")[3]) <= 1.01
    assert f"blocks {' and '.join(map(str, command.PAGE_BLOCKS))}, in mx8 and mxfp4." in text


def test_all_schemes(installed, monkeypatch, capsys):
    """A row per scheme; float32 is what it is; two runs print the same."""
    given = pretend(monkeypatch, True)
    assert command.main([]) == 0
    first = capsys.readouterr().out
    assert names(first) == [scheme.name for scheme in SCHEMES]
    assert first.splitlines()[2].split("|")[3] == " 1.000 "
    assert not given
    assert command.main([]) == 0
    assert capsys.readouterr().out == first


def test_blocks_have_scales(installed):
    """An outlier costs its block with a scale for each, and all of the token with one."""
    text = measure.windows(installed)
    found = [measure.measure(installed, scheme, scheme.mlp(installed), text)
             for scheme in SCHEMES if scheme.name.startswith("mx8, integer layer")]
    assert found[0].fidelity.sqnr_db > found[1].fidelity.sqnr_db + 3
    assert all(one.clipped == 0 for one in found)


def test_one_scale():
    """Shifts are all that of the largest block, and values the nearest."""
    x = np.full((2, 64), 0.3, dtype=np.float32)
    x[1, 40] = 2.0
    batch = measure.one_scale(x)
    assert (batch.shift == batch.shift[:, :1]).all()
    real = np.ldexp(batch.integers(np.arange(2)), batch.exponent[:, None])
    step = np.ldexp(1.0, batch.exponent + batch.shift[:, 0])
    assert (np.abs(real - x) <= step[:, None] / 2).all()
    np.testing.assert_array_equal(measure.one_expert(x).x[0], batch.x[0])


def test_tokens_know_nothing_of_each_other(installed):
    """A part of a batch gives what the whole gives for it: the Verilog may run the first tokens only."""
    mlps = measure.IntegerMlps(installed, KINDS["mxfp4"])
    print("seed 6")
    x = np.random.default_rng(6).standard_normal((10, D_MODEL)).astype(np.float32)
    np.testing.assert_array_equal(mlps(0, x)[:4], mlps(0, x[:4]))
    np.testing.assert_array_equal(mlps.first[0], x)


def test_clips_are_counted(installed):
    """Gate values beyond the format's end."""
    mlps = measure.IntegerMlps(installed, KINDS["mx8"])
    mlps(1, np.full((3, D_MODEL), 0.1, dtype=np.float32))
    assert mlps.clipped == 0
    mlps(1, np.full((3, D_MODEL), 1e5, dtype=np.float32))
    assert mlps.clipped == 3


def test_through_the_verilog(installed, monkeypatch, capsys):
    """The first tokens of the blocks that were named, in both formats, as the integer layer had them."""
    given = pretend(monkeypatch, True)
    monkeypatch.setattr(rtl, "TOKENS", 4)
    assert command.main(["--rtl", "1,0"]) == 0
    assert [(config.tile.weights, load.source) for config, load in given] == [
        (weights, f"SmolLM2, block {block}") for weights in ("mx8", "mxfp4") for block in (1, 0)]
    assert {(config.slice_ff, load.values.batch.x.shape) for config, load in given} == {(32, (4, D_MODEL))}
    shown = capsys.readouterr().out
    assert "mx8, block 1, 4 tokens through the Verilog in 7 cycles: bit-equal (all equal; all equal)" in shown


def test_the_verilog_differs(installed, monkeypatch, capsys):
    """Exit code 1, and the page stays as it is."""
    pretend(monkeypatch, False)
    monkeypatch.setattr(command, "PAGE_BLOCKS", (0, 1))
    monkeypatch.setattr(pages, "write_part", lambda *_: pytest.fail("written"))
    assert command.main(["--write"]) == 1
    assert "NOT EQUAL (1 of 9 results differ" in capsys.readouterr().out


def test_written(installed, monkeypatch):
    """With ``--write`` the table and what ran, on the page."""
    pretend(monkeypatch, True)
    monkeypatch.setattr(command, "PAGE_BLOCKS", (0, 1))
    written = {}
    monkeypatch.setattr(pages, "write_part", lambda page, part, text: written.update({(page, part): text}))
    assert command.main(["--write"]) == 0
    text = written["numerics.md", "accuracy"]
    assert "| mx8, integer layer |" in text and "blocks 0 and 1, in mx8 and mxfp4" in text


@pytest.mark.parametrize("blocks", ["2", "-1"])
def test_no_such_block(installed, capsys, blocks):
    """Exit code 2, the value and the legal ones."""
    assert command.main([f"--rtl={blocks}"]) == 2
    assert f"--rtl = {blocks} is not legal; legal values: 0 to 1" in capsys.readouterr().err


def test_no_number(capsys):
    """The parser refuses it."""
    with pytest.raises(SystemExit, match="2"):
        command.main(["--rtl", "first"])
    assert "'first' is not legal" in capsys.readouterr().err


def test_simulator_fails(installed, monkeypatch):
    """An error of the tool, for exit code 3."""
    def simulate(*_, **__):
        raise SimulationError("no compiler")
    monkeypatch.setattr(rtl.simulation, "simulate", simulate)
    mlps = measure.IntegerMlps(installed, KINDS["mx8"])
    mlps(0, np.ones((2, D_MODEL), dtype=np.float32))
    with pytest.raises(ToolError, match="no compiler"):
        rtl.run(installed, mlps, 0)


@pytest.mark.regress
def test_verilog_of_the_small_model(installed, monkeypatch, tmp_path):
    """Nothing is pretended: bit-equal in Verilator, clips among what is compared."""
    monkeypatch.setattr(rtl, "FOLDER", tmp_path)
    mlps = measure.IntegerMlps(installed, KINDS["mxfp4"])
    x = np.ones((5, D_MODEL), dtype=np.float32)
    x[2] *= 1e5
    mlps(1, x)
    assert mlps.clipped == 1
    ran = rtl.run(installed, mlps, 1)
    assert ran.exact and "320 results and 5 counts of clips equal" in ran.message, ran


def test_rotary_positions_keep_lengths():
    """Position 0 is not turned, and no pair changes its length."""
    print("seed 2")
    x = np.random.default_rng(2).standard_normal((5, 2, smollm2.HEAD_DIM)).astype(np.float32)
    turned = smollm2._rotated(x)
    np.testing.assert_array_equal(turned[0], x[0])
    before, after = (np.hypot(pairs[..., 0::2], pairs[..., 1::2]) for pairs in (x, turned))
    np.testing.assert_allclose(after, before, rtol=1e-5)
