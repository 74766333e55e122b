"""The pages: all in the site's navigation, no link or name of a file that leads nowhere, commands that can be read."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.support.pages import code_lines, text_of
from tests.support.paths import ROOT
from trajectile.scripts import cli

#: pages of the site that lie outside of docs/, as scripts/maintain/docs_site.py has them
OUTSIDE = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *(ROOT / name for name in OUTSIDE.values())]
FOLDERS = "hw|sw_model|tb|scripts|tests|configs|docs"


def anchors(page):
    """Headings as a repository host and the site name them."""
    titles = re.findall(r"^#+ (.*)$", text_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", title.replace("`", "")).strip().lower().replace(" ", "-") for title in titles}


def test_navigation():
    """What is in docs/ is in mkdocs.yml, and the other way round: a new page needs its line in ``nav``."""
    nav = text_of(ROOT / "mkdocs.yml").partition("\nnav:\n")[2].partition("\n\n")[0]
    named = re.findall(r"[:-] ([\w/.-]+\.md)$", nav, re.M)
    assert len(named) == len(set(named))
    assert set(named) == {path.name for path in (ROOT / "docs").glob("*.md")} | set(OUTSIDE) | {"api/index.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page):
    """To files, pictures and headings that are there."""
    for target, anchor in re.findall(r"\]\((?!https?:)([^)\s#]*)(?:#([^)\s]*))?\)", text_of(page)):
        path = (page.parent / target).resolve() if target else page
        assert path.exists() and path.is_relative_to(ROOT), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), (target, anchor)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_files(page):
    """A file of the repository that is named in code type is there."""
    for name in re.findall(rf"`((?:{FOLDERS})/[\w./-]*)`", text_of(page)):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands(page):
    """Lines that begin with ``trajectile`` can be read by its parser."""
    for line in code_lines(page):
        if re.match(r"trajectile [a-z]", line):
            words = shlex.split(re.split(r"[|>]", line)[0], comments=True)[1:]
            assert cli.parser(words[0]).parse_args(words).command == words[0], line


@pytest.mark.regress
def test_site(tmp_path):
    """The site is built without a warning; a page that is nowhere in the navigation, or loads from the network, is one."""
    pytest.importorskip("mkdocs", reason="the site needs the extra docs")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = ROOT / "docs" / "zz_of_a_test.md"
    page.write_text("# Extra\n\n<img src=https://example.com/x.png>\n", encoding="utf-8")
    try:
        done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        page.unlink()
    assert done.returncode == 1 and "loads from the network" in done.stderr and "not included in the \"nav\"" in done.stderr
