"""What a batch is made of: the toy model's layers, in the format of the tiles."""

import numpy as np
import pytest

from trajectile.scripts.errors import UserError
from trajectile.scripts.flow import workload
from trajectile.sw_model.config import load
from trajectile.sw_model.gates import toy_model


@pytest.mark.parametrize(("layer", "number"), [(None, 1), (0, 0), (1, 1)])
def test_layer(layer, number):
    """The last one by default."""
    recorded = toy_model.load()[1]
    made = workload.load(load("demo"), layer=layer, offset=3, tokens=5)
    assert made.source == f"toy model, layer {number}, held-out tokens 3 to 7"
    np.testing.assert_array_equal(made.topk_ids, recorded.trace.topk_ids[number, 3:8])
    np.testing.assert_array_equal(made.given.reference, recorded.y[number, 3:8])


def test_a_layer_that_is_not_there():
    with pytest.raises(UserError, match=r"layer = 2 is not in toy_moe\.npz; legal values: 0, 1"):
        workload.load(load("demo"), layer=2)


@pytest.mark.parametrize(("weights", "cosine"), [("mx8", 0.9995), ("mxfp4", 0.98), ("int4", 0.98)])
def test_weights(weights, cosine):
    """In the format of the tiles; other text has found a unit in which nothing clips, the same for any window."""
    config = load("demo", [f"tile.weights={weights}"])
    made = [workload.load(config, offset=offset, tokens=8).given for offset in (0, 500)]
    assert made[0].layer.kind.name == weights and made[0].layer.fraction == made[1].layer.fraction
    for values in made:
        found = values.fidelity(values.results(config))
        assert found["cosine"] > cosine
        assert found["clips"] == found["zeroed"] == 0


@pytest.mark.parametrize("preset", ["demo", "smoke"])
def test_fewer_experts(preset):
    """The source says so; the reference is that of all choices, so results are farther from it."""
    config = load(preset)
    whole, half = workload.load(config, tokens=8), workload.load(config, tokens=8, select="lynx:0.5")
    before, after = (len(np.unique(one.topk_ids[one.topk_ids >= 0])) for one in (whole, half))
    assert after < before and half.source == f"{whole.source}, lynx:0.5 ({after} of {before} experts)"
    np.testing.assert_array_equal(whole.given.reference, half.given.reference)
    cosines = [one.given.fidelity(one.given.results(config))["cosine"] for one in (whole, half)]
    assert cosines[1] < cosines[0] - 0.003
    gates = workload.load(config, tokens=8, select="lynx:0.5", gate_only=True)
    np.testing.assert_array_equal(gates.topk_ids, half.topk_ids)


def test_a_rule_that_is_not_there():
    with pytest.raises(UserError, match=r"select = 'lynx' is not legal; legal values: xshare or lynx and the share"):
        workload.load(load("demo"), select="lynx")
