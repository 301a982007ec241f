"""Extraction of text from documents. Runs in a worker process.

Only the output is bounded here: the worker's limits end a library that a hostile file exhausts.
"""

from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from io import BytesIO
from zipfile import ZipFile

from engine.uploads.limits import MAX_CHARACTERS, MAX_UNZIPPED_BYTES
from engine.uploads.messages import Message
from engine.uploads.refusals import UploadRefused


class _Text(HTMLParser):
    """A parser that collects the text of a page, without scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, _: object) -> None:
        self._silent += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style") and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.parts.append(data.strip())


def from_plain(raw: bytes) -> str:
    """Decode a text, in linear time. It needs no worker process."""
    return raw.decode(errors="replace")


def _from_html(raw: bytes) -> str:
    page = _Text()
    page.feed(from_plain(raw))
    return "\n".join(page.parts)


def _from_pdf(raw: bytes) -> str:
    from pypdf import PdfReader

    return _join("\n\n", (page.extract_text() for page in PdfReader(BytesIO(raw)).pages))


def _from_docx(raw: bytes) -> str:
    from docx import Document

    opened = Document(_checked_zip(raw))
    rows = [[cell.text for cell in row.cells] for table in opened.tables for row in table.rows]
    lines = [paragraph.text for paragraph in opened.paragraphs]
    return "\n".join([*lines, *("\t".join(row) for row in rows)])


def _from_xlsx(raw: bytes) -> str:
    from openpyxl import load_workbook

    # Not read-only: that mode fills in all empty cells before a single distant one.
    book = load_workbook(_checked_zip(raw), data_only=True)
    lines = []
    for sheet in book.worksheets:
        lines.append(f"{sheet.title}:")
        rows: dict[int, list[str]] = {}
        for (row, _), cell in sorted(sheet._cells.items()):  # noqa: SLF001 - without the empty cells
            if cell.value is not None:
                rows.setdefault(row, []).append(str(cell.value))
        lines += ["\t".join(cells) for cells in rows.values()]
    return "\n".join(lines)


def _checked_zip(raw: bytes) -> BytesIO:
    """Return a file for the archive. Raises `ValueError` if its unzipped size is too large."""
    file = BytesIO(raw)
    with ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_UNZIPPED_BYTES:
            raise ValueError("too large once it is unzipped")
    file.seek(0)
    return file


def _join(between: str, parts: Iterable[str]) -> str:
    """Join texts. Raises `UploadRefused` as soon as they are too long."""
    kept, size = [], 0
    for part in parts:
        size += len(part)
        if size > 2 * MAX_CHARACTERS:  # twice, because outer spaces do not count
            raise UploadRefused("output", "too many characters")
        kept.append(part)
    return between.join(kept)


def _as_message(read: Callable[[bytes], str]) -> Callable[[bytes], Message]:
    def answer(raw: bytes) -> Message:
        text = read(raw).strip()
        if len(text) > MAX_CHARACTERS:
            raise UploadRefused("output", "too many characters")
        return Message({}, text.encode(errors="surrogatepass"))

    return answer


READERS: dict[str, Callable[..., Message]] = {
    kind: _as_message(read)
    for kind, read in {
        "html": _from_html,
        "pdf": _from_pdf,
        "docx": _from_docx,
        "xlsx": _from_xlsx,
    }.items()
}
