"""The CRC of a frame, as one balanced tree of XORs per bit."""

from amaranth.hdl import Cat, Value
from amaranth.lib.crc import Algorithm, catalog

#: by ``link.crc_bits``: highest power first and the register all ones at the start, so that no frame of zeros is right
ALGORITHMS = {16: catalog.CRC16_CMS, 32: catalog.CRC32_MPEG_2}


def remainders(algorithm: Algorithm, width: int) -> list[int]:
    """What each bit of a word of ``width`` bits, lowest first, adds to the CRC: x^(crc_width + i) modulo the polynomial."""
    powers = [algorithm.polynomial]
    while len(powers) < width:
        step = Algorithm(crc_width=algorithm.crc_width, polynomial=algorithm.polynomial, initial_crc=powers[-1],
                         reflect_input=False, reflect_output=False, xor_output=0)
        powers.append(step(1).compute([0]))
    return powers[:width]


def crc(word: Value, crc_bits: int) -> Value:
    """CRC of ``word`` without a register: ``ALGORITHMS[crc_bits]`` of the whole word at once.

    ``amaranth.lib.crc.Processor`` would chain the XORs of a bit one behind the other, hundreds of them for a wide flit.
    """
    algorithm, width = ALGORITHMS[crc_bits], len(word)
    powers = remainders(algorithm, width)
    of_zeros: int = algorithm(width).compute([0])
    masks = [sum((power >> bit & 1) << i for i, power in enumerate(powers)) for bit in range(crc_bits)]
    return Cat(*((word & mask).xor() for mask in masks)) ^ of_zeros
