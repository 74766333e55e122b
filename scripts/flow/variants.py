"""One or two fields of a configuration varied: cycles of each variant, and its area if that is wanted."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from trajectile.scripts.area import pareto
from trajectile.scripts.area.synthesis import synthesize
from trajectile.scripts.area.technology import Technology
from trajectile.scripts.errors import UserError
from trajectile.scripts.flow.comparison import window_offsets
from trajectile.scripts.flow.experiments import Gate, Task, config_text
from trajectile.sw_model import config as configuration
from trajectile.sw_model.config import Config, ConfigError

#: what is known of a variant that runs
MEASURED = ("cycles", "over_roofline", "use_ddr", "use_mac", "use_d2d")
#: values of the fields that are varied, and the configuration with them, or why it cannot be built
Point = tuple[tuple[Any, ...], Config | str]


@dataclass(frozen=True)
class Plan:
    """The batches of a sweep."""

    #: in the order of their fields
    fields: Sequence[str]
    points: Sequence[Point]
    tasks: Sequence[Task]
    #: which of the points each task is of
    owner: Sequence[int]
    tokens: int
    strategy: str


def variants(base: Config, vary: Sequence[tuple[str, Sequence[Any]]]) -> list[Point]:
    """Each combination of values with its configuration, or with why it cannot be built.

    Raises:
        UserError: if more than two fields are varied.
        ConfigError: for a field that does not exist.
    """
    if len(vary) > 2:
        raise UserError(f"--vary is given {len(vary)} times; legal: once or twice")
    found: list[Point] = []
    for chosen in itertools.product(*(options for _, options in vary)):
        fields = {k: dict(v) for k, v in base.as_dict.items() if k != "name"}
        for (field, _), value in zip(vary, chosen, strict=True):
            section, name, _ = configuration.parse_override(f"{field}=0")
            if name not in fields[section]:
                raise ConfigError(field, value, f"a field of [{section}]: {', '.join(fields[section])}")
            fields[section][name] = value
        try:
            found.append((chosen, configuration.from_dict(fields, base.name)))
        except ConfigError as error:
            found.append((chosen, str(error)))
    return found


def plan(base: Config, vary: Sequence[tuple[str, Sequence[Any]]], gate: Gate, *, tokens: int = 64, strategy: str = "fse",
         order: str = "balanced", windows: int = 2) -> Plan:
    """The batches of a sweep; variants that cannot be built or do not hold the tokens have none.

    Args:
        base: what is varied.
        vary: fields, as ``section.field``, and their values; one or two.
        gate: where gate decisions come from.
        tokens: batch size.
        strategy: one of :data:`~trajectile.scripts.flow.experiments.STRATEGIES`.
        order: load order.
        windows: of the trace.

    Raises:
        UserError: if no variant can be built, or for a trace that does not fit.
        ConfigError: for a field that does not exist.
    """
    if tokens < 1:
        raise UserError(f"--tokens = {tokens} is not legal; legal values: 1 or more")
    points = variants(base, vary)
    tasks, owner = [], []
    for number, (_, variant) in enumerate(points):
        if isinstance(variant, str) or tokens > _room(variant, strategy):
            continue
        for offset in window_offsets(gate.read(variant), tokens, windows):
            tasks.append(Task(config_text(variant), gate, offset, tokens, strategy, order))
            owner.append(number)
    if not tasks:
        why = [variant for _, variant in points if isinstance(variant, str)]
        raise UserError("--vary leaves no configuration that can be built: " + "; ".join(
            why or [f"none holds --tokens = {tokens}"]) + "; legal: at least one that can")
    return Plan([field for field, _ in vary], points, tasks, owner, tokens, strategy)


def _room(config: Config, strategy: str) -> int:
    """Tokens of a batch at the most: every tile may have to hold all of them."""
    return config.tile.tokens if strategy == "tokens-travel" else config.token_capacity


def entries_of(swept: Plan, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """An entry for each variant from the rows of the tasks: values of the fields, means over the windows, or why not."""
    entries = []
    for number, (chosen, variant) in enumerate(swept.points):
        mine = [row for row, place in zip(rows, swept.owner, strict=True) if place == number]
        entry: dict[str, Any] = dict(zip(swept.fields, chosen, strict=True))
        if mine:
            entry |= {key: fmean(row[key] for row in mine) for key in MEASURED} | {"why_not": ""}
        else:
            why = variant if isinstance(variant, str) else f"holds {_room(variant, swept.strategy)} tokens only"
            entry |= dict.fromkeys(MEASURED) | {"why_not": why}
        entries.append(entry)
    return entries


def add_areas(entries: Sequence[dict[str, Any]], swept: Plan, folder: Path, technology: Technology, registers: int | None,
              say: Callable[[str], object] = str) -> None:
    """Synthesize what was simulated; add areas, and whether a variant is on the Pareto front of area and cycles.

    Raises:
        UserError: as :func:`trajectile.scripts.area.synthesis.synthesize`.
    """
    for number, (entry, (_, variant)) in enumerate(zip(entries, swept.points, strict=True)):
        entry |= dict.fromkeys(("area", "cell_area", "sram_area"))
        if entry["cycles"] is not None and isinstance(variant, Config):
            say(f"synthesizing variant {number + 1} of {len(swept.points)}")
            totals = synthesize(variant, folder / f"area_{number}", technology, registers=registers)["totals"]
            entry |= {"area": pareto.whole(totals), "cell_area": totals["cell_area"], "sram_area": totals["sram_area"]}
    pareto.mark(entries)
