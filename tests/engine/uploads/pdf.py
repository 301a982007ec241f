"""A writer of PDF files with arbitrary objects."""

import zlib
from collections.abc import Mapping, Sequence

FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """Return a file of these objects, numbered from 1; the first is the catalogue."""
    parts, places, size = [b"%PDF-1.7\n"], [], 9
    for number, body in enumerate(objects, 1):
        part = b"%d 0 obj\n%s\nendobj\n" % (number, body)
        places.append(size)
        parts.append(part)
        size += len(part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count = len(objects) + 1
    parts.append(b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table))
    parts.append(b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (count, size))
    return b"".join(parts)


def stream(content: bytes, more: bytes = b"", *, packed: bool = True) -> bytes:
    raw = zlib.compress(content, 9) if packed else content
    kind = b"/Filter/FlateDecode" if packed else b""
    return b"<</Length %d%s%s>>\nstream\n%s\nendstream" % (len(raw), kind, more, raw)


def pages_of(contents: Sequence[bytes], resources: Mapping[bytes, bytes] = {}) -> bytes:
    """Return a file with one page for each content stream, a whole object; the font is `/F1`."""
    more = b"".join(b"/%s %s" % pair for pair in resources.items())
    first = 4
    kids = b" ".join(b"%d 0 R" % (first + 2 * number) for number in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(contents), kids),
        FONT,
    ]
    for number, content in enumerate(contents):
        page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]"
        page += b"/Resources<</Font<</F1 3 0 R>>%s>>/Contents %d 0 R>>"
        objects += [page % (more, first + 1 + 2 * number), content]
    return pdf_of(objects)


def text_page(lines: Sequence[str]) -> bytes:
    rows = b"".join(b"(%s) Tj T*\n" % line.encode() for line in lines)
    return stream(b"BT /F1 12 Tf 14 TL 72 720 Td\n" + rows + b"ET")
