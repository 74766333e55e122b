"""The completion record, with which a tile says that it is done with a batch: docs/batch.md, "Completion record"."""

import struct
from dataclasses import dataclass
from enum import IntFlag

from trajectile.sw_model.config import COMPLETION_BYTES, Config

#: counters in the record
COUNTERS = 9

_WORDS = struct.Struct(f"<BBHIIII{COUNTERS}Ib3x4s")
_VALID, _FAILED = 1, 2
#: the record ends with the bytes with which it begins
_AGAIN_BYTES = 4


class RecordError(IntFlag):
    """What was wrong in a batch's token records; the batch went on without it. Lower bits are fatal errors."""

    EXPERT = 1 << 16  #: a choice names an expert that does not exist; it was dropped
    TWICE = 1 << 17  #: a token names an expert twice; the second was dropped
    RESPONSE = 1 << 18  #: the io port was answered a read of records with an error


@dataclass(frozen=True)
class Completion:
    """A completion record."""

    #: what the host calls the batch
    tag: int
    #: tokens of the batch in this tile
    tokens: int
    #: the batch was not worked off; ``errors`` says why
    failed: bool = False
    #: errors of the batch: fatal ones from bit 0 on, :class:`RecordError` from bit 16 on
    errors: int = 0
    #: cycles from the doorbell to this record
    cycles: int = 0
    #: cycles from the doorbell to the first load of this tile; 0: none
    first_load: int = 0
    #: cycles from the first load to the last release of this tile
    streaming: int = 0
    #: counters of the tile since reset
    counters: tuple[int, ...] = (0,) * COUNTERS
    #: binary exponent of a step of int32 results; 0 if no slice was computed here
    unit: int = 0

    def to_bytes(self, config: Config) -> bytes:
        """The record in memory, in whole beats."""
        flags = _VALID | self.failed * _FAILED
        record = _WORDS.pack(self.tag, flags, self.tokens, self.errors, self.cycles, self.first_load, self.streaming,
                             *self.counters, self.unit, b"")
        return (record[:-_AGAIN_BYTES] + record[:_AGAIN_BYTES]).ljust(config.completion_bytes, b"\0")

    @classmethod
    def from_bytes(cls, record: bytes) -> "Completion | None":
        """The record in memory that was zero before the doorbell; None: it is not there yet, or not all of it."""
        tag, flags, *numbers, unit, again = _WORDS.unpack(record[:COMPLETION_BYTES])
        if not flags & _VALID or again != record[:_AGAIN_BYTES]:
            return None
        tokens, errors, cycles, first_load, streaming, *counters = numbers
        return cls(tag, tokens, bool(flags & _FAILED), errors, cycles, first_load, streaming, tuple(counters), unit)
