"""Lines of other loggers: their keys, ranks, steps, repeats, layers that differ."""

import json

import numpy as np
import pytest

from trajectile.sw_model.gates.reading import Reading
from trajectile.sw_model.gates.traces import load_trace
from trajectile.sw_model.gates.workloads import TraceError

#: eight tokens, 2 of 6 experts
IDS = [[0, 3], [1, 4], [3, 0], [1, 5], [5, 3], [3, 5], [5, 0], [2, 4]]


@pytest.fixture
def read(tmp_path):
    """Read lines as a trace."""
    def reader(lines, *said, layer=None):
        (tmp_path / "t").write_text("\n".join(map(json.dumps, lines)))
        return load_trace(tmp_path / "t", 6, layer=layer, how=Reading.of(said))
    return reader


@pytest.fixture
def refused(read):
    """Read lines that are refused; the message."""
    def reader(lines, *said, **given):
        with pytest.raises(TraceError, match="legal") as error:
            read(lines, *said, **given)
        return str(error.value)
    return reader


@pytest.mark.parametrize(("key", "values"), [
    ("layer", (3, 4)), ("layer_id", (3, 4)), ("layer_idx", (3, 4)), ("layer_index", (3, 4)), ("layer_number", (3, 4)),
    ("layer_name", ("model.layers.3.mlp.experts", "model.layers.4.mlp.experts")), ("layer", ("layers.3", "layers.4"))])
def test_keys_of_the_layer(read, key, values):
    """Two layers, not one of twice the tokens."""
    trace = read([{key: value, "topk_ids": ids} for value in values for ids in IDS])
    assert trace.layers.tolist() == [3, 4] and trace.tokens == 8


def test_layers_that_are_not_understood(read, refused):
    """A key of another logger, two that say different things, some lines without any."""
    lines = [{"moe_layer": 3, "topk_ids": ids} for ids in IDS]
    assert "t:1: moe_layer may be the layer; legal: layer, layer_id" in refused(lines)
    assert read(lines, "layer=moe_layer").layers.tolist() == [3]
    assert "moe_layer is missing" in refused([{"topk_ids": [0, 1]}], "layer=moe_layer")
    lines = [{"layer": 3, "layer_number": 4, "topk_ids": [0, 1]}]
    assert "layer = 3, layer_number = 4 are different layers" in refused(lines)
    assert read(lines, "layer=layer_number").layers.tolist() == [4]
    assert "t:2: the layer is given, unlike" in refused([{"topk_ids": [0, 1]}, {"topk_ids": [0, 1], "layer": 1}])
    for name in ("experts", "layers.3.layers.4", "3", "layers.99999999"):
        assert "layer_name is not legal" in refused([{"layer_name": name, "topk_ids": [0, 1]}])
    assert read([{"num_layers": 2, "topk_ids": [0, 1]}]).layers.tolist() == [0]


@pytest.mark.parametrize("key", ["topk_ids", "top_indices", "topk_indices", "topk_idx", "expert_ids", "selected_experts"])
def test_keys_of_the_choices(read, key):
    """One token or a list of tokens per line."""
    assert read([{key: IDS}]).topk_ids.tolist() == [IDS] == read([{key: ids} for ids in IDS]).topk_ids.tolist()


def test_choices_that_are_not_understood(read, refused):
    """Another key; two that differ, as logical and physical numbers do."""
    assert "--trace-as ids=KEY" in refused([{"chosen": IDS}])
    assert read([{"chosen": IDS}], "ids=chosen").tokens == 8
    both = [{"topk_ids": IDS, "expert_ids": [[5 - number for number in row] for row in IDS]}]
    assert "topk_ids and expert_ids differ" in refused(both)
    assert read(both, "ids=topk_ids").topk_ids.tolist() == [IDS]
    assert read([{"topk_ids": IDS, "expert_ids": IDS}]).tokens == 8
    assert "num_experts = 7 is not legal; legal: 6" in refused([{"topk_ids": IDS, "num_experts": n} for n in (6, 7)])


def test_keys_of_the_weights(read, refused):
    """A list that may be the weights is not passed over."""
    weights = [[0.75, 0.25]] * 8
    for key in ("topk_weights", "routing_weights", "expert_weights", "topk_probs"):
        assert read([{"topk_ids": IDS, key: weights}]).topk_weights.tolist() == [weights]
    lines = [{"topk_ids": IDS, "scores": weights}]
    assert "scores may be the gate weights" in refused(lines)
    assert read(lines, "weights=scores").topk_weights.tolist() == [weights]
    assert (read(lines, "weights=even").topk_weights == 0.5).all()
    assert (read([{"topk_ids": IDS, "score": 3}]).topk_weights == 0.5).all()  # of the line, not of its experts
    assert "none is missing in some lines" in refused([{"topk_ids": IDS}], "weights=none")
    assert "holds 7.5, as scores" in refused([{"topk_ids": IDS, "topk_weights": [[7.5, 7.0]] * 8}])


def test_ranks(read, refused):
    """Tensor-parallel ranks repeat each other, data-parallel ones do not: the user says which are wanted."""
    lines = [{"step": 0, "layer": layer, "rank": rank, "top_indices": IDS} for rank in (0, 1) for layer in (0, 1)]
    message = refused(lines)
    assert "t:3: rank is 1 after 0" in message and "rank=all" in message
    assert read(lines, "rank=1").topk_ids.tolist() == [IDS, IDS]
    assert read(lines, "rank=all").tokens == 16
    assert "of rank 2" in refused(lines, "rank=2")
    assert "has no rank" in refused([{"topk_ids": IDS}], "rank=0")
    assert read(lines[:2]).tokens == 8


def test_order(read, refused):
    """Steps and tokens that fall are out of order, or another run's."""
    lines = [{"step": step, "layer": 0, "top_indices": IDS[4 * step:4 * step + 4]} for step in (1, 0)]
    assert "t:2: step = 0 comes after 1 in layer 0" in refused(lines)
    assert read(lines, "order=step").topk_ids.tolist() == [IDS]
    assert read(lines, "order=file").topk_ids.tolist() == [IDS[4:] + IDS[:4]]
    tokens = [{"req_id": "a", "token_idx": number, "topk_ids": IDS[number]} for number in (0, 2, 1)]
    assert "t:3: token_idx = 1 comes after 2" in refused(tokens)
    assert read(tokens, "order=step").topk_ids.tolist() == [IDS[:3]]
    assert read([*tokens[:2], {**tokens[2], "req_id": "b"}]).tokens == 3  # another request counts for itself
    steps = [{"step": step, "token_idx": number, "topk_ids": IDS[number]} for step in (0, 1) for number in (0, 1)]
    assert read(steps).tokens == 4  # and so does another step
    assert "step is not legal" in refused([{"step": "now", "topk_ids": IDS}])


def test_repeats(read, refused):
    """A token, or a step that says the same, stands twice."""
    tokens = [{"req_id": "a", "token_idx": number, "topk_ids": IDS[number]} for number in (0, 0, 1)]
    message = refused(tokens)
    assert "t:2: req_id = a, token_idx = 0 stands twice in layer 0" in message and "repeats=drop" in message
    assert read(tokens, "repeats=drop").topk_ids.tolist() == [IDS[:2]]
    assert read(tokens, "repeats=keep").tokens == 3
    steps = [{"step": 0, "layer": 0, "top_indices": part} for part in (IDS[:4], IDS[4:], IDS[:4])]
    assert "t:3: step = 0 stands twice" in refused(steps)
    assert read(steps[:2]).tokens == 8  # micro-batches
    assert read([{"topk_ids": [0, 1]}] * 3).tokens == 3  # nothing says that these are one


def test_layers_that_differ(read, refused):
    """One of them may be read alone."""
    layers = IDS, [[3, 4, 1]] * 8, IDS[:5]
    lines = [{"layer": number, "top_indices": ids} for number, ids in enumerate(layers)]
    assert "layers have 2 to 3 experts per token" in refused(lines[:2])
    message = refused(lines[::2])
    assert "layers have 5 to 8 tokens" in message and "--layer with one of 0, 2" in message
    assert [read(lines, layer=layer).topk_ids.shape for layer in range(3)] == [(1, 8, 2), (1, 8, 3), (1, 5, 2)]
    assert "t:2: top_indices names 3 experts; legal: 2, as the lines before of layer 0" in refused(
        [{"top_indices": IDS}, {"top_indices": [[3, 4, 1]]}])


def test_tokens_with_fewer_experts(read, refused):
    """-1 where a choice was dropped; nothing where a row is zero."""
    lines = [{"layer": 0, "topk_ids": ids} for ids in [*IDS, [3, -1]]]
    assert "holds -1 for 1 of 9 tokens" in refused(lines)
    assert read(lines, "padding=-1").topk_ids.tolist() == [IDS]
    lines = [{"layer": 0, "topk_ids": ids} for ids in [*IDS, [0, 0]]]
    assert "zero for 1 of 9 tokens, the first is token 8" in refused(lines)
    assert read(lines, "zeros=missing").tokens == 8
    single = [{"layer": 0, "topk_ids": [0]}] * 8
    np.testing.assert_array_equal(read(single).topk_ids, 0)  # a line is written for a token that was there
