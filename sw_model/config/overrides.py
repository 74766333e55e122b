"""Fields of a configuration as they are typed on a command line: ``section.field=value``."""

import re
import typing
from typing import Any

from trajectile.sw_model.config import toml_file
from trajectile.sw_model.config.checks import ConfigError
from trajectile.sw_model.config.sections import SECTIONS

#: commas that stand in no brackets
_COMMA = re.compile(r",(?![^\[]*\])")
VALUES = "an integer (12, 1_024, 0x10), a word, true, false, a list (0,3,12 or [0,3,12]); each field in a --set of its own"


def takes_list(section: str, field: str) -> bool:
    """Whether the values of a field are lists."""
    return typing.get_origin(typing.get_type_hints(SECTIONS[section]).get(field)) is tuple


def _path(option: str, text: str) -> tuple[str, str, str]:
    """``section``, ``field`` and what stands after the ``=``."""
    path, sign, value = text.partition("=")
    section, dot, field = (part.strip() for part in path.partition("."))
    if not sign or not dot or section not in SECTIONS:
        raise ConfigError(option, text, f"section.field=value with a section of {', '.join(SECTIONS)}")
    return section, field, value


def parse_override(text: str) -> tuple[str, str, Any]:
    """Split ``section.field=value``; the value is read as TOML, a bare word as a string, commas as a list.

    Raises:
        ConfigError: for anything else.
    """
    section, field, value = _path("--set", text)
    try:
        found = toml_file.value_of(f"[{value}]" if _COMMA.search(value) else value)
    except toml_file.TomlError:
        raise ConfigError(f"{section}.{field}", value, VALUES) from None
    if takes_list(section, field) and not isinstance(found, list):
        found = [found]
    return section, field, found


def parse_variation(text: str) -> tuple[str, list[Any]]:
    """Split ``section.field=value,value,...``; the values of a field of lists are lists in brackets.

    Raises:
        ConfigError: for anything else.
    """
    section, field, rest = _path("--vary", text)
    name = f"{section}.{field}"
    try:
        found = [toml_file.value_of(part) for part in _COMMA.split(rest)]
    except toml_file.TomlError:
        raise ConfigError(name, rest, "values with commas between them: integers, words, or lists in brackets ([0],[0,3])"
                          ) from None
    if takes_list(section, field) and not all(isinstance(value, list) for value in found):
        raise ConfigError(name, rest, f"lists in brackets, as {name}=[0],[0,3] for two variants")
    return name, found
