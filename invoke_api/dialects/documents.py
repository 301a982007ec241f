"""Documents in a conversation, as text for the model.

The form of the text fits one recorded token count, of a document in a tool's result for Pixtral,
and that model's own description of its prompt: a list of documents, each named with its extension.
Guess: several documents, and all other models.
"""

import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from engine.uploads.limits import DOCUMENT_LIMITS, MAX_CHARACTERS
from engine.uploads.pool import WORKERS
from engine.uploads.refusals import UploadRefused
from engine.uploads.texts import from_plain
from invoke_api.wire.errors import InvokeError, ServiceUnavailableException, ValidationException

MAX_DOCUMENT_BYTES = 4_500_000  # User Guide, conversation-inference-call
FILE_NAME = re.compile(r"[A-Za-z0-9()\[\]-]+(?:\s[A-Za-z0-9()\[\]-]+)*")
BAD_NAME = (
    "The document file name can only contain alphanumeric characters, whitespace characters,"
    " hyphens, parentheses, and square brackets. The name can't contain more than one consecutive"
    " whitespace character. Check that the file name conforms to these restrictions and retry your"
    " request."
)
NO_S3 = "This model doesn't support the s3Uri field. Remove s3Uri and try again."
# Recorded: the sources `text` and `content` need citations.
NO_TEXT_SOURCE = "DocumentSource object must set one of the following keys: bytes, s3Location."

TOO_MANY_CHARACTERS = f"The document {{name}} has more than {MAX_CHARACTERS} characters."

DOCUMENT_ELEMENT = """\
<document index="{index}">
<source>{name}.{kind}</source>
<document_content>{text}
</document_content>
</document>
"""


def read_documents(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return one text with the names and texts of all documents. Raises `ValidationException`."""
    elements = [_to_element(index, document) for index, document in enumerate(documents, 1)]
    return f"<documents>\n{''.join(elements)}</documents>"


def _to_element(index: int, document: Mapping[str, Any]) -> str:
    kind = document.get("format", "txt")
    text = read_document(document)
    return DOCUMENT_ELEMENT.format(
        index=index, name=document["name"], kind=kind, text=text.rstrip()
    )


def read_document(document: Mapping[str, Any]) -> str:
    """Return the text of a document. Raises `ValidationException`."""
    name, source = document["name"], document["source"]
    if not FILE_NAME.fullmatch(name):
        raise ValidationException(BAD_NAME)
    if "s3Location" in source:
        raise ValidationException(NO_S3)
    if "bytes" not in source:
        raise ValidationException(NO_TEXT_SOURCE)
    raw = _to_bytes(source["bytes"], name)
    return _to_text(document.get("format", "txt"), raw, name)


def _to_bytes(encoded: str, name: str) -> bytes:
    try:
        raw = b64decode(encoded, validate=True)
    except ValueError as error:
        raise ValidationException(f"The document {name} is not base64.") from error
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise ValidationException(f"The document {name} is larger than {MAX_DOCUMENT_BYTES} bytes.")
    return raw


def _to_text(kind: str, raw: bytes, name: str) -> str:
    if kind not in TEXT_READERS:
        raise ValidationException(f"This model doesn't support documents of the format {kind}.")
    try:
        text = TEXT_READERS[kind](raw)
    except UploadRefused as refusal:
        raise _to_error(refusal, name, kind) from refusal
    if len(text) > MAX_CHARACTERS:
        raise ValidationException(TOO_MANY_CHARACTERS.format(name=name))
    return text


def _to_error(refusal: UploadRefused, name: str, kind: str) -> InvokeError:
    """Return the error for a document that could not be read. Guess: all of its messages."""
    match refusal.reason:
        case "missing":
            return ValidationException(
                f"Documents of the format {kind} need bedrock-invoke-api[documents]: {refusal}"
            )
        case "output":
            return ValidationException(TOO_MANY_CHARACTERS.format(name=name))
        case "broken":
            return ValidationException(f"The document {name} could not be read.")
        case "cancelled" | "unavailable":
            return ServiceUnavailableException()
    return ValidationException(f"The document {name} could not be read: {refusal}.")


def _read_here(raw: bytes) -> str:
    return from_plain(raw).strip()


def _read_aside(kind: str, raw: bytes) -> str:
    """Read the document in a worker process. Raises `UploadRefused`."""
    read = WORKERS.read(kind, raw, DOCUMENT_LIMITS).payload
    try:
        return read.decode(errors="surrogatepass")
    except UnicodeDecodeError as error:  # a compromised worker can return any bytes
        raise UploadRefused("broken", "it is damaged") from error


TEXT_READERS: dict[str, Callable[[bytes], str]] = {
    **dict.fromkeys(("txt", "md", "csv"), _read_here),
    **{kind: partial(_read_aside, kind) for kind in ("html", "pdf", "docx", "xlsx")},
}
