"""The codes: what the checks are, and what encoder and decoder do with every flip."""

import random
from itertools import combinations
from math import comb

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from tests.support.memory_bench import flip
from trajectile.hw.lib.block import Block
from trajectile.hw.memory.chunk import ChunkDecoder, ChunkEncoder
from trajectile.hw.memory.code import CHUNK_BITS, ChunkCode, chunk_codes, stored_bits
from trajectile.hw.memory.word import WordDecoder, WordEncoder

SIZES = range(1, CHUNK_BITS + 1)


@pytest.mark.parametrize("bits", SIZES)
def test_columns_are_hsiaos(bits):
    """Different columns of odd weight, as few check bits and as few ones as there can be, rows that differ by one at most."""
    code = ChunkCode("secded", bits)
    columns, checks = code.columns, code.check_bits
    weights = sorted(column.bit_count() for column in columns)
    assert len(set(columns)) == len(columns) == bits and all(0 < column < 1 << checks for column in columns)
    assert all(weight % 2 == 1 and weight >= 3 for weight in weights)
    lightest = [weight for weight in range(3, checks + 1, 2) for _ in range(comb(checks, weight))]
    assert weights == lightest[:bits]
    assert sum(comb(checks - 1, weight) for weight in range(3, checks, 2)) < bits  # one check bit less is too few
    ones = [len(row) for row in code.rows]
    assert max(ones) - min(ones) <= 1 and sum(ones) == sum(weights)


def test_known_sizes():
    """Memories of 8, 16, 32 and 64 bits take 5, 6, 7 and 8 check bits; the (72, 64) code has 208 ones over its data bits."""
    assert [ChunkCode("secded", bits).check_bits for bits in (8, 16, 32, 64)] == [5, 6, 7, 8]
    assert [len(row) for row in ChunkCode("secded", 64).rows] == [26] * 8
    assert ChunkCode("parity", 64).check_bits == 1 and ChunkCode("parity", 3).rows == ((0, 1, 2),)


@pytest.mark.parametrize("word_bits", [1, 8, 64, 65, 128, 130, 200, 4096])
def test_chunks_cover_the_word(word_bits):
    """As few chunks as there can be, of equal size or one more."""
    for protect in ("parity", "secded"):
        sizes = [code.data_bits for code in chunk_codes(protect, word_bits)]
        assert sum(sizes) == word_bits and max(sizes) - min(sizes) <= 1 and max(sizes) <= CHUNK_BITS
        assert len(sizes) == -(-word_bits // CHUNK_BITS)
    assert stored_bits("none", word_bits) == word_bits
    assert stored_bits("parity", word_bits) == word_bits + len(sizes)


@pytest.mark.parametrize("bad", [("none", 8), ("ecc", 8), ("secded", 0), ("secded", 65)])
def test_no_such_code(bad):
    """The message has the value and the legal ones."""
    with pytest.raises(ValueError, match="is not legal; legal values"):
        ChunkCode(*bad)


class Pair(Block):
    """An encoder and a decoder, each with its ports."""

    def __init__(self, encoder, decoder):
        self.encoder, self.decoder = encoder, decoder
        super().__init__({})

    def elaborate(self, platform):
        m = Module()
        m.submodules.encoder, m.submodules.decoder = self.encoder, self.decoder
        return m


def read_back(encoder, decoder, cases):
    """For each ``(data, flips)``: data, corrected and error as decoded."""
    found = []

    async def bench(ctx):
        for data, flips in cases:
            ctx.set(encoder.data, data)
            ctx.set(decoder.stored, ctx.get(encoder.stored) ^ flips)
            found.append((ctx.get(decoder.data), ctx.get(decoder.corrected), ctx.get(decoder.error)))
    simulator = Simulator(Pair(encoder, decoder))
    simulator.add_testbench(bench)
    simulator.run()
    return found


def expected(protect, data, flips):
    """What a decoder must say of a chunk with none, one or two flipped bits; None for data that does not matter."""
    if not flips:
        return data, 0, 0
    if protect == "parity":
        return None, 0, flips.bit_count() % 2
    return (data, 1, 0) if flips.bit_count() == 1 else (None, 0, 1)


def check(protect, cases, found):
    for (data, flips), (seen, corrected, error) in zip(cases, found, strict=True):
        value, *flags = expected(protect, data, flips)
        assert [corrected, error] == flags, (data, flips)
        assert value is None or seen == value, (data, flips)


@pytest.mark.parametrize("protect", ["parity", "secded"])
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8, 11, 12])
def test_small_chunks_exhaustively(protect, bits):
    """Every data word (of up to 5 bits, else 32 of them) with no, every single and every double error."""
    code = ChunkCode(protect, bits)
    rng = random.Random(bits)
    words = range(1 << bits) if bits <= 5 else rng.sample(range(1 << bits), 32)
    flips = [0, *(1 << i for i in range(code.stored_bits)),
             *(1 << i | 1 << j for i, j in combinations(range(code.stored_bits), 2))]
    cases = [(data, mask) for data in words for mask in flips]
    check(protect, cases, read_back(ChunkEncoder(code), ChunkDecoder(code), cases))


@pytest.mark.parametrize("protect", ["parity", "secded"])
@pytest.mark.parametrize("bits", [57, 64])
def test_large_chunks(protect, bits):
    """Random data; every single and every double error."""
    code = ChunkCode(protect, bits)
    print("seed", bits)
    rng = random.Random(bits)
    flips = [0, *(1 << i for i in range(code.stored_bits)),
             *(1 << i | 1 << j for i, j in combinations(range(code.stored_bits), 2))]
    cases = [(rng.getrandbits(bits), mask) for mask in flips]
    check(protect, cases, read_back(ChunkEncoder(code), ChunkDecoder(code), cases))


def test_triple_errors_are_mostly_seen():
    """Beyond what the code promises: a syndrome that belongs to no single bit is an error."""
    code = ChunkCode("secded", 64)
    columns = {*code.columns, *(1 << bit for bit in range(code.check_bits))}
    triples = [a ^ b ^ c not in columns for a, b, c in combinations(columns, 3)]
    assert round(100 * sum(triples) / len(triples), 1) == 43.7  # docs/memory.md
    rng = random.Random(3)
    cases = [(rng.getrandbits(64), sum(1 << bit for bit in rng.sample(range(72), 3))) for _ in range(500)]
    found = read_back(ChunkEncoder(code), ChunkDecoder(code), cases)
    assert all(corrected != error for _, corrected, error in found)
    assert 150 < sum(error for _, _, error in found) < 300


@pytest.mark.parametrize("protect", ["parity", "secded"])
@pytest.mark.parametrize("bits", [16, 72, 128, 200])
def test_words(protect, bits):
    """Flips in one chunk or in all: each chunk is corrected by itself, one that cannot be spoils the word."""
    print("seed", bits)
    rng = random.Random(bits)
    codes = chunk_codes(protect, bits)
    encoder, decoder = WordEncoder(protect, bits), WordDecoder(protect, bits)
    cases, wanted = [], []
    for _ in range(100):
        numbers = [rng.choice([0, 0, 1, 2]) for _ in codes]
        mask, low = 0, 0
        for code, number in zip(codes, numbers, strict=True):
            mask |= sum(1 << low + bit for bit in rng.sample(range(code.stored_bits), number))
            low += code.stored_bits
        cases.append((rng.getrandbits(bits), mask))
        error = (1 if protect == "parity" else 2) in numbers
        wanted.append((int(protect == "secded" and 1 in numbers), int(error)))
    for (data, mask), (seen, *flags), want in zip(cases, read_back(encoder, decoder, cases), wanted, strict=True):
        assert tuple(flags) == want, mask
        assert seen == data or want[1] or (protect == "parity" and mask)
    single = [(rng.getrandbits(bits), flip(protect, bits, 1, rng)) for _ in range(50)]
    check(protect, single, read_back(encoder, decoder, single))
