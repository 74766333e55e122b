"""Checkpoints, their JSON files and imported layers: accepted or refused with the file's or the tensor's name."""

import json
import struct

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.support import checkpoints, gguf_files, models
from tests.support.fuzzing import cases, fuzz, json_values, mutated, run, weighted
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.checkpoints.tensors import CheckpointError
from trajectile.sw_model.gates.router import Router, Rule
from trajectile.sw_model.numerics.integer import quantise_layer
from trajectile.sw_model.numerics.weights import WeightFormat

FACTS = {"num_experts_per_tok": 2, "norm_topk_prob": True, "hidden_act": "silu"}


def header_of(raw):
    """Header and data of a safetensors file."""
    size = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8:8 + size]), raw[8 + size:]


def printed(value):
    """JSON; ``{}`` for an integer that Python does not print."""
    try:
        return json.dumps(value).encode("utf-8", "surrogatepass")
    except ValueError:
        return b"{}"


#: tensors and the file of every naming, types in turn, for the smoke hardware; strategies hold numbers into it, not its bytes
VALID = []


@pytest.fixture(scope="module", autouse=True)
def valid(tmp_path_factory):
    """Make them."""
    folder = tmp_path_factory.mktemp("valid")
    VALID.clear()
    for number, naming in enumerate(checkpoints.NAMINGS):
        dtype = list(checkpoints.TYPES)[number % 3]
        layer, router = checkpoints.weights(experts=3, d_ff=6, dtype=dtype)
        table = checkpoints.tensors(naming, layer, router, dtype=dtype)
        checkpoints.write(folder / naming, table)
        VALID.append((table, (folder / naming / "model.safetensors").read_bytes()))


WHICH = st.integers(0, len(checkpoints.NAMINGS) - 1)
#: what is replaced in a tensor's name, and by what
RENAMED = [("1", "01"), ("3", "4"), ("weight", "bias"), (".weight", ".weight.x"), ("0", "1000000"), ("experts", "expert"),
           ("model.", "mtp."), (".", "\n")]
RESHAPED = [np.transpose, np.ravel, lambda tensor: tensor[None], lambda tensor: tensor[:1], lambda tensor: tensor[:0]]


@st.composite
def any_table(draw, table=None):
    """A layer's tensors, some left out, renamed, reshaped, of another type, or with values that no layer has."""
    table = dict(VALID[draw(WHICH)][0] if table is None else table)
    for _ in range(draw(st.sampled_from([0, 1, 1, 1, 2, 3]))):
        name = draw(st.sampled_from(sorted(table, key=lambda name: ("experts" not in name, name))))
        kind = draw(st.sampled_from(["values", "values", "drop", "rename", "shape", "type", "empty", "add"]))
        tensor = table[name]
        if kind == "values" and tensor.size:
            tensor = tensor.astype(np.float32)
            tensor.flat[0] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, 0.0, 6e4]))
            if draw(st.booleans()):
                tensor[...] = tensor.flat[0]
            table[name] = tensor
        elif kind == "drop" and len(table) > 1:
            del table[name]
        elif kind == "rename":
            table[name.replace(*draw(st.sampled_from(RENAMED)))] = table.pop(name)
        elif kind == "shape" and tensor.ndim:
            table[name] = np.ascontiguousarray(draw(st.sampled_from(RESHAPED))(tensor))
        elif kind == "type":
            with np.errstate(invalid="ignore", over="ignore"):
                table[name] = tensor.astype(draw(st.sampled_from([np.int8, np.uint16, np.float64, np.bool_, np.float16])))
        elif kind == "empty":
            table[name] = np.zeros(draw(st.sampled_from([(0,), (), (0, 12), (6, 0), (1, 1), (3, 12, 12)])), np.float32)
        else:
            table[name + draw(st.sampled_from([".bias", "_scale_inv", "2", ""]))] = tensor
    return table


@st.composite
def any_header(draw, raw=None):
    """A file under a header with values replaced, added, left out or doubled, or under a length that lies."""
    header, data = header_of(raw or VALID[draw(WHICH)][1])
    name = draw(st.sampled_from(sorted(header)))
    kind = draw(st.sampled_from(["dtype", "shape", "offsets", "value", "drop", "twice", "meta", "length", "nest"]))
    entry = header[name]
    if kind == "dtype":
        entry["dtype"] = draw(st.sampled_from(["F8_E4M3", "I64", "F64", "BOOL", "X", "", "bf16"]) | json_values)
    elif kind == "shape":
        entry["shape"] = draw(st.lists(st.integers(-1, 2**64), max_size=4) | st.just([2**40, 2**40]) | json_values)
    elif kind == "offsets":
        entry["data_offsets"] = draw(st.lists(st.integers(-1, 2**64), max_size=3) | json_values)
    elif kind == "value":
        header[name] = draw(json_values)
    elif kind == "drop":
        del header[name]
    elif kind == "meta":
        header["__metadata__"] = draw(json_values)
    text = printed(header)
    if kind == "twice":
        text = text[:-1] + b"," + printed({name: entry})[1:]
    elif kind == "nest":
        text = b'{"a":' * draw(st.sampled_from([2, 100, 100000])) + text
    length = draw(st.sampled_from([0, 7, 2**31, 2**63, 2**64 - 1])) if kind == "length" else len(text)
    return struct.pack("<Q", length) + text + data


def imported(source, out, *named):
    """Whether a checkpoint is imported; if not, the message names its path, a field of the configuration or one of these."""
    code, text = run(["import", str(source), "-o", str(out), "--config", "smoke", "--tokens", "4"])
    if code == 0:
        assert layer_file.load(out / "layer.safetensors").top_k >= 1
        return True
    assert any(name in text for name in (str(source), "layer.", "tile.", *named)), text
    return False


@cases(250, 1500)
@pytest.mark.timeout(800)
def test_checkpoints(tmp_path, number, request):
    """In tensors, in headers, in bytes, in their JSON, or anything at all; through ``trajectile import``."""
    folder, out = tmp_path / "model", tmp_path / "out"
    folder.mkdir()
    path, facts, index = folder / "model.safetensors", folder / "config.json", folder / "model.safetensors.index.json"

    def check(case):
        (kind, content), config, places = case
        for old in folder.iterdir():
            old.unlink()
        if kind == "table":
            checkpoints.write(folder, content)
        else:
            path.write_bytes(content)
        facts.write_bytes(config)
        if places is not None:
            index.write_bytes(places)
        return imported(folder, out, "experts", "gate.weight")

    tables = st.tuples(st.just("table"), any_table())
    spoilt = WHICH.flatmap(lambda which: mutated(VALID[which][1]))
    files = st.tuples(st.just("file"), st.one_of(any_header(), spoilt, st.binary(max_size=60)))
    changes = st.tuples(st.sampled_from(sorted(FACTS)), json_values)
    configs = weighted((30, st.just(printed(FACTS))), (1, json_values.map(printed)), (1, mutated(printed(FACTS))),
                       (2, changes.map(lambda change: printed(FACTS | dict([change])))))
    places = dict.fromkeys(VALID[0][0], "model.safetensors")
    index_text = printed({"weight_map": places})
    others = st.dictionaries(st.sampled_from(sorted(places)), json_values | st.sampled_from(["../a", "", "a\0b"]), max_size=2)
    indexes = weighted((30, st.none()), (1, st.just(index_text)), (1, mutated(index_text)), (1, json_values.map(printed)),
                       (2, others.map(lambda some: printed({"weight_map": places | some}))))
    fuzz(number, request, st.tuples(weighted((2, tables), (1, files)), configs, indexes), check)


#: models whose tensors, biases or keys no naming above has; their types are those that the library takes from NumPy
MODELS = {name: models.MODELS[name] for name in (
    "gpt-oss", "Granite with a shared expert", "DBRX", "Llama-4", "LongCat-Flash")}


@cases(60, 600)
@pytest.mark.timeout(800)
def test_checkpoints_of_models(tmp_path, number, request):
    """In tensors and in a key of their own configuration; through ``trajectile import``."""
    made = {name: make() for name, make in MODELS.items()}
    folder, out = tmp_path / "model", tmp_path / "out"

    def any_model(name):
        keys = sorted(key for key in made[name].config if key not in ("model_type", "text_config"))
        change = st.tuples(st.sampled_from(keys), json_values).map(lambda one: dict([one]))
        config = weighted((4, st.just({})), (1, change))
        return st.tuples(st.just(name), any_table(made[name].tensors), config)

    def check(case):
        name, table, changes = case
        for old in folder.iterdir() if folder.exists() else ():
            old.unlink()
        checkpoints.write(folder, table)
        (folder / "config.json").write_bytes(printed(made[name].config | changes))
        return imported(folder, out, "experts", "gate.", "router.", "linear", "mlp", "shared_expert")
    fuzz(number, request, st.sampled_from(sorted(made)).flatmap(any_model), check)


@cases(100, 800)
@pytest.mark.timeout(300)
def test_imported_layers(tmp_path, number, request):
    """The file that ``--weights`` reads."""
    layer, router = checkpoints.weights(experts=3, d_ff=6)
    path = tmp_path / "layer.safetensors"
    whole = quantise_layer(layer, WeightFormat("mxfp4", mantissa=True))
    layer_file.save(path, layer_file.SavedLayer(whole, 2, "x", Router(rule=Rule(top_k=2), weight=router)))
    raw = path.read_bytes()

    def check(content):
        path.write_bytes(content)
        try:
            saved = layer_file.load(path)
        except CheckpointError as error:
            assert "layer.safetensors: " in str(error) and "legal" in str(error)
            return False
        for matrices in (saved.layer.gate, saved.layer.up, saved.layer.down):
            assert set(np.unique(matrices.codes).tolist()) <= {0, 1, 2, 3, 4, 6, 8, 12, -1, -2, -3, -4, -6, -8, -12}
            assert matrices.shifts.max() <= 7 and matrices.mantissas.max() <= 7
        assert 0 <= saved.layer.result_shift(0) <= 255 and 1 <= saved.layer.function.gate_max <= 32767
        return True

    weights = mutated(raw[-300:]).map(lambda end: (raw[:-300] + end)[:len(raw)].ljust(len(raw), b"\x80"))
    fuzz(number, request, st.one_of(st.just(raw), weights, mutated(raw), any_header(raw)), check)


@cases(100, 800)
@pytest.mark.timeout(800)
def test_gguf_files(tmp_path, number, request):
    """In metadata, in names, in bytes of the header; through ``trajectile import``."""
    layer, router = checkpoints.weights(experts=3, d_ff=32, d_model=32)
    table, _ = gguf_files.tensors(layer, router, kind="Q8_0")
    path, out = tmp_path / "model.gguf", tmp_path / "out"
    gguf_files.write(path, table)
    raw = path.read_bytes()
    header = len(raw) - sum(len(content.tobytes()) for content, _ in table.values())

    def check(content):
        path.write_bytes(content)
        return imported(path, out, "blk.", "--top-k")

    headers = mutated(raw[:header]).map(lambda start: start + raw[header:])
    fuzz(number, request, st.one_of(st.just(raw), headers, mutated(raw)), check)
