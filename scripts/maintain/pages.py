"""Parts of the pages in ``docs/`` that a command writes: they stand between two comments which name it."""

from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def _begin(name: str) -> str:
    return f"<!-- {name}: written by "


def _end(name: str) -> str:
    return f"<!-- end of {name} -->"


def _parts(page: str, name: str) -> tuple[str, str, str]:
    """What stands before a part (with its first comment), the part, what stands after it."""
    text = (DOCS / page).read_text(encoding="utf-8")
    before, begin, rest = text.partition(_begin(name))
    comment, newline, rest = rest.partition("\n")
    part, end, after = rest.partition(_end(name))
    if not (begin and end):
        raise LookupError(f"docs/{page} has no part {name!r}: {_begin(name)}COMMAND --> and {_end(name)}")
    return before + begin + comment + newline, part, end + after


def read_part(page: str, name: str) -> str:
    """A part as it stands on the page; raises ``LookupError`` if the page has no such part."""
    return _parts(page, name)[1]


def write_part(page: str, name: str, text: str) -> None:
    """Put a part on its page in place of what is there; raises ``LookupError`` if the page has no such part."""
    before, _, after = _parts(page, name)
    (DOCS / page).write_text(before + text.rstrip("\n") + "\n" + after, encoding="utf-8")
