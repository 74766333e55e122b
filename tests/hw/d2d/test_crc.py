"""The CRC trees, and what docs/link.md says that they detect for certain."""

import random

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from tests.support.configurations import small
from trajectile.hw.d2d.crc import ALGORITHMS, crc, remainders
from trajectile.hw.d2d.layouts import FrameKind
from trajectile.hw.params import Params
from trajectile.sw_model.config import load, presets


@pytest.mark.parametrize("crc_bits", [16, 32])
@pytest.mark.parametrize("width", [1, 7, 94, 300])
def test_crc_is_that_of_the_catalogue(crc_bits, width):
    """Against ``amaranth.lib.crc``."""
    rng, algorithm = random.Random(width), ALGORITHMS[crc_bits]
    word, made = Signal(width), Signal(crc_bits)
    m = Module()
    m.d.comb += made.eq(crc(word, crc_bits))

    async def bench(ctx):
        for value in [0, (1 << width) - 1, *(rng.getrandbits(width) for _ in range(20))]:
            ctx.set(word, value)
            assert ctx.get(made) == algorithm(width).compute([value])
    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()


def test_frames_that_are_none():
    """All zeros and all ones are no frames, even where the CRC is right; the other kinds neither."""
    for crc_bits in (16, 32):
        layout = Params(small(link__crc_bits=crc_bits)).frame_layout
        width = layout.size - crc_bits
        assert ALGORITHMS[crc_bits](width).compute([0]) != 0
        assert layout.const({"kind": FrameKind.NOTHING}).as_value().value == 0
        assert FrameKind.NOTHING.value == 0 and 3 not in {kind.value for kind in FrameKind}


@pytest.fixture(scope="module")
def longest() -> dict[int, int]:
    """Bits of the longest frame of all presets, by CRC bits."""
    return {bits: max(Params(load(name, [f"link.crc_bits={bits}"])).frame_bits for name in presets()) for bits in ALGORITHMS}


def syndromes(crc_bits: int, frame_bits: int) -> np.ndarray:
    """What each flipped bit of a frame does to CRC field and CRC together; of several bits it is the XOR of theirs."""
    return np.array([1 << bit for bit in range(crc_bits)] + remainders(ALGORITHMS[crc_bits], frame_bits - crc_bits))


@pytest.mark.parametrize("crc_bits", ALGORITHMS)
def test_one_and_two_bits_and_bursts_are_detected(crc_bits, longest):
    """No flipped bit and no two, and no burst up to the width of the CRC, leave the CRC right."""
    powers = syndromes(crc_bits, longest[crc_bits])
    assert len(np.unique(powers)) == len(powers) and powers.all()
    for start in range(0, len(powers) - crc_bits, 97):
        # the bits of a burst are independent: none is the XOR of others
        basis: list[int] = []
        for power in map(int, powers[start:start + crc_bits]):
            for known in basis:
                power = min(power, power ^ known)
            assert power
            basis.append(power)


def test_odd_numbers_of_bits_are_detected_by_crc_16(longest):
    """The polynomial has the factor x + 1: every power leaves an odd number of bits, and so does an odd number of powers."""
    assert all(int(power).bit_count() % 2 for power in syndromes(16, longest[16]))


def test_three_and_four_bits_are_detected_by_crc_32(longest):
    """No two pairs of bits leave the same, and no pair what a single bit leaves."""
    powers = syndromes(32, longest[32])
    pairs = np.concatenate([powers[:number] ^ powers[number] for number in range(len(powers))])
    left = np.sort(np.concatenate([pairs, powers]))
    assert (left[1:] != left[:-1]).all()
