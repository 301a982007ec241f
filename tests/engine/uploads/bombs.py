"""Documents that are small and costly to read, by format."""

import json
import zlib
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from docx import Document
from openpyxl import Workbook

from tests.engine.uploads.pdf import FONT, pages_of, pdf_of, stream, text_page

MEGABYTE = 1_000_000
W = b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = b'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LAUGHS = b"".join(
    [
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "laugh">',
        *(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12)),
        b"]>",
    ]
)


def converse_body(kind: str, raw: bytes, name: str = "notes") -> bytes:
    """Return a Converse body with this document."""
    source = {"bytes": b64encode(raw).decode()}
    document = {"document": {"format": kind, "name": name, "source": source}}
    content = [document, {"text": "Sum it up."}]
    return json.dumps({"messages": [{"role": "user", "content": content}]}).encode()


def with_part(archive: bytes, name: str, part: bytes) -> bytes:
    """Return the archive with this part added or replaced."""
    file = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(file, "w", ZIP_DEFLATED) as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, part)
    return file.getvalue()


@cache
def _plain_docx() -> bytes:
    file = BytesIO()
    Document().save(file)
    return file.getvalue()


def docx_of(body: bytes, before: bytes = b"") -> bytes:
    """Return a docx whose body is this XML, with `before` in front of the document."""
    document = b"%s<w:document %s><w:body>%s</w:body></w:document>" % (before, W, body)
    return with_part(_plain_docx(), "word/document.xml", document)


@cache
def _plain_xlsx() -> bytes:
    file, book = BytesIO(), Workbook()
    book.active["A1"] = "text"  # type: ignore[index]
    book.save(file)
    return file.getvalue()


def xlsx_of(rows: bytes, behind: bytes = b"", before: bytes = b"") -> bytes:
    """Return an xlsx with these rows, as XML, in its sheet."""
    sheet = b"%s<worksheet %s><sheetData>%s</sheetData>%s</worksheet>" % (before, S, rows, behind)
    return with_part(_plain_xlsx(), "xl/worksheets/sheet1.xml", sheet)


def wide_cell() -> bytes:
    """Return a table with one cell that declares a span of five million columns."""
    span = b'<w:tcPr><w:gridSpan w:val="5000000"/></w:tcPr>'
    return docx_of(b"<w:tbl><w:tr><w:tc>%s<w:p/></w:tc></w:tr></w:tbl>" % span)


def small_wide_cell() -> bytes:
    """Return the same in less than a kilobyte, with the mandatory parts only."""
    office = b"http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    kind = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    package = b"http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": b'<Types xmlns="%s/content-types"><Default Extension="rels"'
        b' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        b'<Override PartName="/d.xml" ContentType="%s"/></Types>' % (package, kind),
        "_rels/.rels": b'<Relationships xmlns="%s/relationships"><Relationship Id="r" Type="%s/'
        b'officeDocument" Target="d.xml"/></Relationships>' % (package, office),
        "d.xml": ZipFile(BytesIO(wide_cell())).read("word/document.xml"),
    }
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return file.getvalue()


def many_entries() -> bytes:
    file = BytesIO(_plain_docx())
    with ZipFile(file, "a") as archive:
        for number in range(30_000):
            archive.writestr(f"{number:x}", b"")
    return file.getvalue()


def far_cell() -> bytes:
    return xlsx_of(b'<row r="1048576"><c r="XFD1048576"><v>7</v></c></row>')


def shared_string() -> bytes:
    """Return a sheet of ten thousand cells that share a text of a megabyte."""
    strings = b"<sst %s><si><t>%s</t></si></sst>" % (S, b"x" * MEGABYTE)
    cells = b"".join(
        b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (n, n) for n in range(1, 10_000)
    )
    kind = b"application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
    known = ZipFile(BytesIO(_plain_xlsx())).read("[Content_Types].xml").removesuffix(b"</Types>")
    one = b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % kind
    archive = with_part(xlsx_of(cells), "[Content_Types].xml", known + one)
    return with_part(archive, "xl/sharedStrings.xml", strings)


def looping_pages() -> bytes:
    pages = b"<</Type/Pages/Count 2/Kids[2 0 R 2 0 R]/Parent 2 0 R>>"
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", pages])


def doubling_pages() -> bytes:
    """Return thirty levels of pages, each with the next one twice."""
    levels = [
        b"<</Type/Pages/Count %d/Kids[%d 0 R %d 0 R]>>" % (2 ** (30 - n), n + 3, n + 3)
        for n in range(30)
    ]
    page = b"<</Type/Page/MediaBox[0 0 9 9]/Resources<</Font<</F1 33 0 R>>>>/Contents 34 0 R>>"
    return pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", *levels, page, FONT, text_page(["again"])])


def one_page_often() -> bytes:
    """Return half a million references to one page."""
    kids = b"4 0 R " * 500_000
    page = b"<</Type/Page/MediaBox[0 0 9 9]/Resources<</Font<</F1 3 0 R>>>>/Contents 5 0 R>>"
    return pdf_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 500000/Kids[%s]>>" % kids,
            FONT,
            page,
            text_page(["north"]),
        ]
    )


def doubling_forms() -> bytes:
    """Return forms that each draw the next one twice."""
    more = b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</Font<</F1 3 0 R>>%s>>"
    forms = [stream(b"/X Do /X Do", more % (b"/XObject<</X %d 0 R>>" % (n + 7))) for n in range(30)]
    last = stream(b"BT /F1 9 Tf (again) Tj ET", more % b"")
    page = b"<</Type/Page/MediaBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>/Contents 5 0 R>>"
    pages = b"<</Type/Pages/Count 1/Kids[4 0 R]>>"
    first = [b"<</Type/Catalog/Pages 2 0 R>>", pages, FONT, page, stream(b"/X Do")]
    return pdf_of([*first, *forms, last])


def packed_twice() -> bytes:
    """Return two hundred megabytes of spaces in a content stream of some kilobytes."""
    once = zlib.compress(b" " * (200 * MEGABYTE))
    twice = zlib.compress(once, 9)
    kind = b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>" % len(twice)
    return pages_of([b"%s\nstream\n%s\nendstream" % (kind, twice)])


def deep(start: bytes, end: bytes, levels: int) -> bytes:
    return start * levels + b"text" + end * levels


def laughing_docx() -> bytes:
    return docx_of(b"<w:p><w:r><w:t>&l11;</w:t></w:r></w:p>", LAUGHS)


def laughing_xlsx() -> bytes:
    return xlsx_of(b'<row><c t="str"><v>&l11;</v></c></row>', b"", LAUGHS)


def deep_tables() -> bytes:
    return docx_of(deep(b"<w:tbl><w:tr><w:tc>", b"</w:tc></w:tr></w:tbl>", 50_000))


def merged_sheet() -> bytes:
    return xlsx_of(b"", b'<mergeCells><mergeCell ref="A1:XFD200"/></mergeCells>')


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a wide cell": ("docx", wide_cell),
    "many paragraphs": ("docx", lambda: docx_of(b"<w:p/>" * 15_000_000)),
    "a large part": ("docx", lambda: docx_of(b" " * (101 * MEGABYTE))),
    "many entries": ("docx", many_entries),
    "entities in a text": ("docx", laughing_docx),
    "deep tables": ("docx", deep_tables),
    "a merged sheet": ("xlsx", merged_sheet),
    "a far cell": ("xlsx", far_cell),
    "a shared string": ("xlsx", shared_string),
    "a large sheet": ("xlsx", lambda: xlsx_of(b" " * (101 * MEGABYTE))),
    "many rows": ("xlsx", lambda: xlsx_of(b"<row><c><v>1</v></c></row>" * 200_000)),
    "entities in a sheet": ("xlsx", laughing_xlsx),
    "a packed stream": ("pdf", lambda: pages_of([stream(b" " * (200 * MEGABYTE))])),
    "a stream packed twice": ("pdf", packed_twice),
    "many words": ("pdf", lambda: pages_of([text_page(["north"] * 50_000)])),
    "pages in pages": ("pdf", looping_pages),
    "doubling pages": ("pdf", doubling_pages),
    "one page often": ("pdf", one_page_often),
    "doubling forms": ("pdf", doubling_forms),
    "deep brackets": ("pdf", lambda: pdf_of([deep(b"[", b"]", 500_000)])),
    "deep elements": ("html", lambda: deep(b"<b>", b"</b>", 600_000)),
    "a long attribute": ("html", lambda: b'<a b="' + b"x" * 4 * MEGABYTE),
    "open elements": ("html", lambda: b"<a " * 1_400_000),
    "open comments": ("html", lambda: b"<!--" * 1_100_000),
    "open declarations": ("html", lambda: b"<!a" * 1_400_000),
    "a long field": ("csv", lambda: b'"' + b"x" * 4_400_000),
    "quotes": ("csv", lambda: b'"",' * 600_000),
    "brackets": ("md", lambda: b"[" * 1_900_000),
    "broken UTF-8": ("txt", lambda: b"\xff" * 4_400_000),
}
