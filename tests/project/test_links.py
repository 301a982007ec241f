"""Check every relative link of every page: it leads to a file, and its anchor to a heading."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.servers import ROOT

DOCS = ROOT / "docs"
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "bench/**/*.md")
    for page in ROOT.glob(pattern)
    if "node_modules" not in page.parts
)
PACKAGES = ("invoke_api", "engine", "tests", "bench")
SOURCES = [
    *ROOT.glob("*.y*ml"),
    ROOT / "Makefile",
    ROOT / "pyproject.toml",
    *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py")),
]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: Counter[str] = Counter()
    names = set()
    for title in HEADING.findall(FENCED.sub("", page.read_text())):
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return frozenset(names)


def broken(page: Path) -> Iterator[str]:
    """Yield each link of a page that leads nowhere."""
    for link in LINK.findall(CODE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):  # another site, which no test may need
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        is_there = target.exists() and target.is_relative_to(ROOT)
        if not is_there or (anchor and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def test_the_index_lists_every_page() -> None:
    index = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}

    assert {page for page in PAGES if page.is_relative_to(DOCS)} - linked == {index}


def test_a_page_that_the_code_names_is_there() -> None:
    named = {
        name
        for source in SOURCES
        for name in re.findall(r"\bdocs/[\w/.-]+\.md", source.read_text())
    }

    assert [name for name in named if not (ROOT / name).exists()] == []
    assert "docs/fidelity.md" in named
