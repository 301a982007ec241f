"""Hooks of mkdocs: the navigation from the index, and pages for linked files outside docs/."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs"
INDEX = "docs/README.md"
OUTSIDE = "repository"  # the folder of the site for files outside docs/
LINK = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")
CODE = re.compile(r"(^ *```.*?^ *```$|`(?:(?!\n\n)[^`])*`)", re.DOTALL | re.MULTILINE)
INSIDE_LIST = re.compile(r"^(?P<margin> {2,3})```.*?^ *```$", re.DOTALL | re.MULTILINE)
LISTED = re.compile(
    r"^## (?P<section>.+)$|^(?P<group>\w[\w ]*):$|^\| \[(?P<title>.+?)\]\((?P<link>[^)]+)\)"
)
HIDDEN = ("node_modules", "__pycache__")
STYLES = "tests/site/assets/site.css"
MERMAID = "tests/site/assets/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"
ASSETS = {"assets/site.css": STYLES, "assets/mermaid.tiny.js": MERMAID}
KEPT = (".md", ".svg", ".png")  # other files become pages that show them
# Factors of pages in the search, by the beginning of their paths. Long lists have every word, so
# they count less.
BOOSTS = {
    "questions": 2,
    "tutorial": 1.2,
    "test/": 1.2,
    "troubleshooting": 2,
    "fidelity": 0.3,
    "architecture": 0.3,
    "reliability": 0.3,
    "clients": 0.7,
    "repository/": 0.3,
}
UNSEARCHED = "---\nsearch: {exclude: true}\n---\n"
LANGUAGES = {".py": "python", ".js": "js", ".json": "json", ".yaml": "yaml", ".yml": "yaml"}

Navigation = list[dict[str, object]]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Set the navigation. Raises `FileNotFoundError` if a file of the site's is not installed."""
    for source in ASSETS.values():
        (ROOT / source).stat()
    config.nav = navigation((ROOT / INDEX).read_text())
    return config


def navigation(index: str) -> Navigation:
    """Return the sections of the index, their groups and pages, in order."""
    sections: Navigation = [{"Home": "README.md"}]
    pages: Navigation = []
    for line in index.splitlines():
        found = LISTED.match(line)
        if not found:
            continue
        if name := found["section"]:
            pages = []
            section = pages
            sections.append({name: section})
        elif name := found["group"]:
            pages = []
            section.append({name: pages})
        else:
            pages.append({found["title"]: place_of(repository_path(INDEX, found["link"]))})
    return sections


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the assets, and each file outside docs/ that a page links to, directly or not."""
    for name, source in ASSETS.items():
        files.append(File.generated(config, name, content=(ROOT / source).read_bytes()))
    waiting = [f"{DOCS}/{file.src_uri}" for file in files.documentation_pages()]
    known = set(waiting)
    while waiting:
        for path in linked_paths(waiting.pop()):
            if path not in known and not path.startswith(f"{DOCS}/"):
                known.add(path)
                waiting.append(path)
                files.append(File.generated(config, place_of(path), content=content_of(path)))
    return files


def linked_paths(page: str) -> Iterator[str]:
    """Yield the paths of the files in this repository that a page links to."""
    if not page.endswith(".md"):
        return
    text = CODE.sub("", (ROOT / page).read_text())
    for link in LINK.findall(text):
        path = repository_path(page, link)
        if path and (ROOT / path).exists():
            yield path


def repository_path(page: str, link: str) -> str:
    """Return the path, from the root, of the file that a link leads to; empty for other sites."""
    target = link.partition("#")[0]
    if not target or re.match("[a-z]+:", link):
        return ""
    return os.path.normpath(PurePosixPath(page).parent / target).replace(os.sep, "/")


def place_of(path: str) -> str:
    """Return the path of a file inside the site's sources. Text files and folders become pages."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    shown = re.sub(r"(^|/)\.", r"\1", path)  # mkdocs leaves out names that begin with a dot
    return f"{OUTSIDE}/{shown}" + ("" if path.endswith(KEPT) else ".md")


def content_of(path: str) -> str | bytes:
    """Return the content of a file outside docs/ as the site has it."""
    file = ROOT / path
    if file.is_dir():
        names = sorted(each.name for each in file.iterdir() if each.name not in HIDDEN)
        rows = "".join(f"- `{name}`\n" for name in names)
        return f"{UNSEARCHED}# `{path}/`\n\nThis folder of the repository has:\n\n{rows}"
    if path.endswith(KEPT):
        return file.read_bytes()
    language = LANGUAGES.get(file.suffix, "text")
    return f"{UNSEARCHED}# `{path}`\n\n`````{language}\n{file.read_text()}`````\n"


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Return a page with its links to files outside docs/ leading to their places in the site.

    Also set how much the page counts in the search.
    """
    here = page.file.src_uri
    boost = next((each for begin, each in BOOSTS.items() if here.startswith(begin)), 1)
    page.meta.setdefault("search", {"boost": boost})
    is_outside = here.startswith(f"{OUTSIDE}/")
    origin = here.removeprefix(f"{OUTSIDE}/") if is_outside else f"{DOCS}/{here}"

    def rewritten(found: re.Match[str]) -> str:
        path = repository_path(origin, found[0])
        if not path or files.get_file_from_path(place_of(path)) is None:
            return found[0]
        anchor = found[0].partition("#")[1:]
        relative = os.path.relpath(place_of(path), PurePosixPath(here).parent)
        return relative.replace(os.sep, "/") + "".join(anchor)

    return outside_code(lambda text: LINK.sub(rewritten, text), INSIDE_LIST.sub(indented, markdown))


def indented(block: re.Match[str]) -> str:
    """Return a code block inside a list with the four spaces that Python-Markdown wants."""
    missing = " " * (4 - len(block["margin"]))
    return re.sub("^(?=.)", missing, block[0], flags=re.MULTILINE)


def outside_code(change: Callable[[str], str], markdown: str) -> str:
    """Return a text with everything but its code changed."""
    parts = CODE.split(markdown)
    return "".join(part if number % 2 else change(part) for number, part in enumerate(parts))
