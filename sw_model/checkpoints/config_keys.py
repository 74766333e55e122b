"""Values under keys of a model's configuration, checked."""

from collections.abc import Mapping, Sequence
from typing import Any

from trajectile.sw_model.config.checks import shown


class ModelConfigError(ValueError):
    """A ``config.json`` of a model that this hardware does not compute, or that contradicts itself."""


def whole(values: Mapping[str, Any], keys: Sequence[str], low: int, high: int) -> int | None:
    """A whole number under the first of these keys that is there; all that are there must agree."""
    found = {key: values[key] for key in keys if values.get(key) is not None}
    for key, value in found.items():
        if type(value) is not int or not low <= value <= high:
            raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal values: {low} to {high}")
    if len(set(found.values())) > 1:
        raise ModelConfigError(f"{', '.join(f'{key} = {value}' for key, value in found.items())} contradict each other; "
                               "legal: one value")
    return next(iter(found.values()), None)


def flag(values: Mapping[str, Any], key: str) -> bool | None:
    """A flag, None if it is not there."""
    value = values.get(key)
    if value is not None and not isinstance(value, bool):
        raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal values: true, false")
    return value


def number(values: Mapping[str, Any], keys: Sequence[str], default: float) -> float:
    """A number under the first of these keys that is there."""
    for key in keys:
        value = values.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal values: a number")
        return float(value)
    return default


def word(values: Mapping[str, Any], keys: Sequence[str], legal: Mapping[str, Any], why: str) -> Any:
    """What the words under these keys stand for, which must be the same; None if none is there."""
    found = {}
    for key in keys:
        value = values.get(key)
        if value is None:
            continue
        if not isinstance(value, str) or value not in legal:
            raise ModelConfigError(f"{key} = {shown(value)} is not legal; legal: {', '.join(legal)} ({why})")
        found[key] = legal[value]
    if len(set(found.values())) > 1:
        said = ", ".join(f"{key} = {values[key]}" for key in found)
        raise ModelConfigError(f"{said} contradict each other; legal: one value")
    return next(iter(found.values()), None)
