"""The documentation as a site: a build of it, and what its pages hold."""

import os
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.support.servers import ROOT

PYTHON = ROOT / ".venv-site" / "bin" / "python"
# The attributes by which a page loads something without a click.
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


def build(folder: Path) -> None:
    """Build the site into a folder. Raises `AssertionError` with the warnings of mkdocs."""
    assert PYTHON.exists(), "the site needs mkdocs: scripts/setup test installs it"
    done = subprocess.run(
        [PYTHON, "-m", "mkdocs", "--quiet", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


class BuiltPage(HTMLParser):
    """The ids of a page, its links, the addresses that it loads, its paragraphs
    and the first numbers of its lists.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.paragraphs: list[str] = []
        self.first_numbers: list[str] = []
        self._is_in_paragraph = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADING and LOADING[tag] in values:
            self.loaded.append(values[LOADING[tag]])
        if tag == "ol":
            self.first_numbers.append(values.get("start", "1"))
        if tag == "p":
            self.paragraphs.append("")
            self._is_in_paragraph = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self._is_in_paragraph = False

    def handle_data(self, data: str) -> None:
        if self._is_in_paragraph:
            self.paragraphs[-1] += data


@cache
def read_page(path: Path) -> BuiltPage:
    return BuiltPage(path.read_text())


def leads_somewhere(site: Path, page: Path, link: str) -> bool:
    """Tell whether a link of a built page leads to a file of the site and to an id in it."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:  # another site, which no test may need
        return True
    target = page
    if parts.path:
        begin = site if parts.path.startswith("/") else page.parent
        target = (begin / unquote(parts.path).lstrip("/")).resolve()
        target = target / "index.html" if target.is_dir() else target
    if not target.is_file() or not target.is_relative_to(site):
        return False
    return not parts.fragment or unquote(parts.fragment) in read_page(target).ids
