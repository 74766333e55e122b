"""Gate traces in every form: what another program wrote gives the same trace, and what is wrong is named."""

import json

import numpy as np
import pytest

from tests.support.trace_files import FORMS, IDS, archive, arrays, raw_npy, saved, vllm_logger
from trajectile.sw_model.gates import json_records, line_traces, npy
from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError


def cases(table):
    """Cases that are called by the message they expect, not by their bytes."""
    return [pytest.param(content, named, id=f"{number} {named}") for number, (content, named) in enumerate(table)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_trace(tmp_path, form):
    """Told apart by content, not by ending; only an array that stands alone has its name from its file."""
    write, layers, weights = FORMS[form]
    path = tmp_path / "routed_experts.npy"
    write(path)
    if not path.exists():  # np.savez adds its own ending
        (tmp_path / "routed_experts.npy.npz").rename(path)
    trace = load_trace(path, 8)
    np.testing.assert_array_equal(trace.topk_ids, IDS)
    np.testing.assert_array_equal(trace.topk_weights, weights.astype(np.float32))
    assert trace.layers.tolist() == layers and trace.experts == 8 and trace.tokens == 10
    assert load_trace(path).experts == 8  # all eight occur
    if form != "npz" and "prompt" not in form:
        with pytest.raises(TraceError, match=r"holds expert 7; legal values: 0 to layer\.experts - 1 = 5"):
            load_trace(path, 6)


def test_one_layer_of_top_indices(tmp_path):
    """[tokens, top_k]."""
    saved(tmp_path / "a.npz", top_indices=IDS[0])
    assert load_trace(tmp_path / "a.npz", 64).topk_ids.shape == (1, 10, 3)


def line(**values):
    return json.dumps({"layer": 0, "topk_ids": [0, 1], "topk_weights": [0.5, 0.5]} | values).encode()


@pytest.mark.parametrize(("content", "named"), cases([
    (line() + b"\n{", "t:2: not JSON"),
    (line() + b"\n[1]", "t:2: not a JSON object"),
    (line() + b"\n" + b'{"a":' * 100000, "t:2: not JSON (nested too deeply)"),
    (b'{"topk_ids": [' + b"9" * 5000 + b"]}", "t:1: not JSON"),
    (b'{"topk_ids": ' + b"[" * 900 + b"]" * 900 + b"}", "t:1: topk_ids is not legal"),
    (line() + b"\n\xff", "t:2: not JSON"),
    (line() + b'\n{"type": "route"}', "t:2: topk_ids is missing"),
    (line() + b"\n{}", "t:2: topk_ids is missing"),
    (b'{"type": "meta"}', "no line has topk_ids"),
    (line(topk_ids=[0, 1, 2]), "t:1: topk_weights has shape [1, 2]"),
    (line() + b"\n" + line(topk_ids=[0, 1, 2], topk_weights=[1, 1, 1]), "t:2: topk_ids names 3 experts"),
    (line(topk_ids=[[0, 1], [0]]), "t:1: topk_ids is not legal"),
    (line(topk_ids=[0.0, 1.0]), "t:1: topk_ids is not legal"),
    (line(topk_ids=["0", "1"]), "t:1: topk_ids is not legal"),
    (line(topk_ids=[True, False]), "t:1: topk_ids is not legal"),
    (line(topk_ids=[0, 10**30]), "t:1: topk_ids is not legal"),
    (line(topk_ids={}), "t:1: topk_ids is not legal"),
    (line(topk_ids=[]), "t:1: topk_ids is not legal"),
    (line(topk_ids=None), "t:1: topk_ids is not legal"),
    (line(topk_ids=[0, -1]), "topk_ids holds -1 for 1 of 1 tokens"),
    (line(topk_ids=[1, 1]), "an expert twice"),
    (line(topk_ids=[1, 2**40]), "num_experts = 1099511627777 is not legal"),
    (line(topk_weights=["a", "b"]), "t:1: topk_weights is not legal"),
    (line(topk_weights=[float("nan"), 1]), "topk_weights holds a value that is negative or not finite"),
    (line(topk_weights=[1, float("inf")]), "topk_weights holds"),
    (line(topk_weights=[-1, 1]), "topk_weights holds"),
    (line(topk_weights=[1e300, 1]), "topk_weights holds"),
    (line(layer=-1), "t:1: layer is not legal"),
    (line(layer="0"), "t:1: layer is not legal"),
    (line(layer=1.0), "t:1: layer is not legal"),
    (line(num_experts=0), "t:1: num_experts is not legal"),
    (line(num_experts=1), "topk_ids holds 0 to 1"),
    (line() + b"\n" + line(layer=1) + b"\n" + line(layer=1), "layers have 1 to 2 tokens"),
    (line() + b"\n" + b'{"layer": 0, "topk_ids": [0, 1]}', "topk_weights is missing in some lines"),
    (line() + b"\n" + b'{"topk_ids": [0, 1]}', "t:2: the layer is missing, unlike"),
]))
def test_lines_that_are_refused(tmp_path, content, named):
    """File, line, key."""
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError, match="legal") as error:
        load_trace(tmp_path / "t")
    assert named in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("content", "named"), cases([
    (raw_npy(), "is zero in all 10 layers"),  # complete, so the next ones fail for their header
    (raw_npy(data=b"\0" * 479), "takes 480 bytes"),
    (raw_npy(shape="(1000000000000, 10, 3)"), "shape [1000000000000, 10, 3] is not legal"),
    (raw_npy(shape="(10000, 10000, 3)"), "shape [10000, 10000, 3] is not legal"),
    (raw_npy(shape="(1000, 1000, 3)"), "takes 24000000 bytes"),
    (raw_npy(shape="(-2, 10, 3)"), "is not legal"),
    (raw_npy(shape="(0, 1000000000000, 3)"), "is not legal"),
    (raw_npy(descr="'O'"), "pickled objects are never loaded"),
    (raw_npy(descr="'<U0'"), "type <U0 is not legal"),
    (raw_npy(descr="[('a', '<i8')]"), "is not legal"),
    (raw_npy(descr="'<m8'"), "is not legal"),
    (raw_npy(descr="'<f8'"), "routed_experts has shape"),
    (raw_npy(descr="'nonsense'"), "ValueError"),
    (raw_npy(descr="__import__('os')"), "ValueError"),
    (raw_npy(shape="(" * 5000 + ")" * 5000), "legal"),
    (raw_npy(shape="(480,)", descr="'|i1'"), "routed_experts has shape"),
    (raw_npy(version=b"\x03\x00"), "version (3, 0)"),
    (raw_npy()[:20], "legal"),
    (b"\x93NUMPY", "legal"),
]))
def test_arrays_that_are_refused(tmp_path, content, named):
    """What a header claims is compared with what is there before anything is made of it."""
    (tmp_path / "routed_experts.npy").write_bytes(content)
    with pytest.raises(TraceError, match="legal") as error:
        load_trace(tmp_path / "routed_experts.npy")
    assert named in str(error.value)


@pytest.mark.parametrize(("content", "named"), cases([
    (archive(), "topk_ids is missing; there are no arrays"),
    (archive(("data.pkl", b"x"), ("data/0", b"x")), "topk_ids is missing; there are data.pkl, data/0"),  # PyTorch's files
    (archive(("topk_ids.npy", b"")), "topk_ids: "),
    (archive(("topk_ids.npy", raw_npy(descr="'O'"))), "topk_ids: type object is not legal"),
    (archive(("topk_ids.npy", raw_npy(shape="(1000000000000,)"))), "topk_ids: shape"),
    (archive(("topk_ids.npy", raw_npy(shape="(100000000,)"))), "topk_ids: shape [100000000] of int64 takes 800000000 bytes"),
    (archive(("topk_ids.npy", raw_npy()))[:-30], "BadZipFile"),
    (archive(*[(f"{n}.npy", b"") for n in range(1025)]), "1025 arrays"),
    (archive(("routed_experts.npy", raw_npy(shape="(20, 3)"))), "routed_experts has shape [20, 3]"),
    (archive(("routed_experts.npy", raw_npy()), ("prompt_routed_experts.npy", raw_npy(shape="(2, 3, 10)"))), "[2, 3, 10]"),
    (archive(("top_indices.npy", raw_npy(shape="(60,)"))), "top_indices has shape [60]"),
    (archive(("top_indices.npy", raw_npy(shape="(2, 0, 3)")), ("layers.npy", raw_npy(shape="(2,)"))), "layers has 2 entries"),
    (archive(("top_indices.npy", raw_npy(shape="(0, 5, 3)"))), "has no layers"),
    (archive(("top_indices.npy", raw_npy(shape="(2, 10, 0)"))), "twice"),
    (b"PK\x03\x04 broken", "BadZipFile"),
    (b"", "no trace of a known form"),
    (b"text", "no trace of a known form"),
    (b"\x80\x04K\x01.", "no trace of a known form"),
]))
def test_files_that_are_refused(tmp_path, content, named):
    """Archives that are cut, empty, of another program, or that claim too much."""
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError, match="legal") as error:
        load_trace(tmp_path / "t")
    assert named in str(error.value)


def test_a_name_that_stands_twice(tmp_path):
    """Which one would be meant?"""
    with pytest.warns(UserWarning, match="Duplicate"):
        (tmp_path / "t").write_bytes(archive(("topk_ids.npy", raw_npy()), ("topk_ids.npy", raw_npy())))
    with pytest.raises(TraceError, match="2 arrays of 1 names"):
        load_trace(tmp_path / "t")


def test_other_arrays_are_not_touched(tmp_path):
    """An object array beside the trace is not looked at."""
    np.savez(tmp_path / "t.npz", **arrays(), notes=np.array([{}], dtype=object))
    assert load_trace(tmp_path / "t.npz").tokens == 10


def test_lines_and_files_without_end(tmp_path, monkeypatch):
    """A line or a file above the limits."""
    vllm_logger(tmp_path / "t")
    monkeypatch.setattr(line_traces, "MAX_VALUES", 30)
    with pytest.raises(TraceError, match="t:12: more than 30 choices"):
        load_trace(tmp_path / "t")
    monkeypatch.setattr(json_records, "MAX_LINE", 50)
    with pytest.raises(TraceError, match="t:1: longer than 50 bytes"):
        load_trace(tmp_path / "t")


#: what is said of a shared case, and the layers and tokens that come out; None: it is refused
CASES = {
    "bom-crlf": ((), [0], 12), "json-array": ((), [0], 12), "json-pretty": ((), [0], 12), "npz-f16": ((), [3], 12),
    "jsonl-layer_id": ((), [3, 4], 8), "topk-by-layer": ((), None, 0),
    "all-zero": ((), None, 0), "redundant-ids": ((), None, 0), "repeated-expert": ((), None, 0),
    "fortran-bigendian": (("axes=tokens,layers,top_k",), [0, 1], 12),
    "layers-first": (("axes=layers,tokens,top_k",), list(range(20)), 12),
    "minus-one-padding": (("padding=-1",), [0, 1], 10), "ranks-repeat": (("rank=0",), [0, 1], 6),
    "selection-scores": (("weights=even",), [0], 12), "steps-order": (("order=step",), [0], 12),
    "top1-dense-zero": (("zeros=missing",), [1, 3], 12), "top1-prefix-gap": (("zeros=missing",), [0, 1], 4),
    "top2-prefix-gap": (("zeros=missing",), [0, 1], 4),
}


@pytest.mark.parametrize("name", CASES)
def test_shared_cases(shared, name):
    """Files that were read wrongly once: read rightly, or refused until the user says what is meant."""
    folder = shared / "cases" / f"trace-{name}"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    path = next(path for path in folder.iterdir() if path.name != "README")
    said, layers, tokens = CASES[name]
    if said or layers is None:
        with pytest.raises(TraceError, match="legal"):
            load_trace(path, 6)
    if layers is not None:
        trace = load_trace(path, 6, how=Reading.of(said))
        assert trace.layers.tolist() == layers and trace.tokens == tokens
    if name == "topk-by-layer":
        assert load_trace(path, 6, layer=0).topk_ids.shape == (1, 8, 2)


def test_a_folder_or_no_file(tmp_path):
    """Said, not raised."""
    for path in (tmp_path, tmp_path / "none", tmp_path / ("a" * 300)):
        with pytest.raises(TraceError, match="legal gate traces: "):
            load_trace(path)
    with pytest.raises(npy.NpyError):
        npy.read_npy(tmp_path)
