"""A small layer, imported by ``trajectile import``."""

import json

import numpy as np

from tests.support import checkpoints
from trajectile.scripts import cli
from trajectile.sw_model.checkpoints import layer_file
from trajectile.sw_model.numerics import integer as numerics


def made(tmp_path, naming="mixtral", *extra, dtype="BF16", router=True, config=True, shards=1, **shape):
    """Import a small layer for the smoke hardware; the layer, the folder and the report."""
    layer, gate = checkpoints.weights(dtype=dtype, **shape)
    table = checkpoints.tensors(naming, layer, gate if router else None, dtype=dtype)
    facts = {"num_experts_per_tok": 2} if config else None
    source = checkpoints.write(tmp_path / "model", table, shards=shards, config=facts)
    out = tmp_path / "out"
    assert cli.main(["import", str(source), "-o", str(out), "--config", "smoke", *extra]) == 0
    return layer, out, json.loads((out / "import.json").read_text())


def same_weights(out, layer, kind=None, period=6):
    """The saved layer, which must be ``layer`` quantised in slices of so many columns."""
    whole, saved = numerics.quantise_layer(layer, kind, period=period), layer_file.load(out / "layer.safetensors").layer
    for name in ("gate", "up", "down"):
        for part in ("codes", "shifts", "mantissas", "units"):
            np.testing.assert_array_equal(getattr(getattr(saved, name), part), getattr(getattr(whole, name), part))
    return saved
