"""Where every weight byte lies: slices as parameters and words, DDR channels as bytes (docs/numerics.md)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics.integer import QuantisedLayer
from trajectile.sw_model.numerics.weights import Matrices, WeightFormat, block_of, scale_bytes

Bytes = NDArray[np.uint8]


def _words(config: Config, patterns: Bytes, scales: Bytes, groups: int, chunks: int) -> Bytes:
    """Words of a matrix, uint8 [groups, chunks, word_bytes].

    Args:
        config: the tile.
        patterns: bits of the codes, [outputs, inputs].
        scales: scale byte of each code's block, [outputs, inputs].
        groups: of outputs.
        chunks: of inputs.
    """
    n, k = config.tile.mac_n, config.tile.mac_k

    def padded(values: Bytes) -> Bytes:
        whole = np.zeros((groups * n, chunks * k), dtype=np.uint8)
        whole[:values.shape[0], :values.shape[1]] = values
        return whole.reshape(groups, n, chunks, k).transpose(0, 2, 1, 3)
    codes = WeightFormat.of(config.tile).packed(padded(patterns)).reshape(groups, chunks, -1)
    return np.concatenate([codes, padded(scales)[..., ::config.tile.word_inputs].reshape(groups, chunks, -1)], axis=-1)


def _bias_words(config: Config, biases: NDArray[np.int64]) -> Bytes:
    """Bias words of a slice's gate and up outputs, uint8 [groups, 1, word_bytes]; ``biases`` int64 [outputs]."""
    words = np.zeros((config.gate_up_groups, 1, config.tile.word_bytes), dtype=np.uint8)
    whole = np.zeros(config.gate_up_groups * config.tile.mac_n, dtype="<i2")
    whole[:len(biases)] = biases
    words[:, 0, :2 * config.tile.mac_n] = whole.reshape(config.gate_up_groups, -1).view(np.uint8)
    return words


def slice_parameters(layer: QuantisedLayer, expert: int) -> bytes:
    """A slice's parameters as they lie in DDR: docs/numerics.md, "Parameters of a slice"."""
    function = layer.function
    return (int(layer.gate.units[expert]).to_bytes(1, "little", signed=True)
            + int(layer.up.units[expert]).to_bytes(1, "little", signed=True)
            + layer.result_shift(expert).to_bytes(1, "little")
            + layer.unit.to_bytes(1, "little", signed=True)
            + b"".join(value.to_bytes(2, "little", signed=True)
                       for value in (function.gate_max, function.up_max, function.up_offset)))


def slice_words(config: Config, layer: QuantisedLayer, expert: int, index: int) -> Bytes:
    """Words of a slice's gate-up and down in the order of the MAC array, uint8 [pass_words, word_bytes].

    ``layer`` must be sliced as the configuration is (:meth:`QuantisedLayer.sliced`).
    """
    width = config.slice_ff
    columns = slice(index * width, (index + 1) * width)

    def of(matrices: Matrices, outputs: slice, inputs: slice) -> tuple[Bytes, Bytes]:
        blocks = block_of(matrices.codes.shape[2], matrices.period)[inputs]
        patterns = layer.kind.pattern(matrices.codes[expert, outputs, inputs])
        return patterns, scale_bytes(matrices, expert)[outputs][:, blocks]
    every = slice(None)
    # gate and up outputs in turn, so that a word holds whole pairs
    pairs = [np.stack(part, axis=1).reshape(2 * width, -1)
             for part in zip(of(layer.gate, columns, every), of(layer.up, columns, every), strict=True)]
    gate_up = _words(config, pairs[0], pairs[1], config.gate_up_groups, config.gate_up_chunks)
    if config.layer.bias:
        gate, up = (np.zeros(width, dtype=np.int64) if bias is None else bias[expert, columns]
                    for bias in (layer.gate_bias, layer.up_bias))
        gate_up = np.concatenate([gate_up, _bias_words(config, np.stack([gate, up], axis=1).ravel())], axis=1)
    down = _words(config, *of(layer.down, every, columns), config.down_groups, config.down_chunks)
    return np.concatenate([part.reshape(-1, config.tile.word_bytes) for part in (gate_up, down)])


def slice_image(config: Config, layer: QuantisedLayer, expert: int, index: int) -> Bytes:
    """A slice as it lies in DDR, uint8 [slice_bytes]."""
    head = np.zeros(config.parameter_beats * config.ddr.bytes_per_cycle, dtype=np.uint8)
    parameters = slice_parameters(layer, expert)
    head[:len(parameters)] = np.frombuffer(parameters, dtype=np.uint8)
    return np.concatenate([head, slice_words(config, layer, expert, index).ravel()])


def differences(config: Config, layer: QuantisedLayer) -> dict[str, tuple[int | str, int | str]]:
    """Fields in which the configuration is not as the layer needs it: their values, and those that it needs."""
    tile, wanted = config.tile, config.layer
    fields: dict[str, tuple[int | str, int | str]] = {
        "layer.d_model": (wanted.d_model, layer.d_model), "layer.d_ff": (wanted.d_ff, layer.d_ff),
        "layer.experts": (wanted.experts, layer.experts),
        "layer.activation": (wanted.activation, layer.function.activation),
        "layer.bias": (wanted.bias, wanted.bias or layer.gate_bias is not None or layer.up_bias is not None),
        "tile.weights": (tile.weights, layer.kind.name),
        "tile.scale_mantissa": (tile.scale_mantissa, layer.kind.mantissa_bits)}
    return {name: values for name, values in fields.items() if values[0] != values[1]}


def check_layer(config: Config, layer: QuantisedLayer) -> None:
    """Refuse a layer that is not in the configuration's formats.

    Raises:
        ValueError: naming the field, its value and the one that the layer has.
    """
    for name, (value, legal) in differences(config, layer).items():
        raise ValueError(f"{name} = {value!r} is not legal; legal values: {legal!r}, as the layer's weights have it")
    layer.sliced(config.slice_ff)


def channel_image(config: Config, layer: QuantisedLayer, channel: int) -> Bytes:
    """Bytes of one DDR channel, uint8; slices lie ``slice_pitch_bytes`` apart, the gaps are zero.

    Raises:
        ValueError: if the layer is not in the configuration's formats.
    """
    check_layer(config, layer)
    layer = layer.sliced(config.slice_ff)
    image = np.zeros((config.channel_slices, config.slice_pitch_bytes), dtype=np.uint8)
    tile = config.array.ddr_tiles[channel]
    for expert in range(config.layer.experts):
        for index in range(config.tile.slices):
            home, row = config.home(expert, index)
            if home == tile:
                image[row, :config.slice_bytes] = slice_image(config, layer, expert, index)
    return image.ravel()


def write_hex(path: Path, image: Bytes, beat_bytes: int) -> None:
    """Write an image for Verilog's ``$readmemh``: a beat per line, its lowest byte last."""
    beats = np.ascontiguousarray(image.reshape(-1, beat_bytes)[:, ::-1])
    text = beats.tobytes().hex()
    width = 2 * beat_bytes
    path.write_text("\n".join(text[i:i + width] for i in range(0, len(text), width)) + "\n", encoding="ascii")
