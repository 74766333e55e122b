"""The page about a run: facts and charts in a template. Every figure names the fact that it shows."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from trajectile.scripts.errors import ToolError
from trajectile.scripts.files import write_text
from trajectile.scripts.report import charts, templates
from trajectile.scripts.report.facts import facts
from trajectile.scripts.report.templates import text_of
from trajectile.sw_model.config import Config
from trajectile.sw_model.schedule.scheduler import Schedule
from trajectile.sw_model.timeline.model import Event

#: its name beside a run's other files
FILE = "report.html"
#: how figures are written
FORMS = {"int": "{:,}", "share": "{:.1%}", "ratio": "{:.3f}", "one": "{:,.1f}", "two": "{:,.2f}", "five": "{:.5f}",
         "text": "{}"}


def look_up(facts: Mapping[str, Any], path: str) -> Any:
    """A fact by its path: names and list positions between dots."""
    value: Any = facts
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list | tuple) else value[part]
    return value


def shown(value: Any, form: str) -> str:
    """A fact as the page writes it."""
    return "none" if value is None else FORMS[form].format(round(value) if form == "int" else value)


def _tenths(values: Any, edges: Any) -> list[float]:
    """Means of a share over ten parts of equal length, from its parts between ``edges``."""
    parts = np.diff(edges) * np.asarray(values)
    sums = np.interp(np.linspace(0, edges[-1], 11), edges, np.concatenate(([0.0], np.cumsum(parts))))
    return [float(mean) for mean in np.diff(sums) / (edges[-1] / 10)]


def render(config: Config, found: Mapping[str, Any]) -> str:
    """The whole file; ``found`` are those of :func:`trajectile.scripts.report.facts.facts`."""
    def figure(path: str, form: str = "int") -> Markup:
        text = shown(look_up(found, path), form)
        return Markup(f'<span class="n" data-fact="{escape(path)}" data-form="{form}">{escape(text)}</span>')

    paths = {number: tile["path"] for number, tile in enumerate(found["tiles"])}
    edges, script = found["edges"], text_of("player.js")
    # the only script that the page allows
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return templates.render(
        "run.html", found, config=config, fig=figure, pairwise=pairwise, script=script, digest=digest,
        tenths=lambda values: _tenths(values, edges),
        steps=lambda name, kind: charts.steps(edges, found["utilisation"][name], kind, f"{name} over the batch"),
        stack=charts.stack(edges, found["mac"]["over_time"], found["mac"]["reasons"], "Where the MAC arrays' cycles went"),
        phases=lambda tile, name, span: charts.phases([one for one in found["phases"] if one["tile"] == tile], span,
                                                      f"phases of tile {tile}, {name}"),
        array=charts.array(config, found["tiles"]),
        way=lambda kind: charts.trajectory(config, kind, paths))


def write(page: Path, config: Config, plan: Schedule, events: Sequence[Event], run: Mapping[str, Any],
          area: Mapping[str, Any] | None, command: str) -> Path:
    """Write the page of a simulation; returns its path.

    Args:
        page: the file; its folder is made.
        config: the accelerator.
        plan: the batch's schedule.
        events: of the RTL.
        run: the summary of the simulation.
        area: what ``synthesize`` says, if it was asked.
        command: that gives the page again.

    Raises:
        UserError: if ``area`` is of another configuration.
        ToolError: if the batch did not come to its end.
    """
    if not run["counters"]:
        raise ToolError(f"no report on a batch that did not end: {run['events']}")
    write_text(page, render(config, facts(config, plan, events, run, area, command)))
    return page
