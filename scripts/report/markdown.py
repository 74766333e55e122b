"""Tables in Markdown: of pages that ``trajectile generate`` writes, and of pages in ``docs/``."""

from collections.abc import Iterable


def table_rows(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    """Lines of a Markdown table."""
    line = "| " + " | ".join(head) + " |"
    return [line, "|" + "---|" * len(head), *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows), ""]
