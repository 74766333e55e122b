"""The text of pages, and the code on them."""

import re
from pathlib import Path


def text_of(page: Path) -> str:
    """All of it."""
    return page.read_text(encoding="utf-8")


def code_lines(page: Path) -> list[str]:
    """Lines of indented or fenced code, joined where a backslash ends them."""
    fence, found = False, []
    for line in text_of(page).splitlines():
        if line.lstrip().startswith("```"):
            fence = not fence
        elif fence or line.startswith("    "):
            found.append(line.strip())
    return re.sub(r"\\\n", " ", "\n".join(found)).splitlines()
