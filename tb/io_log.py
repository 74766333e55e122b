"""What tiles wrote by their io ports, as the bench's memory models logged it (``tb/rtl/io_model.v``)."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Written:
    """What a tile wrote in one run."""

    #: beats by byte address, each lowest byte first; the last one written there
    beats: dict[int, bytes] = field(default_factory=dict)
    #: how often each of them was written
    times: dict[int, int] = field(default_factory=dict)
    #: responses to write bursts, in order
    answers: list[int] = field(default_factory=list)

    def region(self, address: int, size: int) -> bytes | None:
        """The bytes of a region of whole beats; None if a beat of it was never written."""
        width = len(next(iter(self.beats.values()), b"\0"))
        found = [self.beats.get(beat) for beat in range(address, address + size, width)]
        return None if None in found else b"".join(beat for beat in found if beat is not None)


def parse(lines: Iterable[str]) -> list[Written]:
    """The runs of a log; a line "reset" ends each but the last."""
    runs = [Written()]
    for line in lines:
        first, *rest = line.split()
        if first == "reset":
            runs.append(Written())
        elif first == "answer":
            runs[-1].answers.append(int(rest[0]))
        else:
            address = int(first, 16)
            runs[-1].beats[address] = bytes.fromhex(rest[0])[::-1]
            runs[-1].times[address] = runs[-1].times.get(address, 0) + 1
    return runs


def read(prefix: Path, tile: int) -> list[Written]:
    """The runs in a tile's log. A line that is cut off is left out."""
    text = prefix.with_name(f"{prefix.name}_io{tile}.log").read_text(encoding="ascii")
    return parse(text[:text.rfind("\n") + 1].splitlines())
