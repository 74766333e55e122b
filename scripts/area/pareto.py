"""Area against cycles: which variants no other beats in both."""

from collections.abc import Mapping, Sequence
from typing import Any


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each point whether no other is at most as large in both coordinates and smaller in one."""
    return [not any(x <= a and y <= b and (x < a or y < b) for x, y in points) for a, b in points]


def mark(entries: Sequence[dict[str, Any]]) -> None:
    """Set ``pareto`` of the entries of a sweep: on the front of area and cycles; False where either is not known."""
    known = [entry for entry in entries if entry.get("area") is not None and entry["cycles"] is not None]
    for entry in entries:
        entry["pareto"] = False
    for entry, best in zip(known, front([(entry["area"], entry["cycles"]) for entry in known]), strict=True):
        entry["pareto"] = best


def whole(totals: Mapping[str, Any]) -> float | None:
    """Cells and SRAM of the totals of a report; None if the SRAM is not known."""
    return None if totals["sram_area"] is None else round(totals["cell_area"] + totals["sram_area"], 4)
