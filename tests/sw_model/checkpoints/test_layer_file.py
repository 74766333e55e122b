"""The file of an imported layer: it comes back to the bit; what does not fit is named."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.support import checkpoints
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.checkpoints.tensors import CheckpointError
from trajectile.sw_model.gates.router import Router, Rule, Scoring
from trajectile.sw_model.numerics.integer import QuantisedLayer, quantise_layer
from trajectile.sw_model.numerics.layers import GluFunction
from trajectile.sw_model.numerics.weights import WeightFormat

KINDS = [WeightFormat(name, mantissa) for name, mantissa in itertools.product(("mx8", "mxfp4", "int4"), (False, True))]


def layer_of(kind=KINDS[0], *, biased=False, period=None, function=None, experts=2, **shape):
    """A quantised layer and its router."""
    layer, router = checkpoints.weights(experts=experts, **shape)
    bias = np.random.default_rng(1).standard_normal(layer.w_gate.shape[:2]).astype(np.float32) if biased else None
    layer = replace(layer, gate_bias=bias, up_bias=bias, function=function or GluFunction())
    return replace(quantise_layer(layer, kind, period=period), fraction=19), router


def saved(tmp_path, layer=None, **changes):
    """Save a layer; the layer, its router, the file."""
    whole, router = layer_of()
    gate = Router(rule=Rule(top_k=2, scoring=Scoring.SIGMOID, scaling=2.5), weight=router,
                  correction=np.ones(2, np.float32))
    values = {"layer": layer or whole, "top_k": 2, "source": "x layer 3", "router": gate}
    layer_file.save(tmp_path / "layer.safetensors", layer_file.SavedLayer(**(values | changes)))
    return whole, router, tmp_path / "layer.safetensors"


def same(found: QuantisedLayer, layer: QuantisedLayer):
    """Every number of two layers is the same."""
    for name in ("gate", "up", "down"):
        a, b = getattr(found, name), getattr(layer, name)
        assert (a.period, a.mantissas is None) == (b.period, b.mantissas is None)
        for part in ("codes", "shifts", "units", "mantissas"):
            np.testing.assert_array_equal(getattr(a, part), getattr(b, part))
            assert getattr(b, part) is None or getattr(a, part).dtype == getattr(b, part).dtype
    np.testing.assert_array_equal(found.gate_bias, layer.gate_bias)
    np.testing.assert_array_equal(found.up_bias, layer.up_bias)
    assert (found.kind, found.function, found.fraction) == (layer.kind, layer.function, layer.fraction)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("shape", "period"), [((18, 12), None), ((18, 12), 6), ((7, 5), 7), ((1, 1), 1), ((70, 33), 35)])
def test_a_layer_comes_back(tmp_path, kind, shape, period):
    """In every format, of odd widths, with blocks of any period, with biases and limits."""
    layer, router = layer_of(kind, biased=True, period=period, function=GluFunction("quick_gelu", 7.0, 7.0, 1.0),
                             d_ff=shape[0], d_model=shape[1])
    saved(tmp_path, layer, router=Router(rule=Rule(top_k=2), weight=router))
    path = tmp_path / "layer.safetensors"
    same(layer_file.load(path).layer, layer)
    with safe_open(path, framework="np") as file:
        stored = file.get_slice("gate.codes")
        wide = shape[1] if kind.bits == 8 else -(-shape[1] // 2)
        assert (stored.get_dtype(), stored.get_shape()) == ("I8" if kind.bits == 8 else "U8", [2, shape[0], wide])


def test_its_gate_comes_back(tmp_path):
    """With and without a router."""
    _, router, path = saved(tmp_path)
    found = layer_file.load(path)
    np.testing.assert_array_equal(found.router.weight, router)
    np.testing.assert_array_equal(found.router.correction, [1, 1])
    assert found.router.bias is None and found.router.rule == Rule(top_k=2, scoring=Scoring.SIGMOID, scaling=2.5)
    assert (found.top_k, found.shared, found.source) == (2, 0, "x layer 3")
    saved(tmp_path, router=None)
    assert layer_file.load(path).router is None
    with pytest.raises(ValueError, match="has no gate"):
        layer_file.load(path).choose(np.zeros((1, 12), np.float32), 1)


def test_a_layer_with_a_shared_expert(tmp_path):
    """The last expert is met by every token; its weight is the sigmoid of its own gate."""
    layer, router = layer_of(experts=3)
    x = np.random.default_rng(1).standard_normal((5, 12)).astype(np.float32)
    for own in (None, router[2]):
        *_, path = saved(tmp_path, layer, top_k=1, router=Router(rule=Rule(top_k=1), weight=router[:2]), shared=1,
                         shared_gate=own)
        found = layer_file.load(path)
        both = found.rows(found.router.choose(x), x).gate
        assert both.topk_ids[:, 1].tolist() == [2] * 5 and both.experts == 3 and found.routed == 2
        expected = np.ones(5) if own is None else 1 / (1 + np.exp(-(x @ own)))
        np.testing.assert_allclose(both.topk_weights[:, 1], expected, rtol=1e-5)


def test_what_is_done_beside_the_array_comes_back(tmp_path):
    """Identities, weights on the input, factors of smoothing."""
    factors = np.exp2(np.arange(12) % 3).astype(np.float32)
    rule = Rule(top_k=1, identity=2, on_input=True, scoring=Scoring.SIGMOID)
    router = Router(rule=rule, weight=np.ones((4, 12), np.float32))
    *_, path = saved(tmp_path, router=router, top_k=1, on_input=True, smoothing=factors)
    found = layer_file.load(path)
    assert found.router.rule == router.rule and found.on_input and found.feeding.on_input
    np.testing.assert_array_equal(found.smoothing, factors)
    for changes, named in (({"smoothing": factors[:3]}, "smoothing has shape"), ({"smoothing": -factors}, "not positive"),
                           ({"router": Router(rule=Rule(top_k=1), weight=router.weight)}, "router has shape")):
        *_, path = saved(tmp_path, **({"router": router, "top_k": 1} | changes))
        with pytest.raises(CheckpointError, match=named):
            layer_file.load(path)


def test_low_nibble_is_the_even_input(tmp_path):
    """As in a weight word, so that other programs can read the file by the page."""
    layer, _ = layer_of(WeightFormat("mxfp4"))
    *_, path = saved(tmp_path, layer)
    with safe_open(path, framework="np") as file:
        stored = file.get_tensor("up.codes")
    np.testing.assert_array_equal(layer.kind.codes(stored & 15), layer.up.codes[..., 0::2])
    np.testing.assert_array_equal(layer.kind.codes(stored >> 4), layer.up.codes[..., 1::2])


def rewritten(tmp_path, layer, changes, facts):
    """Save a layer, change tensors and metadata of the file; the file."""
    *_, path = saved(tmp_path, layer)
    with safe_open(path, framework="np") as file:
        said, table = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    table |= {name: change(table.get(name)) if callable(change) else change for name, change in changes.items()}
    said |= facts
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in table.items() if tensor is not None}, path,
              metadata={name: value for name, value in said.items() if value is not None})
    return path


def holding(value):
    """A tensor with one value changed."""
    def change(tensor):
        tensor = tensor.copy()
        tensor.flat[3 % tensor.size] = value
        return tensor
    return change


def function(**changes):
    return json.dumps({"activation": "silu", "gate_max": 32767, "up_max": 32767, "up_offset": 0} | changes)


@pytest.mark.parametrize(("changes", "facts", "named"), [
    ({"gate.codes": None}, {}, "gate.codes"), ({"down.units": None}, {}, "down.units"),
    ({"up.codes": lambda t: t[:, :, 1:]}, {}, "up.codes has shape [2, 18, 11]; legal: [2, 18, 12]"),
    ({"gate.codes": lambda t: t.astype(np.float32)}, {}, "gate.codes has type F32 instead of I8"),
    ({"gate.codes": lambda t: t.astype(np.uint8)}, {}, "gate.codes has type U8 instead of I8"),
    ({"gate.codes": lambda t: t[0]}, {}, "gate.codes has shape [18, 12]"),
    ({"gate.codes": lambda t: t[:0]}, {}, "gate.codes has shape [0, 18, 12]"),
    ({"down.codes": lambda t: t[0]}, {}, "down.codes has shape [12, 18]"),
    ({"down.codes": holding(-128)}, {}, "down.codes holds -128; legal values: -127 to 127"),
    ({"up.shifts": holding(8)}, {}, "up.shifts holds 8; legal values: 0 to 7"),
    ({"down.shifts": lambda t: t.repeat(2, axis=2)}, {}, "down.shifts has shape [2, 12, 2]; legal: [2, 12, 1]"),
    ({"up.units": lambda t: t[:1]}, {}, "up.units has shape [1]; legal: [2]"),
    ({"down.units": lambda t: t + 100}, {}, "result_shift"), ({}, {"fraction": "300"}, "result_shift"),
    ({"gate_bias": np.zeros((2, 17), np.int16)}, {}, "gate_bias has shape [2, 17]; legal: [2, 18]"),
    ({"up_bias": np.full((2, 18), -32768, np.int16)}, {}, "up_bias holds -32768"),
    ({"up_bias": np.zeros((2, 18), np.float32)}, {}, "up_bias has type F32 instead of I16"),
    ({"router": np.ones((3, 12), np.float32)}, {}, "router has shape [3, 12]; legal: [2, 12]"),
    ({"router": np.full((2, 12), np.inf, np.float32)}, {}, "router holds a value that is not finite"),
    ({}, {"format": "trajectile layer 2"}, "is 'trajectile layer 2', not 'trajectile layer 3': import the layer again"),
    ({}, {"format": None}, "import the layer again"), ({}, {"weights": "int2"}, "weights = 'int2'"),
    ({}, {"weights": "int4"}, "gate.codes has type I8 instead of U8"), ({}, {"scale_mantissa": "2"}, "scale_mantissa = '2'"),
    ({}, {"scale_mantissa": "3"}, "mantissas"), ({}, {"period": "0"}, "period = 0 is not legal; legal values: 1 to 18"),
    ({}, {"period": "6"}, "down.shifts has shape [2, 12, 1]; legal: [2, 12, 3]"), ({}, {"period": "x"}, "period"),
    ({}, {"function": function(gate_max=0)}, "gate_max = 0 is not legal; legal values: 1 to 32767"),
    ({}, {"function": function(up_max=40000)}, "up_max = 40000"),
    ({}, {"function": function(up_offset=1.5)}, "up_offset = 1.5"),
    ({}, {"function": function(activation="relu")}, "activation"), ({}, {"function": function(more=1)}, "function = "),
    ({}, {"function": "7"}, "function = 7"), ({}, {"function": "{"}, "layer.safetensors"),
    ({}, {"shared": "2"}, "shared = 2 is not legal"), ({}, {"gate": "{}"}, "scoring"), ({}, {"fraction": "many"}, "fraction"),
    ({}, {"top_k": "3"}, "top_k = 3 is not legal"), ({}, {"top_k": "many"}, "many"), ({}, {"top_k": "9" * 5000}, "digits"),
], ids=itertools.count())
def test_a_layer_that_is_wrong(tmp_path, changes, facts, named):
    """File, tensor or fact, legal values."""
    path = rewritten(tmp_path, None, changes, facts)
    with pytest.raises(CheckpointError, match=r"layer\.safetensors: .*legal") as error:
        layer_file.load(path)
    assert named in str(error.value)


def test_mantissas_that_are_wrong(tmp_path):
    """Of their own shape and range; a file of 4-bit codes of which a byte is missing."""
    layer, _ = layer_of(KINDS[5])
    for changes, named in (({"up.mantissas": holding(8)}, "up.mantissas holds 8; legal values: 0 to 7"),
                           ({"up.mantissas": None}, "up.mantissas"),
                           ({"down.codes": lambda t: t[:, :, 1:]}, "down.codes has shape [2, 12, 8]; legal: [2, 12, 9]")):
        with pytest.raises(CheckpointError) as error:
            layer_file.load(rewritten(tmp_path, layer, changes, {}))
        assert named in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "no.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match="no such file"):
            layer_file.load(path)
