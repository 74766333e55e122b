"""Weight words as docs/numerics.md lays them out, from Python integers."""

#: value of each code by format; a code that never occurs is not there
CODES = {
    "mx8": {value % 256: value for value in range(-127, 128)},
    "int4": {value % 16: value for value in range(-8, 8)},
    "mxfp4": {code: (-1 if code >= 8 else 1) * (0, 1, 2, 3, 4, 6, 8, 12)[code % 8] for code in range(16)},
}


def weight_word(tile, codes, scales):
    """A word: first the codes, then the scale bytes.

    Args:
        tile: its section of the configuration.
        codes: ``mac_n`` lists of ``mac_k`` codes.
        scales: ``mac_n`` lists of ``word_scales`` bytes.
    """
    word = 0
    for number, code in enumerate(code for row in codes for code in row):
        word |= code << tile.code_bits * number
    place = tile.code_bits * tile.mac_k * tile.mac_n
    for number, scale in enumerate(scale for row in scales for scale in row):
        word |= scale << place + 8 * number
    return word
