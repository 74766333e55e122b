"""Gate traces in every form: what another program wrote gives the same trace, and what is wrong is named."""

import io
import json
import struct
import zipfile

import numpy as np
import pytest

from tests.sw_model.gates.test_workloads import arrays
from trajectile.sw_model.gates import npy, traces
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError

#: [layers, tokens, top_k] of layers 4 and 9, and weights
IDS, WEIGHTS = arrays()["topk_ids"], arrays()["topk_weights"]
EVEN = np.full(IDS.shape, np.float32(1 / 3))


def cases(table):
    """Cases that are called by the message they expect, not by their bytes."""
    return [pytest.param(content, named, id=f"{number} {named}") for number, (content, named) in enumerate(table)]


def saved(path, **values):
    np.savez(path, **values)


def vllm_logger(path, *, weights=True, meta=True):
    """A line a token and layer, as loggers in vLLM's fused MoE layer write them."""
    lines = [{"type": "meta", "model_id": "some/model", "layers_logged": [4, 9], "top_k": 3}] if meta else []
    for layer, ids, scores in zip((4, 9), IDS, WEIGHTS, strict=True):
        lines += [{"type": "route", "req_id": "r0", "token_idx": token, "layer": layer, "topk_ids": ids[token].tolist()}
                  | ({"topk_weights": scores[token].tolist()} if weights else {}) for token in range(len(ids))]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")


def megatron(path):
    """A line a step and layer; layers of multi-token prediction in between; a step without tokens."""
    lines = []
    for step, (first, last) in enumerate(((0, 6), (6, 7), (7, 7), (7, 10))):
        for layer, ids in zip((4, 9), IDS, strict=True):
            lines.append({"step": step, "stage": "pre_dispatch", "block": "decoder", "layer": layer, "rank": 0,
                          "num_tokens": last - first, "topk": 3, "top_indices": ids[first:last].tolist()})
        lines.append({"step": step, "block": "mtp", "mtp_idx": 0, "layer": 4, "top_indices": [[0, 1]]})
    path.write_text("\n".join(map(json.dumps, lines)))


def vllm_arrays(layers=2):
    """[tokens, layers, top_k]; layers without experts stay zero."""
    table = np.zeros((10, layers, 3), dtype=np.int16)
    table[:, -2:] = IDS.transpose(1, 0, 2)
    return table


FORMS = {  # how it is written, layer numbers, weights
    "npz": (lambda path: saved(path, **arrays()), [4, 9], WEIGHTS),
    "vllm logger": (vllm_logger, [4, 9], WEIGHTS),
    "vllm logger without weights": (lambda path: vllm_logger(path, weights=False), [4, 9], EVEN),
    "vllm logger without a header": (lambda path: vllm_logger(path, meta=False), [4, 9], WEIGHTS),
    "routed_experts.npy": (lambda path: np.save(path, vllm_arrays()), [0, 1], EVEN),
    "routed_experts with dense layers": (lambda path: np.save(path, vllm_arrays(5)), [3, 4], EVEN),
    "routed_experts.npz": (lambda path: saved(path, routed_experts=vllm_arrays()), [0, 1], EVEN),
    "prompt and answer": (lambda path: saved(path, prompt_routed_experts=vllm_arrays()[:7], routed_experts=vllm_arrays()[7:],
                                             layers=np.array([4, 9]), num_experts=np.array(8)), [4, 9], EVEN),
    "top_indices.npz": (lambda path: saved(path, top_indices=IDS), [0, 1], EVEN),
    "megatron": (megatron, [4, 9], EVEN),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_trace(tmp_path, form):
    """Told apart by content: the name says nothing."""
    write, layers, weights = FORMS[form]
    path = tmp_path / "file.npz"
    write(path)
    if not path.exists():  # np.save adds its own ending
        (tmp_path / "file.npz.npy").rename(path)
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
    (line(topk_ids=[0, -1]), "topk_ids holds -1 to 0"),
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
    (line() + b"\n" + b'{"topk_ids": [0, 1]}', "topk_weights is missing in some lines"),
]))
def test_lines_that_are_refused(tmp_path, content, named):
    """File, line, key."""
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError, match="legal") as error:
        load_trace(tmp_path / "t")
    assert named in str(error.value) and "\n" not in str(error.value)


def raw_npy(shape="(2, 10, 3)", descr="'<i8'", data=b"\0" * 480, version=b"\x01\x00"):
    """A .npy with any header."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(("content", "named"), cases([
    (raw_npy(), "has no layers"),  # complete, so the next ones fail for their header
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
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError, match="legal") as error:
        load_trace(tmp_path / "t")
    assert named in str(error.value)


def archive(*members, compression=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
    return file.getvalue()


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
    monkeypatch.setattr(traces, "MAX_VALUES", 30)
    with pytest.raises(TraceError, match="t:12: more than 30 choices"):
        load_trace(tmp_path / "t")
    monkeypatch.setattr(traces, "MAX_LINE", 50)
    with pytest.raises(TraceError, match="t:1: longer than 50 bytes"):
        load_trace(tmp_path / "t")


def test_a_folder_or_no_file(tmp_path):
    """Said, not raised."""
    for path in (tmp_path, tmp_path / "none", tmp_path / ("a" * 300)):
        with pytest.raises(TraceError, match="legal gate traces: "):
            load_trace(path)
    with pytest.raises(npy.NpyError):
        npy.read_npy(tmp_path)
