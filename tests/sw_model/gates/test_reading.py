"""What ``--trace-as`` may say."""

import numpy as np
import pytest

from tests.support.trace_files import vllm_arrays, vllm_logger
from trajectile.sw_model.gates.reading import LEGAL, Reading
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError


def test_every_key_has_a_field():
    """And nothing is said by default."""
    assert set(LEGAL) == set(Reading.__dataclass_fields__)
    assert Reading.of([]) == Reading()


def test_values():
    """Blanks around = and after commas are as people type them."""
    assert Reading.of(["axes = tokens, layers, top_k", "padding=-1", "shared=2", "weights=even", "order=step"]) == Reading(
        axes="tokens,layers,top_k", padding=-1, shared=2, weights="even", order="step")


@pytest.mark.parametrize("text", [
    "", "=", "axes", "axis=tokens", "axes=", "axes=tokens", "axes=layers,top_k", "zeros=", "zeros=0", "padding=x",
    "padding=1.0", "padding=99999999999", "shared=-1", "ids=", "weights=", "layer=", "rank=", "order=time", "repeats=all"])
def test_values_that_are_refused(text):
    """By option, with what is legal."""
    with pytest.raises(TraceError, match=r"--trace-as.*legal values: "):
        Reading.of([text])


def test_a_key_that_is_given_twice():
    """Which one would be meant?"""
    with pytest.raises(TraceError, match="zeros is given twice"):
        Reading.of(["zeros=missing", "zeros=expert"])


@pytest.mark.parametrize(("name", "said"), [("routed_experts.npy", "order=step"), ("routed_experts.npy", "rank=0"),
                                            ("a.npz", "layer=x"), ("t.json", "axes=tokens,top_k")])
def test_a_key_of_another_form(tmp_path, name, said):
    """What would change nothing is not passed over."""
    np.save(tmp_path / "routed_experts.npy", vllm_arrays())
    np.savez(tmp_path / "a.npz", routed_experts=vllm_arrays())
    vllm_logger(tmp_path / "t.json")
    assert load_trace(tmp_path / name, 8).tokens == 10
    with pytest.raises(TraceError, match=f"--trace-as {said.partition('=')[0]} is not legal for {name}, .* legal values: "):
        load_trace(tmp_path / name, 8, how=Reading.of([said]))
