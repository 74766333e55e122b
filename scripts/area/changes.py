"""What changed between two area reports, and the check against the baseline of the repository."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

#: growth that fails the check, of the whole tile and of each part
LIMIT = 0.02
#: a part may grow by more if that is less than this share of the tile
SMALL = 0.001


def digest(values: Mapping[str, Any]) -> dict[str, Any]:
    """What a baseline keeps of a report: areas and cells of the whole and of each part."""
    kept = ("cells", "cell_area", "sram_area")
    return {"totals": {key: values["totals"][key] for key in kept},
            "groups": {name: {key: group[key] for key in kept} for name, group in values["groups"].items()}}


def _rows(base: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    nothing = {"cells": 0, "cell_area": 0.0, "sram_area": 0.0}
    names = dict.fromkeys([*base["groups"], *now["groups"]])
    return [*((name, base["groups"].get(name, nothing), now["groups"].get(name, nothing)) for name in names),
            ("total", base["totals"], now["totals"])]


def _area(part: Mapping[str, Any], key: str) -> float:
    return part[key] or 0.0


def grown(base: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What grew by more than is allowed, in words; empty if nothing did."""
    whole = _area(base["totals"], "cell_area") + _area(base["totals"], "sram_area")
    found = []
    for name, before, after in _rows(base, now):
        for key, what in (("cell_area", "cells"), ("sram_area", "SRAM")):
            old, new = _area(before, key), _area(after, key)
            if new > old * (1 + LIMIT) and (name == "total" or new - old > SMALL * whole):
                share = f"{new / old - 1:+.1%}" if old else "new"
                found.append(f"{what} of {name}: {old:,.0f} to {new:,.0f} ({share})")
    return found


def table(base: Mapping[str, Any], now: Mapping[str, Any]) -> Table:
    """Before, after and change by part."""
    result = Table(box=None, padding=(0, 2, 0, 0))
    result.add_column("block")
    for name in ("cells before", "after", "change", "SRAM before", "after", "change"):
        result.add_column(name, justify="right")
    for name, before, after in _rows(base, now):
        cells: list[str] = []
        for key in ("cell_area", "sram_area"):
            old, new = _area(before, key), _area(after, key)
            change = "" if new == old else f"{new / old - 1:+.2%}" if old else "new"
            cells += [f"{old:,.1f}", f"{new:,.1f}", change]
        result.add_row(name, *cells, style="bold" if name == "total" else "")
    return result
