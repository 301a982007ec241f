"""Documents as text, by their formats. Runs in a worker process, and bounds nothing but its output.

What a library makes of a hostile file, the limits of the worker end.
"""

from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from io import BytesIO
from zipfile import ZipFile

from engine.uploads.limits import MOST_CHARACTERS, MOST_UNZIPPED
from engine.uploads.messages import Message
from engine.uploads.refusals import UploadRefused


class _Text(HTMLParser):
    """The words of a page, without scripts and styles."""

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
    """Decode a text. Linear, so it may be called anywhere."""
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

    # Not read-only, which fills every gap in front of a cell that stands alone far below.
    book = load_workbook(_checked_zip(raw), data_only=True)
    lines = []
    for sheet in book.worksheets:
        lines.append(f"{sheet.title}:")
        rows: dict[int, list[str]] = {}
        for (row, _), cell in sorted(sheet._cells.items()):  # noqa: SLF001 - those that there are
            if cell.value is not None:
                rows.setdefault(row, []).append(str(cell.value))
        lines += ["\t".join(cells) for cells in rows.values()]
    return "\n".join(lines)


def _checked_zip(raw: bytes) -> BytesIO:
    """Raises `ValueError` for a file that would not fit into memory once it is unzipped."""
    file = BytesIO(raw)
    with ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MOST_UNZIPPED:
            raise ValueError("too large once it is unzipped")
    file.seek(0)
    return file


def _join(between: str, parts: Iterable[str]) -> str:
    """Join texts, and stop at once when they are too long. Raises `UploadRefused`."""
    kept, size = [], 0
    for part in parts:
        size += len(part)
        if size > 2 * MOST_CHARACTERS:  # twice as many, for spaces around it do not count
            raise UploadRefused("output", "too many characters")
        kept.append(part)
    return between.join(kept)


def _as_message(read: Callable[[bytes], str]) -> Callable[[bytes], Message]:
    def answer(raw: bytes) -> Message:
        text = read(raw).strip()
        if len(text) > MOST_CHARACTERS:
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
