"""Any operation of any model, answered from cassettes: `--engine replay`."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.cassettes.library import Found, NoMatch, to_request
from invoke_api.cassettes.recording import Recording
from invoke_api.dialects.invocation import Question
from invoke_api.identifiers import parse_identifier
from invoke_api.journal import Entry
from invoke_api.operations.call import Operation, admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.converse import (
    CONVERSE,
    CONVERSE_STREAM,
    answer_converse,
    answer_converse_stream,
    prepare_converse,
    weigh,
)
from invoke_api.operations.invocation import (
    Invocation,
    Prepared,
    aside,
    open_entry,
    refuse_unruled,
    to_invocation,
)
from invoke_api.operations.invoke import (
    INVOKE_MODEL,
    INVOKE_MODEL_WITH_RESPONSE_STREAM,
    answer_streamed,
    answer_whole,
    prepare,
)
from invoke_api.operations.measured import Measured
from invoke_api.operations.passing import raw_path
from invoke_api.operations.recorded import play, to_source
from invoke_api.operations.services import services_of
from invoke_api.rules.book import Verdict
from invoke_api.rules.rule import Asked
from invoke_api.wire.errors import InvokeError, ValidationException

NAMES = {
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "count-tokens": "CountTokens",
}
Prepare = Callable[[Request, Operation, bytes], Prepared[Any]]
Answer = Callable[[Request, Invocation[Any]], Awaitable[Response]]
# What this service can answer itself, where a rule has a text to say.
ANSWERS: dict[str, tuple[Operation, Prepare, Answer]] = {
    "InvokeModel": (INVOKE_MODEL, prepare, answer_whole),
    "InvokeModelWithResponseStream": (INVOKE_MODEL_WITH_RESPONSE_STREAM, prepare, answer_streamed),
    "Converse": (CONVERSE, prepare_converse, answer_converse),
    "ConverseStream": (CONVERSE_STREAM, prepare_converse, answer_converse_stream),
}


async def replay(request: Request) -> Response:
    """Who calls, then the rules, then the recording of this request or, if allowed, the nearest.

    A request that was not recorded is checked as ever, so that a mistake gets Bedrock's own words.
    """
    began = monotonic()
    raw = await read_body(request)
    entry = open_entry(request, raw, to_name(request), request.path_params.get("model_id", ""))
    services = services_of(request)
    caller = admit_caller(request, raw)
    entry.access_key_id, entry.region = caller.access_key_id, caller.region
    opened = await aside(weigh(raw), lambda: try_to_prepare(request, raw, entry))
    verdict = services.rules.pick(to_asked(entry, raw, opened)) if services.rules else None
    refuse_unruled(services.rules, verdict)
    if verdict and verdict.answers:
        return await say(request, opened, verdict, entry, began)
    entry.engine, entry.rule_id = "replay", verdict.rule_id if verdict else None
    fails_at_once = verdict and verdict.fault and verdict.fault.after_tokens is None
    recording = None if fails_at_once else await find(request, raw, opened, entry)
    source = to_source(request, recording, verdict, entry, began)
    measured = Measured(source=source, entry=entry, began=began, calls=services.calls)
    return await play(request, recording, measured)


def to_name(request: Request) -> str:
    """What the service model calls the operation; the request line for one that is not there."""
    action = request.path_params.get("action", "")
    return NAMES.get(action, f"{request.method} {request.url.path}")


def try_to_prepare(
    request: Request, raw: bytes, entry: Entry
) -> Prepared[Any] | InvokeError | None:
    """The call as this service would take it, or why it would not.

    None for what it has no say in: other operations, models that it does not run.
    """
    if entry.operation not in ANSWERS:
        return None
    registry = services_of(request).registry
    assert entry.region, "a caller has a region"
    try:
        registry.find(parse_identifier(entry.model_id), entry.region)
    except InvokeError:
        return None
    operation, check, _ = ANSWERS[entry.operation]
    try:
        return check(request, operation, raw)
    except InvokeError as error:
        return error


def to_asked(entry: Entry, raw: bytes, opened: object) -> Asked:
    """What a rule may look at; of a body in no dialect of ours, its whole text is the prompt."""
    if isinstance(opened, Prepared):
        question = opened.question()
    else:
        text = raw.decode(errors="replace")
        question = Question(text, text, 1)
    return Asked(
        operation=entry.operation,
        model_id=entry.model_id,
        prompt=question.prompt,
        last_user_message=question.last_user_message,
        turn=question.turn,
        tools=question.tools,
        access_key_id=entry.access_key_id,
    )


async def say(
    request: Request,
    opened: Prepared[Any] | InvokeError | None,
    verdict: Verdict,
    entry: Entry,
    began: float,
) -> Response:
    """A rule's text, as an engine would say it."""
    if isinstance(opened, InvokeError):
        raise opened
    if opened is None:
        raise ValidationException(
            f"Rule {verdict.rule_id} has a reply, but {entry.operation} of {entry.model_id} can be"
            " replayed only: give it a fault or a pace."
        )
    _, _, answer = ANSWERS[entry.operation]
    return await answer(request, await to_invocation(request, opened, verdict, entry, began))


async def find(request: Request, raw: bytes, opened: object, entry: Entry) -> Recording:
    """Raises what is wrong in a request that was not recorded, or else what comes nearest."""
    library = services_of(request).replay.library
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in entry.headers]
    asked = to_request(request.method, raw_path(request), headers, raw)
    key = entry.access_key_id
    try:
        same = library.find(asked, key)
        if same is None and isinstance(opened, InvokeError):
            raise opened
        found = Found(same) if same else await asyncio.to_thread(library.compare, asked)
    except NoMatch as error:
        raise ValidationException(f"No recording answers this request: {error}") from None
    if same is None:
        found = library.take(found, key)
    recording = found.cassette.recording
    entry.cassette, entry.differs = found.cassette.where, found.differences
    entry.request_id = recording.header("x-amzn-requestid") or entry.request_id
    return recording
