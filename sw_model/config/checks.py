"""What is wrong with a field, in words, and the checks that most fields need."""

import reprlib
from collections.abc import Iterable
from typing import Any

#: values in messages: whole where they are short, cut where somebody gives a page
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlist = _SHORT.maxtuple = 20


def shown(value: object) -> str:
    """A value in a message: one line, cut if it is long."""
    try:
        return _SHORT.repr(value)
    except (ValueError, RecursionError):  # Python writes no integer of thousands of digits, and no nest of brackets
        return f"<{type(value).__name__}, too long to show>"


class ConfigError(ValueError):
    """A configuration that cannot be built. The message names the field, the value and the legal values.

    ``where`` is the file and, where it is known, the line.
    """

    def __init__(self, field: str, value: object, legal: str, where: str = "") -> None:
        self.field, self.value, self.legal, self.where = field, value, legal, where
        place = f"{where}: " if where else ""
        name = field if field.isprintable() and len(field) <= 200 else shown(field)
        super().__init__(f"{place}{name} = {shown(value)} is not legal; legal values: {legal}")

    def __reduce__(self) -> tuple[Any, ...]:
        """Exceptions that take arguments need this to travel between processes."""
        return ConfigError, (self.field, self.value, self.legal, self.where)


def check_int(field: str, value: object, low: int, high: int) -> None:
    """Refuse what is not an integer from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(field, value, f"an integer from {low} to {high}")


def check_bool(field: str, value: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool):
        raise ConfigError(field, value, "true or false")


def check_name(field: str, value: object, legal: Iterable[str]) -> None:
    """Refuse what is not one of the legal words."""
    legal = list(legal)
    if value not in legal:
        raise ConfigError(field, value, f"one of {', '.join(legal)}")


def check_member(field: str, value: object, legal: Iterable[int]) -> None:
    """Refuse what is not one of the legal integers."""
    legal = list(legal)
    if type(value) is not int or value not in legal:
        listed = ", ".join(map(str, legal if len(legal) <= 16 else [*legal[:15], "...", legal[-1]]))
        raise ConfigError(field, value, f"one of {listed}")
