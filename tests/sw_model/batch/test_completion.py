"""The completion record against the hardware's layout and codes."""

import numpy as np
import pytest

from tests.support.configurations import small
from trajectile.hw.batch.layouts import COMPLETION_LAYOUT
from trajectile.hw.host.codes import RECORD_ERROR_LOW, RECORD_ERRORS
from trajectile.sw_model.batch.completion import COUNTERS, Completion, RecordError


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("beat", [4, 64, 128])
def test_it_is_as_the_hardware_writes_it(seed, beat):
    """Every field at its place, nothing else set, there and back."""
    rng = np.random.default_rng(seed)

    def word(bits=32):
        return int(rng.integers(0, 1 << bits))
    record = Completion(word(8), word(16), bool(word(1)), word(), word(), word(), word(),
                        tuple(word() for _ in range(COUNTERS)), word(8) - 128)
    content = COMPLETION_LAYOUT.const({
        "tag": record.tag, "valid": 1, "failed": record.failed, "tokens": record.tokens, "errors": record.errors,
        "cycles": record.cycles, "first_load": record.first_load, "streaming": record.streaming,
        "counters": list(record.counters), "unit": record.unit}).as_value().value
    expected = int(content).to_bytes(64, "little")
    memory = record.to_bytes(small(io__bytes_per_cycle=beat))
    assert memory[:64] == expected[:60] + expected[:4] and not any(memory[64:])
    assert COMPLETION_LAYOUT["again"].offset == 60 * 8
    assert len(memory) == max(beat, 64)
    assert Completion.from_bytes(memory) == record


def test_before_it_is_there():
    """Memory that was cleared has no record, whatever the rest of it says."""
    assert Completion.from_bytes(bytes(64)) is None
    assert Completion.from_bytes(b"\x05\xFE".ljust(64, b"\xFF")) is None
    record = Completion(3, 4).to_bytes(small())
    for beats in range(16):
        assert Completion.from_bytes(record[:4 * beats].ljust(64, b"\0")) is None
    assert Completion.from_bytes(record) == Completion(3, 4)


def test_errors_of_records():
    """Their bits are the hardware's."""
    assert [(error.name, error.value) for error in RecordError] == [
        (name, 1 << RECORD_ERROR_LOW + bit) for bit, (name, _) in enumerate(RECORD_ERRORS)]
