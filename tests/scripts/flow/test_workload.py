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
