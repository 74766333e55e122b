"""Smoothing of outlier channels: factors that are moved from the activations to the gate and up weights.

The inputs of a block share a scale, and scales within a token differ by a factor of eight at the most, so a channel that is
always large takes bits from the others. Divided by a factor, it does not, and the weights that meet it are multiplied by the
same. Factors are powers of two, so nothing rounds by itself; what is left to lose is the accuracy of weights, in blocks that
a factor spreads.
"""

from dataclasses import replace

import numpy as np

from trajectile.sw_model.numerics.layers import Float32, FloatLayer

#: octaves that a factor may have; a weight's block has seven
OCTAVES_MAX = 7


def smoothing_factors(x: Float32, alpha: float) -> Float32:
    """Factor of each channel, float32 [d_model]: the power of two nearest to a power of its excess over the median channel.

    What counts of a channel is its largest magnitude. Channels below the median keep 1: they take no bits from others.

    Args:
        x: activations of some tokens, [tokens, d_model].
        alpha: how much is moved: 0 nothing, 1 all that the median channel is exceeded by.

    Raises:
        ValueError: for an ``alpha`` outside 0 to 1.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha = {alpha} is not legal; legal values: 0 to 1")
    largest = np.abs(x).max(axis=0, initial=0.0).astype(np.float64)
    there = largest[largest > 0]
    median = float(np.median(there)) if len(there) else 1.0
    octaves = np.rint(alpha * np.log2(np.maximum(largest / median, 1.0)))
    return np.asarray(np.exp2(np.minimum(octaves, OCTAVES_MAX)), dtype=np.float32)


def smoothed(layer: FloatLayer, factors: Float32) -> FloatLayer:
    """The layer that computes the same of activations divided by ``factors`` [d_model]."""
    return replace(layer, w_gate=layer.w_gate * factors, w_up=layer.w_up * factors)
