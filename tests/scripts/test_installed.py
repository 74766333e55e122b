"""What is installed stands by itself: nothing of it imports the maintainers' tools or the tests."""

import ast
from pathlib import Path

from tests.support.paths import ROOT

FOLDERS = ("hw", "sw_model", "tb", "scripts", "trajectile")
NOT_INSTALLED = ("trajectile.scripts.maintain", "tests")


def imported(path: Path) -> set[str]:
    """Modules that a file imports anywhere in it, and the names that it takes from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def test_nothing_installed_imports_what_is_not():
    """Every file of the wheel; the look itself finds an import."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
             if "maintain" not in path.parts and not any(part.is_symlink() for part in path.parents)]
    assert len(files) > 100
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in files for name in imported(path)
             if f"{name}.".startswith(tuple(f"{part}." for part in NOT_INSTALLED))]
    assert not wrong
    assert "tests.support.paths.ROOT" in imported(Path(__file__))
