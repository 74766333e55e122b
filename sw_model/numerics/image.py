"""Where every weight byte lies: slices as weight words, DDR channels as bytes (docs/architecture.md)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trajectile.sw_model.config import Config
from trajectile.sw_model.numerics.integer import Int8, QuantisedLayer

Bytes = NDArray[np.uint8]


def _words(matrix: Int8, rows: int, columns: int, n: int, k: int) -> Int8:
    """A matrix [outputs, inputs], zero padded to ``rows * n`` by ``columns * k``, as words [rows * columns, n * k]."""
    padded = np.zeros((rows * n, columns * k), dtype=np.int8)
    padded[:matrix.shape[0], :matrix.shape[1]] = matrix
    return padded.reshape(rows, n, columns, k).transpose(0, 2, 1, 3).reshape(rows * columns, n * k)


def slice_words(config: Config, layer: QuantisedLayer, expert: int, index: int) -> Bytes:
    """Weight words of a slice in the order of the MAC array, uint8 [slice_words, word_bytes]."""
    n, k, width = config.tile.mac_n, config.tile.mac_k, config.slice_ff
    columns = slice(index * width, (index + 1) * width)
    # gate and up outputs in turn, so that a word holds whole pairs
    pairs = np.stack([layer.w_gate[expert, columns], layer.w_up[expert, columns]], axis=1).reshape(2 * width, -1)
    words = np.concatenate([
        _words(pairs, config.gate_up_groups, config.gate_up_chunks, n, k),
        _words(layer.w_down[expert][:, columns], config.down_groups, config.down_chunks, n, k)])
    return words.view(np.uint8)


def channel_image(config: Config, layer: QuantisedLayer, channel: int) -> Bytes:
    """Bytes of one DDR channel, uint8; slices lie ``slice_pitch_bytes`` apart, the gaps are zero."""
    image = np.zeros((config.channel_slices, config.slice_pitch_bytes), dtype=np.uint8)
    tile = config.array.ddr_tiles[channel]
    for expert in range(config.layer.experts):
        for index in range(config.tile.slices):
            home, row = config.home(expert, index)
            if home == tile:
                image[row, :config.slice_bytes] = slice_words(config, layer, expert, index).ravel()
    return image.ravel()


def write_hex(path: Path, image: Bytes, beat_bytes: int) -> None:
    """Write an image for Verilog's ``$readmemh``: a beat per line, its lowest byte last."""
    beats = np.ascontiguousarray(image.reshape(-1, beat_bytes)[:, ::-1])
    text = beats.tobytes().hex()
    width = 2 * beat_bytes
    path.write_text("\n".join(text[i:i + width] for i in range(0, len(text), width)) + "\n", encoding="ascii")
