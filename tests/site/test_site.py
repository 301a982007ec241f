"""The built site: every page is in a section, links lead somewhere, and no page loads from afar."""

import json
import re
from pathlib import Path

from tests.site.built import BuiltPage, leads_somewhere, read_page
from tests.support.servers import ROOT

DOCS = ROOT / "docs"


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_link_and_anchor_leads_somewhere(site: Path) -> None:
    broken = [
        (str(page.relative_to(site)), link)
        for page in pages(site)
        if page.name != "404.html"  # its links begin at the root of wherever the site lies
        for link in read_page(page).links
        if not leads_somewhere(site, page, link)
    ]

    assert broken == []


def test_every_page_of_docs_is_in_a_section(site: Path) -> None:
    page = (
        site / "repository" / "LICENSE" / "index.html"
    )  # has no links but those of the navigation
    links = [link for link in read_page(page).links if not re.match("[a-z]+:|#", link)]
    reached = {(page.parent / link.partition("#")[0]).resolve() for link in links}
    expected = {
        (site / page.relative_to(DOCS).with_suffix("")).resolve()
        for page in DOCS.rglob("*.md")
        if page != DOCS / "README.md"
    }

    assert len(expected) > 50
    assert expected - reached == set()
    assert {site, site / "repository"} <= reached


def test_a_page_loads_nothing_from_another_host(site: Path) -> None:
    loaded = {address for page in pages(site) for address in read_page(page).loaded}
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    called = re.findall(r"(?:url\(|@import )[\"']?([^)\"']+)", styles)

    assert len(loaded) > 10
    assert [each for each in loaded if re.match(r"[a-z]+:|//", each)] == []
    assert [each for each in called if not re.match(r"data:|#", each)] == []


def test_markdown_is_read_as_the_repositorys_host_reads_it(site: Path) -> None:
    """A list or a table right below a paragraph is one there, and would be text here."""
    unread = re.compile(r"\n *(- |\d+\. |\||```)|^(\||```)")
    found = [
        (str(page.relative_to(site)), text[:100])
        for page in pages(site)
        for text in read_page(page).paragraphs
        if unread.search(text)
    ]

    assert found == []


def test_no_list_is_broken_off(site: Path) -> None:
    """A code block with too little margin ends a list, and the next list begins with 3, say."""
    numbers = {number for page in pages(site) for number in read_page(page).first_numbers}

    assert numbers == {"1"}


def test_the_search_knows_every_page_of_docs_and_no_source(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {document["location"].partition("#")[0] for document in index["docs"]}
    wanted = {
        f"{page.relative_to(DOCS).with_suffix('')}/"
        for page in DOCS.rglob("*.md")
        if page != DOCS / "README.md"
    }

    outside = {each for each in found if each.startswith("repository/")}

    assert wanted - found == set()
    assert {"repository/", "repository/CONTRIBUTING/", "repository/SECURITY/"} <= outside
    assert [each for each in outside if not (ROOT / each[11:-1]).with_suffix(".md").exists()] == [
        "repository/"
    ]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text('<h1 id="a b">A</h1><a href="#a%20b">here</a>')

    assert BuiltPage(page.read_text()).links == ["#a%20b"]
    assert leads_somewhere(tmp_path, page, "#a%20b")
    assert not leads_somewhere(tmp_path, page, "#b")
    assert not leads_somewhere(tmp_path, page, "b/")
    assert not leads_somewhere(tmp_path, page, "../index.html")
