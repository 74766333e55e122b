"""Who imports what: one import name for the product, and helpers of tests in one place."""

import ast
from collections.abc import Iterator

import pytest

from tests.support.paths import ROOT

#: folders of the repository that are imported below ``trajectile``
PARTS = ("hw", "sw_model", "tb", "scripts")
FILES = sorted(path for folder in (*PARTS, "tests") for path in (ROOT / folder).rglob("*.py"))


def imported(text: str) -> Iterator[str]:
    """Every module and every name of a module that a file imports, dotted: ``from a import b`` gives ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)


def wrong(text: str) -> set[str]:
    """What a file must not import: a part of the product by its folder, another test file, a ``conftest``."""
    return {name for name in imported(text)
            if name.partition(".")[0] in PARTS
            or any(part == "conftest" or part.startswith("test_") for part in name.split("."))}


def test_imports():
    """Nothing shadows, or is shadowed by, a user's own ``hw``; what two test files need is in ``tests/support``."""
    found = {str(path.relative_to(ROOT)): wrong(path.read_text(encoding="utf-8")) for path in FILES}
    assert len(found) > 200
    assert not {path: names for path, names in found.items() if names}


@pytest.mark.parametrize(("text", "named"), [
    ("from hw import params", {"hw", "hw.params"}), ("import scripts.cli", {"scripts.cli"}), ("import tb", {"tb"}),
    ("def f():\n    from sw_model.config import load", {"sw_model.config", "sw_model.config.load"}),
    ("from tests.conftest import small", {"tests.conftest", "tests.conftest.small"}),
    ("from tests.tb.test_errors import wrongs", {"tests.tb.test_errors", "tests.tb.test_errors.wrongs"}),
    ("from tests.tb import test_errors as e", {"tests.tb.test_errors"}),
])
def test_wrong_imports_are_seen(text, named):
    """Of each kind."""
    assert wrong(text) == named


def test_other_imports_are_not():
    """The product under its name, support, libraries."""
    assert not wrong("from trajectile.hw import params\nfrom tests.support.paths import ROOT\nimport numpy.testing\n"
                     "from trajectile import tb")
