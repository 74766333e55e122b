"""An extension of griffe, which reads docstrings for the site: ``#:`` comments above a field or port are its docstring."""

import ast
from typing import Any

import griffe


class Comments(griffe.Extension):
    """Attributes without a docstring get the ``#:`` comment above them, or at the end of their line."""

    def on_attribute_instance(self, *, node: ast.AST | griffe.ObjectNode, attr: griffe.Attribute, **_: Any) -> None:
        """Look at the lines around an attribute."""
        if attr.docstring or attr.lineno is None or isinstance(node, griffe.ObjectNode):
            return
        lines = attr.lines_collection[attr.filepath]
        at = attr.lineno - 1
        first = at
        while first and lines[first - 1].lstrip().startswith("#:"):
            first -= 1
        found = [line.strip().removeprefix("#:").strip() for line in lines[first:at]]
        if not found and "  #: " in lines[at]:
            found = [lines[at].partition("  #: ")[2]]
        if found:
            attr.docstring = griffe.Docstring(" ".join(found), lineno=first + 1, parent=attr)
