"""Pages out of templates: one file each, with everything in it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

FOLDER = Path(__file__).parent


def text_of(name: str) -> Markup:
    """A file of this folder as it goes into a page."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def render(template: str, found: Mapping[str, Any], **more: Any) -> str:
    """A page.

    Args:
        template: file of this folder.
        found: what the page shows, as ``f``; it is in the page as JSON, too.
        more: other values that the template names.
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(FOLDER), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # JSON that cannot end its element
    embedded = Markup(json.dumps(found, allow_nan=False).replace("<", "\\u003c"))
    return environment.get_template(template).render(f=found, embedded=embedded, style=text_of("style.css"), **more) + "\n"
