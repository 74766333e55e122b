"""The fields of a configuration, and what a tile's memories hold, for docs/configuration.md, from the configuration itself.

``python -m trajectile.scripts.maintain.configuration_page`` writes the tables.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator

from trajectile.scripts.maintain import pages
from trajectile.scripts.report.markdown import table_rows
from trajectile.sw_model.config import Config, ConfigError, load
from trajectile.sw_model.config.memory import tile_memory

PAGE, PART, MEMORY_PART = "configuration.md", "fields", "memory"
#: presets whose values are shown, and whose memories are
SHOWN = ("demo", "paper", "gpt-oss-20b")
MEMORY_SHOWN = ("demo", "paper", "qwen3-30b-a3b", "gpt-oss-20b")


def meanings(section: type) -> dict[str, str]:
    """What the ``#:`` comment above each field of a section says."""
    found = re.findall(r"^ +#: (.+)\n +(\w+): ", inspect.getsource(section), re.M)
    return {name: text for text, name in found}


def legal_values(section: object, field: str) -> str:
    """What a field's own check says of a value that no field can have."""
    try:
        dataclasses.replace(section, **{field: None})  # type: ignore[type-var]
    except ConfigError as error:
        return error.legal
    raise AssertionError(f"{type(section).__name__}.{field} takes anything")


def _cell(value: object) -> str:
    """A value as a file has it."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows() -> Iterator[tuple[object, ...]]:
    shown = [load(name) for name in SHOWN]
    for section in dataclasses.fields(Config):
        values = [getattr(config, section.name) for config in shown]
        if not dataclasses.is_dataclass(values[0]):
            continue
        said = meanings(type(values[0]))
        for field in dataclasses.fields(values[0]):
            default = "" if field.default is dataclasses.MISSING else _cell(field.default)
            yield (f"`{section.name}.{field.name}`", said[field.name], legal_values(values[0], field.name), default,
                   *(_cell(getattr(value, field.name)) for value in values))


def markdown() -> str:
    """The table; "an integer from .. to .." is what a message says, too."""
    return "\n".join(table_rows(("field", "meaning", "legal values", "default", *(f"`{name}`" for name in SHOWN)), _rows()))


def _memory_rows() -> Iterator[tuple[object, ...]]:
    for name in MEMORY_SHOWN:
        one, two = (tile_memory(load(name, [f"tile.batches={batches}"])) for batches in (1, 2))
        kib = [f"{bits / 8192:,.1f}" for bits in (one.slots, one.activations, one.results, one.clips, one.lists, one.counts,
                                                  one.total, two.total - one.total)]
        yield f"`{name}`", *kib, f"{two.total / one.total - 1:.0%}"


def memory_markdown() -> str:
    """KiB of a tile's memories, and what a second batch in flight adds."""
    return "\n".join(table_rows(("KiB of a tile", "slots", "activations", "results", "clips", "token lists", "counts",
                                 "all of it", "a second batch adds", "that is"), _memory_rows()))


if __name__ == "__main__":
    pages.write_part(PAGE, PART, markdown())
    pages.write_part(PAGE, MEMORY_PART, memory_markdown())
