"""Values as JSON that every reader takes: null for what JSON has no number for."""

import json
from math import isfinite
from pathlib import Path
from typing import Any

from trajectile.scripts.files import write_text


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
    write_text(path, json_text(values))
