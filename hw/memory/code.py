"""The codes that protect SRAM words: parity, and Hsiao's single-error-correcting, double-error-detecting code (SECDED).

A word is divided into chunks of at most 64 bits, of equal size or one bit more. Each chunk is stored with its own check bits.
In both codes check bit ``b`` is the parity of the data bits whose *column* has bit ``b`` set. Parity has one check bit, so
every column is 1. SECDED uses different columns of odd weight, 3 and up (those of weight 1 belong to the check bits). Then
the syndrome of one flipped bit is its column, of odd weight. The syndrome of two is the sum of two columns, of even weight
and not 0. The columns are chosen as in M. Y. Hsiao, "A Class of Optimal Minimum Odd-weight-column SEC-DED Codes", 1970: the
fewest check bits, the fewest ones in all columns together, and numbers of ones per row that differ by one at most. That makes
the parity trees of the check bits small and equally deep.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, count

from trajectile.sw_model.config import PROTECTIONS, ceil_div

#: most data bits of a chunk
CHUNK_BITS = 64


@dataclass(frozen=True)
class ChunkCode:
    """The code of one chunk.

    Raises:
        ValueError: if ``protect`` is no code or ``data_bits`` is not from 1 to ``CHUNK_BITS``.
    """

    #: ``parity`` or ``secded``
    protect: str
    data_bits: int

    def __post_init__(self) -> None:
        if self.protect not in PROTECTIONS[1:]:
            raise ValueError(f"protect = {self.protect!r} is not legal; legal values: {', '.join(PROTECTIONS[1:])}")
        if not 1 <= self.data_bits <= CHUNK_BITS:
            raise ValueError(f"data_bits = {self.data_bits} is not legal; legal values: 1 to {CHUNK_BITS}")

    @cached_property
    def check_bits(self) -> int:
        """Bits that are stored beside the data: with r of them there are ``2^(r-1) - r`` columns of odd weight 3 and up."""
        return 1 if self.protect == "parity" else next(r for r in count(3) if 2 ** (r - 1) - r >= self.data_bits)

    @property
    def stored_bits(self) -> int:
        """Data and check bits."""
        return self.data_bits + self.check_bits

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The check bits that each data bit takes part in, as a number with bit ``b`` for check bit ``b``."""
        if self.protect == "parity":
            return (1,) * self.data_bits
        columns: list[int] = []
        for weight in count(3, 2):
            of_weight = [sum(1 << bit for bit in bits) for bits in combinations(range(self.check_bits), weight)]
            wanted = min(self.data_bits - len(columns), len(of_weight))
            # All columns of a weight load every row alike, so leaving some out evenly is as good as taking some evenly.
            spare = len(of_weight) - wanted
            picked = _even(of_weight, min(wanted, spare), self.check_bits)
            columns += [column for column in of_weight if (column in picked) == (wanted <= spare)]
            if len(columns) == self.data_bits:
                return tuple(columns)
        raise AssertionError("check_bits is too small")

    @cached_property
    def rows(self) -> tuple[tuple[int, ...], ...]:
        """The data bits that each check bit is the parity of."""
        return tuple(tuple(place for place, column in enumerate(self.columns) if column >> bit & 1)
                     for bit in range(self.check_bits))


def _even(columns: list[int], number: int, rows: int) -> set[int]:
    """``number`` of some columns that load the rows evenly: always one whose rows have the fewest ones so far."""
    load = [0] * rows
    picked: set[int] = set()
    for _ in range(number):
        best = min((column for column in columns if column not in picked),
                   key=lambda column: sum(ones for row, ones in enumerate(load) if column >> row & 1))
        picked.add(best)
        load = [ones + (best >> row & 1) for row, ones in enumerate(load)]
    return picked


def chunk_codes(protect: str, word_bits: int, lanes: int = 1) -> list[ChunkCode]:
    """The chunks of a protected word, lowest first. No chunk lies in two of the ``lanes`` that are written by themselves."""
    lane_bits = word_bits // lanes
    number = ceil_div(lane_bits, CHUNK_BITS)
    return [ChunkCode(protect, (lane_bits + place) // number) for place in range(number)] * lanes


def stored_bits(protect: str, word_bits: int, lanes: int = 1) -> int:
    """Width of the SRAM that holds words of ``word_bits``."""
    return word_bits if protect == "none" else sum(code.stored_bits for code in chunk_codes(protect, word_bits, lanes))
