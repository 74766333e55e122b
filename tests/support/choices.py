"""Gate decisions drawn from a seed, for everything that needs no weights."""

import numpy as np

from trajectile.sw_model.config import Config


def draw(config: Config, tokens: int, seed: int) -> np.ndarray:
    """Expert ids [tokens, top_k] of a gate without any preference."""
    rng = np.random.default_rng(seed)
    print(f"seed {seed}")
    return np.array([rng.choice(config.layer.experts, config.layer.top_k, replace=False) for _ in range(tokens)],
                    dtype=np.int64).reshape(tokens, config.layer.top_k)
