"""Parts of pages: replaced by themselves, and missed when they are not there."""

import pytest

from trajectile.scripts.maintain import pages

PAGE = """# A

<!-- b: written by make b -->
old
<!-- end of b -->

<!-- c: written by make c -->
<!-- end of c -->
last
"""


@pytest.fixture(autouse=True)
def page(tmp_path, monkeypatch):
    """A page with two parts, one of them empty."""
    monkeypatch.setattr(pages, "DOCS", tmp_path)
    (tmp_path / "a.md").write_text(PAGE)
    return tmp_path / "a.md"


def test_one_part_is_replaced(page):
    """And nothing else."""
    assert pages.read_part("a.md", "b") == "old\n" and pages.read_part("a.md", "c") == ""
    pages.write_part("a.md", "b", "new\nlines")
    assert page.read_text() == PAGE.replace("old", "new\nlines") and pages.read_part("a.md", "b") == "new\nlines\n"


@pytest.mark.parametrize("text", ["# A\n", "<!-- d: written by make d -->\n", "<!-- end of d -->\n"])
def test_a_page_without_the_part(page, text):
    """Is an error that says what is looked for; the page stays."""
    page.write_text(text)
    with pytest.raises(LookupError, match=r"a\.md has no part 'd': <!-- d: written by COMMAND --> and <!-- end of d -->"):
        pages.write_part("a.md", "d", "x")
    assert page.read_text() == text
