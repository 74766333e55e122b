"""Reading a configuration: of a TOML file or a preset, with overrides, or of nested dictionaries."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trajectile.sw_model.config import toml_file
from trajectile.sw_model.config.accelerator import Config
from trajectile.sw_model.config.checks import ConfigError
from trajectile.sw_model.config.overrides import parse_override
from trajectile.sw_model.config.sections import SECTIONS


def _section(name: str, values: object) -> Any:
    kind = SECTIONS[name]
    if not isinstance(values, Mapping):
        raise ConfigError(name, values, f"a table [{name}]")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise ConfigError(f"{name}.{key}", values[key], f"no such field; [{name}] has {', '.join(fields)}")
    for key, known in fields.items():
        if key not in values and known.default is dataclasses.MISSING:
            raise ConfigError(f"{name}.{key}", None, "a value (the field is missing)")
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def from_dict(values: Mapping[str, Any], name: str = "unnamed") -> Config:
    """Make a :class:`Config` of nested dictionaries.

    Raises:
        ConfigError: for an unknown, missing or illegal field.
    """
    for key in values:
        if key not in SECTIONS and key != "name":
            raise ConfigError(key, values[key], f"no such section; there are {', '.join(SECTIONS)}")
    for key, kind in SECTIONS.items():
        if key not in values and any(f.default is dataclasses.MISSING for f in dataclasses.fields(kind)):
            raise ConfigError(key, None, f"a table [{key}] (the section is missing)")
    return Config(name=name, **{key: _section(key, values.get(key, {})) for key in SECTIONS})


def presets() -> dict[str, Path]:
    """The configurations that come with the project, by name."""
    folder = (Path(__file__).parents[2] / "configs").resolve()  # in a checkout a link: errors show the file itself
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(source: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a TOML file, or the preset of that name, and apply ``section.field=value`` overrides.

    Raises:
        ConfigError: if there is no such file, it is not TOML, or a field is unknown, missing or illegal.
    """
    path = _find(source)
    try:
        file = toml_file.read(path)
    except toml_file.TomlError as error:
        raise ConfigError("CONFIG", str(source), f"a TOML file ({error})", toml_file.place(path, error.line)) from None
    values = file.values
    overridden = set()
    for override in overrides:
        section, field, value = parse_override(override)
        table = values.setdefault(section, {})
        if isinstance(table, dict):
            table[field] = value
            overridden.add(f"{section}.{field}")
    try:
        # the name stands in comments of generated files and in paths
        return from_dict(values, name=re.sub(r"[^\w.+-]+", "_", path.stem))
    except ConfigError as error:
        if error.field in overridden:
            raise
        raise ConfigError(error.field, error.value, error.legal, toml_file.place(path, file.line_of(error.field))) from None


def _find(source: str | Path) -> Path:
    path, known = Path(source), presets()
    try:
        found = path.is_file()
    except OSError:  # a name that the file system cannot have
        found = False
    if not found and str(source) not in known:
        raise ConfigError("CONFIG", str(source), f"a TOML file or a preset: {', '.join(known)}")
    return path if found else known[str(source)]
