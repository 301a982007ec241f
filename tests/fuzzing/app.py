"""The service in this process, without a socket: ASGI requests in, whole answers out."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.types import Message

from invoke_api.authentication.credentials import AccessKey, Credentials
from invoke_api.authentication.gate import Gate
from invoke_api.cassettes.matcher import CassetteLibrary, Replay, to_cassettes
from invoke_api.cassettes.recording import RecordedPart, Recording
from invoke_api.guardrails.guardrail import GuardrailStore
from invoke_api.guardrails.guardrails_file import load_guardrails
from invoke_api.models.arns import to_arns
from invoke_api.models.engine_factory import EngineChoice
from invoke_api.models.engine_pool import build_engines
from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.profiles import Profile
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.observability.invocation_log import open_log
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.pipeline.services import Services
from invoke_api.server.app import create_app
from invoke_api.wire.errors import JSON_CONTENT_TYPE, ValidationException
from invoke_api.wire.events import encode_chunk
from invoke_api.wire.headers import EVENT_STREAM
from tests.fuzzing.bodies import PROFILE, PROMPT, TAGGED
from tests.fuzzing.requests import FuzzRequest
from tests.support.servers import GUARDRAILS
from tests.support.waiting import until_in_loop


@dataclass(slots=True)
class Answer:
    """An answer. `raised` is an exception that the application raised and a server would log."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raised: BaseException | None = None


class Alarms(logging.Handler):
    """A log handler that keeps errors and records with a traceback."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.heard.append(self.format(record))


KEYS = Credentials({"AKIDEXAMPLE": AccessKey(access_key_id="AKIDEXAMPLE", secret_access_key="x")})
COPIED = PROFILE["modelSource"]["copyFrom"]
OWN = {
    "arn": "arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abcdefghij12",
    "name": "my-throughput",
    "model": "mistral.mistral-7b-instruct-v0:2",
}
# Configurations of the service: rules, recordings and a log use other code than the plain service.
KINDS = ("plain", "everything", "signed", "replayed")


@asynccontextmanager
async def service_running(kind: str, folder: Path) -> AsyncIterator["Service"]:
    """Yield a service of one of `KINDS`, with its files in this folder."""
    shipped = load_registry(DEFAULT_REGISTRY)
    registry = replace(shipped, arns=to_arns({"arns": [OWN]}))
    log = open_log(folder) if kind == "everything" else None
    shelf = GuardrailStore(load_guardrails(GUARDRAILS)[0])
    app = create_app(
        registry,
        build_engines(registry.models.values(), EngineChoice(kind="scripted", cache=folder)),
        InFlightCalls(),
        gate=Gate(auth="any", credentials=KEYS) if kind == "signed" else Gate(),
        recordings=_recordings() if kind == "replayed" else None,
        invocation_log=log,
        extensions=kind == "everything",
        guardrails=shelf,
    )
    async with app.router.lifespan_context(app) as state:
        assert state
        service = Service(app, state["services"], kind)
        made, source = parse_identifier(TAGGED["resourceARN"]), parse_identifier(COPIED)
        service.services.profiles.add(Profile(identifier=made, name="made", source=source))
        engines = [engine for _, engine in service.services.engines.items()]
        await until_in_loop(lambda: all(each.state().takes_calls for each in engines))
        yield service


def _recordings() -> Replay:
    """Return one whole answer and one stream, the nearest recordings for calls of their paths."""
    seven_b = "/model/mistral.mistral-7b-instruct-v0:2"
    chunk = b'{"outputs":[{"text":" A","stop_reason":"stop"}]}'
    stream = [encode_chunk(chunk, 5), ValidationException("No").to_frame()]
    recordings = [
        _record(f"{seven_b}/invoke", PROMPT, [chunk], JSON_CONTENT_TYPE),
        _record(f"{seven_b}/invoke-with-response-stream", PROMPT, stream, EVENT_STREAM),
    ]
    cassettes = to_cassettes([("here", each) for each in recordings], lambda *_: None)
    return Replay(CassetteLibrary(cassettes, nearest=True))


def _record(path: str, body: Any, parts: list[bytes], kind: str) -> Recording:
    return Recording(
        recorded="2026-11-30T12:00:00Z",
        upstream="https://bedrock-runtime.us-east-1.amazonaws.com",
        method="POST",
        path=path,
        request_headers=(),
        request_body=json.dumps(body).encode(),
        status=200,
        headers=(("Content-Type", kind), ("x-amzn-RequestId", "the-id")),
        at=1,
        parts=tuple(RecordedPart(at=number, raw=raw) for number, raw in enumerate(parts)),
        is_stream=kind == EVENT_STREAM,
    )


class Service:
    """A started application."""

    def __init__(self, app: Starlette, services: Services, kind: str) -> None:
        self._app = app
        self.services = services
        self.is_replayed = kind == "replayed"

    async def ask(self, asked: FuzzRequest) -> Answer:
        """Send a request and return the answer. The client never disconnects."""
        answer = Answer()
        parts: list[bytes] = []
        came = [{"type": "http.request", "body": asked.body, "more_body": False}]

        async def receive() -> Message:
            if not came:
                await asyncio.Event().wait()
            return came.pop()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in message["headers"]
                }
            else:
                parts.append(message.get("body", b""))

        try:
            await self._app(self._scope(asked), receive, send)
        except Exception as error:  # noqa: BLE001 - a server would log it
            answer.raised = error
        answer.body = b"".join(parts)
        return answer

    def _scope(self, asked: FuzzRequest) -> dict[str, Any]:
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": asked.method,
            "scheme": "http",
            "path": unquote(asked.path.decode("ascii")),
            "raw_path": asked.path,
            "query_string": asked.query,
            "root_path": "",
            "headers": list(asked.headers),
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8080),
            "state": {"services": self.services},
            "extensions": {},
        }
