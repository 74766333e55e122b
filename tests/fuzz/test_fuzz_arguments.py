"""Options with any value: accepted, refused by the parser with its usage, or refused with the option's name."""

import pytest
from hypothesis import strategies as st

from tests.support.fuzzing import cases, fuzz, run
from trajectile.scripts.flow import deferral

numbers = st.one_of(st.integers(-2, 20), st.integers(), st.sampled_from([2**63, -2**63, 10**400])).map(str)
odd = ["", "0", "nan", "1e999", "1_0", "1,2", "0,0.5", "x" * 5000, "9" * 4400, "--", "-", "é", "\udcff"]
texts = st.one_of(numbers, st.floats().map(repr), st.text(max_size=6), st.sampled_from(odd))


@cases(150, 700)
@pytest.mark.timeout(300)
def test_options(tmp_path, number, request, monkeypatch):
    """Of the command that needs no tool; what is accepted is not played."""
    monkeypatch.setattr(deferral, "measure", lambda config, batches, slack, order: {
        "slack": slack, "tokens": 1, "cycles": 1, "tokens_per_million_cycles": 1.0, "held_tokens": 0, "mean_wait_cycles": 0.0,
        "longest_wait_cycles": 0})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    names = ["--tokens", "--batches", "--seed", "--skew", "--slack", "--layer", "--order", "--trace", "--set"]

    def check(chosen):
        code, text = run(["buffer", "smoke", "--tokens", "4", *(part for pair in chosen for part in pair)])
        if code == 2 and not text.startswith("usage: "):
            assert any(word in text for word in ("--", "layer", "trace", "tile.", "array.", "link.", "ddr.")), text
        return code == 0

    places = st.tuples(st.sampled_from(["-o", "--fit"]), st.sampled_from(["out", "file", "file/x", "a\0", "a" * 300, "."]))
    pairs = st.lists(st.tuples(st.sampled_from(names), texts | numbers) | places, min_size=1, max_size=3)
    fuzz(number, request, pairs, check)
