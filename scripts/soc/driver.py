"""The C driver that goes with a generated array: the same source for every configuration, beside its register header."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "data"
#: its files
NAMES = ("trajectile_driver.h", "trajectile_driver.c")


def files() -> dict[str, str]:
    """File name to text."""
    return {name: (_FOLDER / name).read_text(encoding="utf-8") for name in NAMES}
