"""The rows of fidelity tables: a request, the exact answer, and the source of that answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

from tests.support.servers import SEVEN_B

BEDROCK = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
CORAL = ":http://internal.amazon.com/coral/com.amazon.coral.service/"

INVOKE_OPERATIONS = ("invoke", "invoke-with-response-stream")
GUESS = "guess"

Service = Literal["open", "sigv4", "bearer", "any"]


@dataclass(frozen=True, kw_only=True)
class Signer:
    """The signing of a request, and changes that are made to it afterwards."""

    access_key_id: str = "AKIDEXAMPLE"
    secret: str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    token: str | None = None
    service: str = "bedrock"
    unsigned_payload: bool = False
    skew: timedelta = timedelta()
    body_after: bytes | None = None
    headers_after: Mapping[str, str | None] = field(default_factory=dict)  # None removes the header


@dataclass(frozen=True, kw_only=True)
class Case:
    """A request, and the error or the answer that must come back.

    `answer` is the whole body, `headers_back` are some headers. `seen` names the source and its
    date. If it is `GUESS`, `why` gives the reason. If `remote`, the row can be sent to Bedrock.
    """

    name: str
    seen: str
    why: str = ""
    operations: tuple[str, ...] = INVOKE_OPERATIONS
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
    in_stream: bool = False  # a streamed error comes as a frame
    answer: bytes | None = None
    begins: bool = False  # the message ends with text that differs between calls
    headers_back: Mapping[str, str] = field(default_factory=dict)
    remote: bool = True

    @property
    def cases(self) -> tuple["Case"]:
        """Return this case only. Rows of other kinds have several."""
        return (self,)

    def raw_body(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def raw_path(self, operation: str) -> str:
        return self.path or f"/model/{quote(self.model, safe='%')}/{operation}"

    def error_body(self, request_id: str | None = None) -> bytes:
        """Return the exact bytes of the error. `{request_id}` stands for the call's request id."""
        message = self.message.replace("{request_id}", request_id or "")
        document = {self.message_key: message}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def invalid(name: str, message: str, seen: str, **more: Any) -> Case:
    """Return a row whose answer is a ValidationException with this message."""
    return Case(
        name=name, seen=seen, status=400, code="ValidationException", message=message, **more
    )
