"""Traces in all forms: accepted or refused with the file's name; nothing in them is ever unpickled."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.support import trace_files as forms
from tests.support.fuzzing import cases, fuzz, json_values, mutated, run, weighted
from trajectile.scripts.flow import experiments

DTYPES = ["<i2", "<i8", ">i4", "u1", "<u8", "<f2", "<f4", "<f8", "?", "<c8", "<U3", "S2", "<M8[s]", "<m8[s]", "V4", "O"]
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple) | st.sampled_from([(2, 10, 3), (10, 2, 3), (10, 3), (2,), ()])


class Bomb:
    """Unpickling it leaves a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@st.composite
def any_array(draw, bomb):
    """An array of any type, shape and values."""
    kind, shape = draw(st.sampled_from(DTYPES)), draw(SHAPES)
    if kind == "O":
        array = np.empty(shape, dtype=object)
        array[...] = Bomb(bomb)
        return array
    seed = draw(st.integers(0, 9))
    array = np.random.default_rng(seed).integers(0, 8, size=shape).astype(kind)
    if array.dtype.kind == "f" and array.size:
        array.flat[0] = draw(st.sampled_from([np.nan, np.inf, -1, 0.5]))
    elif array.dtype.kind in "iu" and array.size:
        array.flat[0] = draw(st.sampled_from([0, 7, 8, np.iinfo(array.dtype).max, np.iinfo(array.dtype).min]))
    return array


#: headers that say what is not so
LIES = st.tuples(
    st.sampled_from(["(2, 10, 3)", "(4000000000,)", "(-1, 3)", "(2, 10, 10000000)", "()", "(1e3,)", "(True,)", "'a'",
                     "(" * 200]),
    st.sampled_from(["'<i8'", "'|O'", "'<V9999999999'", "[]", "None", "'<i8', 'x': 1"]), st.integers(0, 600))


@st.composite
def any_archive(draw, bomb):
    """A trace's arrays, some replaced, left out, doubled, stored in another way, or under headers that lie."""
    arrays = draw(st.sampled_from([
        forms.arrays(), {"top_indices": forms.IDS}, {"routed_experts": forms.vllm_arrays()},
        {"routed_experts": forms.vllm_arrays(5), "prompt_routed_experts": forms.vllm_arrays(5), "num_experts": np.array(8)}]))
    members = []
    for name, array in arrays.items():
        change = draw(st.sampled_from(["keep"] * 6 + ["any", "drop", "double", "header", "raw"]))
        raw = io.BytesIO()
        np.save(raw, draw(any_array(bomb)) if change == "any" else array)
        content = raw.getvalue()
        if change == "header":
            shape, kind, size = draw(LIES)
            content = forms.raw_npy(shape=shape, descr=kind, data=content[:size])
        elif change == "raw":
            content = draw(mutated(content))
        members += [(f"{name}.npy", content)] * {"drop": 0, "double": 2}.get(change, 1)
    method = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA]))
    return forms.archive(*members, compression=method)


def printed(record):
    """A line: JSON of an object, or a text as it is; ``{}`` for an integer that Python does not print."""
    try:
        return record if isinstance(record, str) else json.dumps(record)
    except ValueError:
        return "{}"


#: choices of experts that are none
ODD = [[[0, 1, 2], [0]], [[0, 1, 2], 3], [[]], [[0, 1], [2, 3]], [0, 1, "2"],
       [0, 1, 2.0], [0, 1, None], [0, 1, 10**30], [0, 1, True]]


#: keys that loggers write beside, or instead of, those of the lines here
KEYS = ["layer_id", "layer_name", "moe_layer", "step", "rank", "token_idx", "req_id", "num_experts", "expert_ids",
        "routing_weights", "scores", "block"]
#: what a user may say of a trace, right or wrong
said = st.lists(st.sampled_from([
    "axes=layers,tokens,top_k", "axes=tokens,top_k", "axes=tokens, layers, top_k", "zeros=missing", "zeros=expert",
    "padding=-1", "padding=7", "none=-1", "none=2", "shared=0", "shared=1", "shared=9", "ids=topk_ids",
    "ids=top_indices", "ids=none",
    "weights=even", "weights=topk_weights", "weights=none", "layer=layer", "layer=none", "rank=0", "rank=all", "order=step",
    "order=file", "repeats=drop", "repeats=keep", "order=", "=", "what=1"]), max_size=2) | st.just([])


@st.composite
def any_lines(draw):
    """Lines of a vLLM logger or of Megatron with values replaced, keys left out, lines cut, doubled or added."""
    lines = [dict(record) for record in draw(st.sampled_from([LOGGER, MEGATRON]))]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        record = lines[place]
        often, seldom = ["value", "value", "nest", "key"], ["drop", "remove", "double", "cut", "text", "twice"]
        kind = draw(st.sampled_from(often * 2 + seldom))
        if kind in ("value", "drop", "twice"):
            if isinstance(record, dict) and record:
                key = draw(st.sampled_from(sorted(record)))
                if kind == "value":
                    choices = st.lists(st.integers(-1, 9), min_size=3, max_size=3)
                    record[key] = draw(st.sampled_from(ODD) | json_values | choices)
                elif kind == "drop":
                    del record[key]
                else:
                    lines[place] = f'{{"{key}": [1, 2, 3], {printed(record)[1:]}'
        elif kind == "key":
            if isinstance(record, dict):
                some = st.integers(0, 2) | st.sampled_from(["model.layers.4.mlp", [0.5, 0.3, 0.2], [0, 1, 2]]) | json_values
                record[draw(st.sampled_from(KEYS))] = draw(some)
        elif kind == "remove" and len(lines) > 1:
            del lines[place]
        elif kind == "double":
            lines.insert(place, record.copy() if isinstance(record, dict) else record)
        elif kind == "cut":
            lines[place] = printed(record)[:draw(st.integers(0, 60))]
        elif kind == "nest":
            depth = st.sampled_from([0, 3, 5000])
            lines[place] = '{"topk_ids": ' + "[" * draw(depth) + "]" * draw(depth)
        else:
            lines.insert(place, draw(st.text(max_size=9)))
    whole = "\n".join(map(printed, lines))
    if draw(st.integers(0, 4)) == 0:  # one document: an array, or objects over several lines
        whole = draw(st.sampled_from(["[" + ",\n".join(map(printed, lines)) + "]", whole.replace("{", "{\n")]))
    return (draw(st.sampled_from(["", "", "\ufeff"])) + whole).encode("utf-8", "surrogatepass")


def _written(write, folder):
    path = folder / "t.npz"
    write(path)
    found = path if path.exists() else folder / "t.npz.npy"
    content = found.read_bytes()
    found.unlink()
    return content


@pytest.fixture(scope="module", autouse=True)
def valid(tmp_path_factory):
    """A file of each form."""
    global LOGGER, MEGATRON
    folder = tmp_path_factory.mktemp("forms")
    files = [_written(write, folder) for write, *_ in forms.FORMS.values()]
    forms.vllm_logger(folder / "a")
    forms.megatron(folder / "b")
    LOGGER, MEGATRON = ([json.loads(line) for line in (folder / name).read_text().splitlines()] for name in ("a", "b"))
    return files


@cases(400, 3000)
@pytest.mark.timeout(800)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_traces(tmp_path, number, request, valid):
    """In structure, in bytes, or anything at all; through a command that plays a batch of what is accepted."""
    path, bomb, out = tmp_path / "routed_experts.npy", tmp_path / "bomb", tmp_path / "out"
    fixed = ["--set", "layer.experts=8", "--set", "layer.top_k=3", "--tokens", "2", "--batches", "1", "--slack", "0"]

    def check(case):
        content, said = case
        path.write_bytes(content)
        experiments._trace.cache_clear()  # a command reads a file once
        options = [part for text in said for part in ("--trace-as", text)]
        code, text = run(["buffer", "smoke", *fixed, "--trace", str(path), *options, "-o", str(out)])
        assert not bomb.exists()
        if code == 0:
            return True
        # another number of tokens, layers or experts than asked for is named by the option
        assert "trace" in text or "routed_experts.npy" in text, text
        return False

    which = st.integers(0, len(valid) - 1)
    everything = weighted((3, which.flatmap(lambda n: mutated(valid[n]))), (3, any_archive(bomb)), (3, any_lines()),
                          (1, which.map(valid.__getitem__)), (1, st.binary(max_size=80)))
    fuzz(number, request, st.tuples(everything, said), check)


def test_the_bomb_goes_off(tmp_path):
    """The check above can fail: NumPy does unpickle it when asked."""
    array = np.empty(1, dtype=object)
    array[0] = Bomb(tmp_path / "bomb")
    np.save(tmp_path / "a.npy", array)
    np.load(tmp_path / "a.npy", allow_pickle=True)[0].close()
    assert (tmp_path / "bomb").exists()
