"""Documents in a conversation as text that a model can read.

Guess: how Bedrock writes a document into the prompt of a model that reads text only is not known.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from io import BytesIO
from typing import Any
from zipfile import ZipFile

from invoke_api.wire.errors import ValidationException

LARGEST = 4_500_000  # bytes: User Guide, conversation-inference-call
LONGEST = 2_000_000  # characters: no context holds as many
UNZIPPED = 100_000_000  # bytes: what a file of 4.5 MB may hide
NAME = re.compile(r"[A-Za-z0-9()\[\]-]+(?:\s[A-Za-z0-9()\[\]-]+)*")
BAD_NAME = (
    "The document file name can only contain alphanumeric characters, whitespace characters,"
    " hyphens, parentheses, and square brackets. The name can't contain more than one consecutive"
    " whitespace character. Check that the file name conforms to these restrictions and retry your"
    " request."
)
NO_S3 = "This model doesn't support the s3Uri field. Remove s3Uri and try again."
# Heard: text and content go with citations only.
NO_TEXT_SOURCE = "DocumentSource object must set one of the following keys: bytes, s3Location."


def read_document(document: Mapping[str, Any]) -> str:
    """Its name and its text. Raises `ValidationException`."""
    name, source = document["name"], document["source"]
    if not NAME.fullmatch(name):
        raise ValidationException(BAD_NAME)
    if "s3Location" in source:
        raise ValidationException(NO_S3)
    if "bytes" not in source:
        raise ValidationException(NO_TEXT_SOURCE)
    raw = _to_bytes(source["bytes"], name)
    return f"{name}:\n{_to_text(document.get('format', 'txt'), raw, name)}"


def _to_bytes(encoded: str, name: str) -> bytes:
    try:
        raw = b64decode(encoded, validate=True)
    except ValueError as error:
        raise ValidationException(f"The document {name} is not base64.") from error
    if len(raw) > LARGEST:
        raise ValidationException(f"The document {name} is larger than {LARGEST} bytes.")
    return raw


def _to_text(kind: str, raw: bytes, name: str) -> str:
    if kind not in DOCUMENTS:
        raise ValidationException(f"This model doesn't support documents of the format {kind}.")
    try:
        text = DOCUMENTS[kind](raw).strip()
    except ImportError as error:
        raise ValidationException(
            f"Documents of the format {kind} need invoke-api[documents]: {error}"
        ) from error
    except Exception as error:  # readers raise whatever a broken file makes them stumble over
        raise ValidationException(f"The document {name} could not be read.") from error
    if len(text) > LONGEST:
        raise ValidationException(f"The document {name} has more than {LONGEST} characters.")
    return text


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


def _from_html(raw: bytes) -> str:
    page = _Text()
    page.feed(_from_text(raw))
    return "\n".join(page.parts)


def _from_text(raw: bytes) -> str:
    return raw.decode(errors="replace")


def _from_pdf(raw: bytes) -> str:
    from pypdf import PdfReader  # noqa: PLC0415 - an extra

    return "\n\n".join(page.extract_text() for page in PdfReader(BytesIO(raw)).pages)


def _from_docx(raw: bytes) -> str:
    from docx import Document  # noqa: PLC0415 - the same

    opened = Document(_checked_zip(raw))
    rows = [[cell.text for cell in row.cells] for table in opened.tables for row in table.rows]
    lines = [paragraph.text for paragraph in opened.paragraphs]
    return "\n".join([*lines, *("\t".join(row) for row in rows)])


def _from_xlsx(raw: bytes) -> str:
    from openpyxl import load_workbook  # noqa: PLC0415 - the same

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
    """Raises `ValueError` for what would not fit into memory once it is unzipped."""
    file = BytesIO(raw)
    with ZipFile(file) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > UNZIPPED:
            raise ValueError("too large once it is unzipped")
    file.seek(0)
    return file


DOCUMENTS: dict[str, Callable[[bytes], str]] = {
    **dict.fromkeys(("txt", "md", "csv"), _from_text),
    "html": _from_html,
    "pdf": _from_pdf,
    "docx": _from_docx,
    "xlsx": _from_xlsx,
}
