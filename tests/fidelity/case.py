"""One row of a fidelity table: a request, the exact answer, and who has heard Bedrock give it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

from tests.support.servers import SEVEN_B

BEDROCK = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
CORAL = ":http://internal.amazon.com/coral/com.amazon.coral.service/"

BOTH = ("invoke", "invoke-with-response-stream")
GUESS = "guess"

Service = Literal["open", "sigv4", "bearer", "any"]


@dataclass(frozen=True, kw_only=True)
class Signer:
    """How a request is signed, and what is done to it afterwards."""

    access_key_id: str = "AKIDEXAMPLE"
    secret: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    token: str | None = None
    service: str = "bedrock"
    unsigned_payload: bool = False
    skew: timedelta = timedelta()
    body_after: bytes | None = None
    headers_after: Mapping[str, str | None] = field(default_factory=dict)  # None takes it away


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is sent where, and what must come back: an error with these words, or an answer.

    `answer` is the whole body, `headers_back` some headers. `seen` names who heard it and when, or
    is `GUESS`, and then `why` says what it rests on. `remote` says that the row can be put to the
    real service.
    """

    name: str
    seen: str
    why: str = ""
    operations: tuple[str, ...] = BOTH
    model: str = SEVEN_B
    path: str | None = None
    endpoint: str = "bedrock-runtime"
    method: str = "POST"
    region: str = "us-east-1"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Mapping[str, Any] = field(default_factory=lambda: {"prompt": "Hi"})
    service: Service = "open"
    signer: Signer | None = field(default_factory=Signer)
    status: int = 200
    code: str = ""
    suffix: str = BEDROCK
    message_key: str = "message"
    message: str = ""
    in_stream: bool = False  # the error comes as a frame when it is streamed
    answer: bytes | None = None
    begins: bool = False  # the message goes on with what is different each time
    headers_back: Mapping[str, str] = field(default_factory=dict)
    remote: bool = True

    @property
    def cases(self) -> tuple["Case"]:
        """Return this one. Rows of other kinds have several."""
        return (self,)

    def raw_body(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def raw_path(self, operation: str) -> str:
        return self.path or f"/model/{quote(self.model, safe='%')}/{operation}"

    def error_body(self, request_id: str | None = None) -> bytes:
        """The exact bytes of the error. `{request_id}` in the message stands for the call's."""
        message = self.message.replace("{request_id}", request_id or "")
        document = {self.message_key: message}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def invalid(name: str, message: str, seen: str, **more: Any) -> Case:
    """A ValidationException with this sentence."""
    return Case(
        name=name, seen=seen, status=400, code="ValidationException", message=message, **more
    )
