"""Hooks of mkdocs: what the site has beside ``docs/*.md``, and what its build must refuse.

README, CHANGELOG and CONTRIBUTING become pages. Files of the repository that a page names, as a link (``../hw/tile.py``) or
as ``hw/tile.py`` in code type, get a page with their text, and the name leads there; on a repository host the same links
lead to the files themselves. Every package gets a page made of its docstrings. Nothing of the site may be loaded from the
network.
"""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
log = logging.getLogger("mkdocs.hooks.trajectile")

#: pages that lie elsewhere in the repository
PAGES = {"index.md": "README.md", "contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
FOLDERS = ("hw", "sw_model", "tb", "scripts", "tests", "configs")
LANGUAGES = {".py": "python", ".v": "verilog", ".toml": "toml", ".cpp": "cpp", ".c": "c", ".h": "c"}
#: larger files, and what is no text, stay out
SOURCE_BYTES = 150_000

LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)\s#]+)(#[^)\s]*)?(?=\))")
NAMED = re.compile(r"(?<!\[)`((?:" + "|".join(FOLDERS) + r")/[\w./-]+)`(?!\])")
DOCUMENT = re.compile(r"(?<![\w/\[`])(?<!\]\()docs/(\w+)\.md(?![\w`\]])")
#: roles of Sphinx in docstrings
ROLE = re.compile(r":(?:func|class|mod|meth|attr|data):(?=<code>)")
OUTSIDE = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"' >]+|<link\b[^>]*\bhref=[\"']?"
                     r"(?:https?:)?//[^\"' >]+")


def _prose(text: str) -> Iterator[tuple[bool, str]]:
    """Lines, each with whether it is prose: neither fenced nor indented code."""
    fence = False
    for line in text.splitlines(keepends=True):
        mark = line.lstrip().startswith("```")
        yield not (fence or mark or line.startswith("    ")), line
        fence ^= mark


def source_of(name: str) -> Path | None:
    """The file of the repository that a name in a page means, if it can be shown."""
    path = ROOT / name
    try:
        inside = path.resolve().is_relative_to(ROOT) and path.is_file() and path.stat().st_size <= SOURCE_BYTES
        return path if inside and "\0" not in path.read_text(encoding="utf-8") else None
    except UnicodeDecodeError:
        return None


def _target(page: str, link: str) -> str:
    """Where a link of a page leads, from the repository's root."""
    return os.path.normpath(os.path.join(os.path.dirname(PAGES.get(page, f"docs/{page}")), link))


def rewritten(page: str, text: str) -> str:
    """A page's Markdown with every link and name as the site needs it."""
    homes = {origin: made for made, origin in PAGES.items()}

    def link(match: re.Match[str]) -> str:
        target, anchor = _target(page, match[1]), match[2] or ""
        if target in homes:
            return homes[target] + anchor
        if target.startswith("docs/"):
            return target.removeprefix("docs/") + anchor
        if source_of(target):
            number = re.fullmatch(r"#L(\d+)", anchor)
            return f"source/{target}.md" + (f"#__codelineno-0-{number[1]}" if number else anchor)
        return match[0]

    def named(match: re.Match[str]) -> str:
        return f"[`{match[1]}`](source/{match[1]}.md)" if source_of(match[1]) else match[0]

    def document(match: re.Match[str]) -> str:
        there = (ROOT / "docs" / f"{match[1]}.md").is_file() and f"{match[1]}.md" != page
        return f"[{match[0]}]({match[1]}.md)" if there else match[0]

    return "".join(DOCUMENT.sub(document, NAMED.sub(named, LINK.sub(link, line))) if prose else line
                   for prose, line in _prose(text))


def _page_texts() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "docs").glob("*.md")):
        yield path.name, path.read_text(encoding="utf-8")
    for made, origin in PAGES.items():
        yield made, (ROOT / origin).read_text(encoding="utf-8")


def _import_name(path: Path) -> str:
    """What a file or folder below a top-level folder is imported as."""
    return ".".join(("trajectile", *path.relative_to(ROOT).with_suffix("").parts))


def packages() -> dict[str, list[str]]:
    """Packages with an API page, each after those that it is in, and their modules, by the names that one imports."""
    paths = sorted(path for top in ("hw", "sw_model", "tb", "scripts") for path in (ROOT / top).rglob("*.py"))
    found: dict[str, list[str]] = {}
    for path in sorted(paths, key=lambda path: (path.parent, path)):
        if path.stem not in ("__init__", "__main__"):
            found.setdefault(_import_name(path.parent), []).append(_import_name(path))
    return found


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in ``docs/``."""
    made = {page: (ROOT / origin).read_text(encoding="utf-8") for page, origin in PAGES.items()}
    wanted = {name for page, text in _page_texts()
              for name in re.findall(r"\]\((source/[^)#]+)\.md", rewritten(page, text))}
    for name in sorted(wanted):
        path = ROOT / name.removeprefix("source/")
        language = LANGUAGES.get(path.suffix, "text")
        made[f"{name}.md"] = (f"---\nsearch:\n  exclude: true\nhide: [toc]\n---\n\n# {path.relative_to(ROOT)}\n\n"
                              f'``````{language} linenums="1"\n{path.read_text(encoding="utf-8")}\n``````\n')
    for package, modules in packages().items():
        made[f"api/{package}.md"] = f"# {package}\n\n" + "".join(f"::: {module}\n\n" for module in modules)
    made["api/index.md"] = "# API\n\nEvery package, from its docstrings.\n\n" + "".join(
        f"* [`{package}`]({package}.md)\n" for package in packages())
    for uri, text in made.items():
        level = InclusionLevel.NOT_IN_NAV if uri.startswith(("source/", "api/")) else InclusionLevel.UNDEFINED
        files.append(File.generated(config, uri, content=text, inclusion=level))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Links and names of a page."""
    uri = page.file.src_uri
    return markdown if uri.startswith(("source/", "api/")) else rewritten(uri, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Docstrings are written for people who read the code: roles of Sphinx become plain names."""
    return ROLE.sub("", html)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Whatever a page would load from the network is a warning, and so an error."""
    for found in OUTSIDE.findall(output):
        if "canonical" not in found:
            log.warning("%s loads from the network: %s", page.file.src_uri, found)
    return output
