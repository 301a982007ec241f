"""Files that take little to send and much to read, and how a document is sent."""

import json
from base64 import b64encode
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from docx import Document


def converse_body(kind: str, raw: bytes, name: str = "notes") -> bytes:
    """A Converse body with this document."""
    source = {"bytes": b64encode(raw).decode()}
    document = {"document": {"format": kind, "name": name, "source": source}}
    content = [document, {"text": "Sum it up."}]
    return json.dumps({"messages": [{"role": "user", "content": content}]}).encode()


def with_part(archive: bytes, name: str, part: bytes) -> bytes:
    """The archive with this part in place of its own."""
    file = BytesIO()
    with ZipFile(BytesIO(archive)) as old, ZipFile(file, "w", ZIP_DEFLATED) as new:
        for entry in old.namelist():
            new.writestr(entry, part if entry == name else old.read(entry))
    return file.getvalue()


W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def docx_of(body: bytes, before: bytes = b"") -> bytes:
    """A docx whose body is this XML, after `before`."""
    file = BytesIO()
    Document().save(file)
    document = b"%s<w:document %s><w:body>%s</w:body></w:document>" % (before, W.encode(), body)
    return with_part(file.getvalue(), "word/document.xml", document)


def wide_cell() -> bytes:
    """A table with one cell that says it spans five million columns."""
    span = b'<w:tcPr><w:gridSpan w:val="5000000"/></w:tcPr>'
    return docx_of(b"<w:tbl><w:tr><w:tc>%s<w:p/></w:tc></w:tr></w:tbl>" % span)
