"""Any operation of any model, answered from cassettes: `--engine replay`."""

from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.cassettes.library import Found, NoMatch, to_request
from invoke_api.cassettes.recording import Recording
from invoke_api.dialects.invocation import Question
from invoke_api.identifiers import parse_identifier
from invoke_api.journal import Entry
from invoke_api.operations.aside import LONG_BODY, aside
from invoke_api.operations.call import admit_caller
from invoke_api.operations.client import read_body
from invoke_api.operations.invocation import (
    Prepared,
    open_entry,
    pick_rules,
    refuse_unruled,
    to_invocation,
)
from invoke_api.operations.measured import Measured
from invoke_api.operations.model_calls import MODEL_CALLS, ModelCall
from invoke_api.operations.passing import asked_headers, raw_path
from invoke_api.operations.recorded import play, to_source
from invoke_api.operations.services import services_of
from invoke_api.rules.book import Verdict
from invoke_api.rules.rule import Asked
from invoke_api.wire.errors import InvokeError, ValidationException

COMPARED = LONG_BODY + 1  # whatever the size of a body, there may be many recordings


async def replay(request: Request) -> Response:
    """Who calls, then the rules, then the recording of this request or, if allowed, the nearest.

    A request that was not recorded is checked as ever, so that a mistake gets Bedrock's own words.
    """
    began = monotonic()
    raw = await read_body(request)
    # What this service can answer itself, where a rule has a text to say.
    call = MODEL_CALLS.get(request.path_params.get("action", ""))
    name = call.operation.name if call else to_name(request)
    entry = open_entry(request, raw, name, request.path_params.get("model_id", ""))
    services = services_of(request)
    caller = admit_caller(request, raw)
    entry.access_key_id, entry.region = caller.access_key_id, caller.region
    opened = await try_to_prepare(request, raw, call, entry) if call else None
    rules = services.rules
    verdict = await pick_rules(request, to_asked(entry, raw, opened)) if rules else None
    refuse_unruled(services.rules, verdict)
    if verdict and verdict.answers:
        return await say(request, call, opened, verdict, entry, began=began)
    entry.engine, entry.rule_id = "replay", verdict.rule_id if verdict else None
    fails_at_once = verdict and verdict.fault and verdict.fault.after_tokens is None
    recording = None if fails_at_once else await find(request, raw, opened, entry)
    source = to_source(request, recording, verdict, entry, began)
    measured = Measured(source=source, entry=entry, began=began, calls=services.calls)
    return await play(request, recording, measured)


def to_name(request: Request) -> str:
    """What the service model calls what calls no model; the request line if it is not known."""
    if request.path_params.get("action") == "count-tokens":
        return "CountTokens"
    return f"{request.method} {request.url.path}"


async def try_to_prepare(
    request: Request, raw: bytes, call: ModelCall, entry: Entry
) -> Prepared[Any] | InvokeError | None:
    """The call as this service would take it, or why it would not; None for a model not run."""
    registry = services_of(request).registry
    assert entry.region, "a caller has a region"
    try:
        registry.find(parse_identifier(entry.model_id), entry.region)
    except InvokeError:
        return None
    try:
        return await aside(
            request, call.weigh(raw), lambda: call.prepare(request, call.operation, raw)
        )
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
        identifier=entry.identifier,
    )


async def say(
    request: Request,
    call: ModelCall | None,
    opened: Prepared[Any] | InvokeError | None,
    verdict: Verdict,
    entry: Entry,
    *,
    began: float,
) -> Response:
    """A rule's text, as an engine would say it."""
    if isinstance(opened, InvokeError):
        raise opened
    if call is None or opened is None:
        raise ValidationException(
            f"Rule {verdict.rule_id} has a reply, but {entry.operation} of {entry.model_id} can be"
            " replayed only: give it a fault or a pace."
        )
    return await call.answer(request, await to_invocation(request, opened, verdict, entry, began))


async def find(request: Request, raw: bytes, opened: object, entry: Entry) -> Recording:
    """Raises what is wrong in a request that was not recorded, or else what comes nearest."""
    library = services_of(request).replay.library
    asked = to_request(request.method, raw_path(request), asked_headers(request), raw)
    key = entry.access_key_id
    try:
        same = library.find(asked, key)
        if same is None and isinstance(opened, InvokeError):
            raise opened
        found = (
            Found(same) if same else await aside(request, COMPARED, lambda: library.compare(asked))
        )
    except NoMatch as error:
        raise ValidationException(f"No recording answers this request: {error}") from None
    if same is None:
        found = library.take(found, key)
    recording = found.cassette.recording
    entry.cassette, entry.differs = found.cassette.where, found.differences
    entry.request_id = recording.header("x-amzn-requestid") or entry.request_id
    return recording
