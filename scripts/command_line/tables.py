"""Tables that a person can read."""

import json
from math import isfinite
from pathlib import Path
from typing import Any

from rich.table import Table


def _standard(values: Any) -> Any:
    """Values with null for what JSON has no number for: infinity and NaN."""
    if isinstance(values, dict):
        return {key: _standard(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_standard(value) for value in values]
    return None if isinstance(values, float) and not isfinite(values) else values


def json_text(values: Any) -> str:
    """Values as JSON, with null for infinity and NaN."""
    return json.dumps(_standard(values), indent=2, allow_nan=False) + "\n"


def write_json(path: Path, values: Any) -> None:
    """Write values; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json_text(values), encoding="utf-8")


def _verdict(value: bool | None, message: str) -> str:
    if value is None:
        return message
    return f"[green]exact[/] ({message})" if value else f"[bold red]NOT EXACT[/] {message}"


def simulation_table(values: dict[str, Any]) -> Table:
    """Exactness, cycles, utilisation, wall time."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    roof, use = values["roofline"], values["utilisation"]
    bound = max(roof, key=roof.get)
    table.add_row("results", _verdict(values["results_exact"], values["results"]))
    table.add_row("events", _verdict(values["events_exact"], values["events"]))
    table.add_row("cycles", f"RTL {values['cycles_rtl']:,}, model {values['cycles_model']:,}, "
                            f"roofline {values['roofline_cycles']:,} ({bound}): "
                            f"{values['cycles_rtl'] / max(values['roofline_cycles'], 1):.3f} of the roofline")
    ddr = values["ddr_cycles"]
    table.add_row("last DDR channel", f"{ddr['start']:,} cycles to its first beat, {ddr['busy']:,} beats, "
                                      f"{ddr['idle']:,} idle, {ddr['tail']:,} after its last")
    table.add_row("busy", ", ".join(f"{name.upper()} {share:.0%}" for name, share in use.items()))
    if values["fidelity"]:
        table.add_row("int8 layer", f"cosine {values['fidelity']['cosine']:.5f}, "
                                    f"SQNR {values['fidelity']['sqnr_db']:.1f} dB against {values['fidelity']['against']}")
    table.add_row("seconds", ", ".join(f"{name} {seconds:.1f}" for name, seconds in values["wall_seconds"].items()))
    table.add_row("files", values["files"])
    return table
