"""The code blocks of the documentation's pages."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

FENCE = re.compile(
    r'^(?P<margin> *)```(?P<language>\w*)(?: title="(?P<title>.+?)")?\n(?P<code>.*?)^ *```$',
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A code block. `title` is the name of the file that the reader saves it as."""

    language: str
    title: str
    code: str


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the code blocks of a page, in order."""
    for found in FENCE.finditer(page.read_text()):
        yield Block(found["language"], found["title"] or "", dedent(found["code"]))
