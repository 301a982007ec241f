"""Any operation of any model, answered from cassettes: `--engine replay`."""

import re
from dataclasses import dataclass

from invoke_api.authentication.gate import Caller, claimed_region
from invoke_api.cassettes.asgi_messages import asked_headers, raw_path
from invoke_api.cassettes.matcher import Found, NoMatch, Request, to_request
from invoke_api.cassettes.recording import Recording
from invoke_api.dialects.question import Question
from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.registry import Registry
from invoke_api.observability.journal import Entry
from invoke_api.operations.model_operations import MODEL_CALLS
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.invocation import Invocation, check, pick_rules, refuse_unruled
from invoke_api.pipeline.model_request import ModelOperation, ModelRequest
from invoke_api.pipeline.offload import LONG_BODY, aside
from invoke_api.pipeline.responses import Reply
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.replay.response import play
from invoke_api.rules.rule import Asked
from invoke_api.rules.rule_book import Verdict
from invoke_api.wire.errors import InvokeError, ValidationException

COMPARED = LONG_BODY + 1  # whatever the size of a body, there may be many recordings


@dataclass(frozen=True, slots=True)
class Checked:
    """A request of an operation that this service can answer itself: as read, or as refused."""

    operation: ModelOperation
    request: ModelRequest | InvokeError


async def replay(call: Call) -> Reply | None:
    """Find out who calls, ask the rules, then take the recording of this request.

    If that is allowed, the nearest recording answers. A request that was not recorded is checked as
    ever, so that a mistake gets Bedrock's own words.
    """
    await call.read_body()
    operation = MODEL_CALLS.get(call.labels.get("action", ""))
    call.operation = operation.name if operation else to_name(call)
    entry = call.open_entry()
    caller = admit_caller(call)
    entry.access_key_id, entry.region = caller.access_key_id, caller.region
    checked = await try_to_check(call, operation, caller) if operation else None
    rules = call.services.rules
    verdict = await pick_rules(call, to_asked(call, checked, caller)) if rules else None
    refuse_unruled(rules, verdict)
    if verdict and verdict.answers:
        return await say(call, checked, verdict)
    entry.engine, entry.rule_id = "replay", verdict.rule_id if verdict else None
    recording = None if verdict and verdict.fails_at_once else await find(call, checked, entry)
    return await play(call, entry, recording, verdict)


def to_name(call: Call) -> str:
    """Return AWS's name for what calls no model; the request line if it is not known."""
    if call.labels.get("action") == "count-tokens":
        return "CountTokens"
    return f"{call.method} {call.scope['path']}"


async def try_to_check(call: Call, operation: ModelOperation, caller: Caller) -> Checked | None:
    """Check the call as this service would take it; None for a model that it does not run."""
    try:
        call.services.registry.find(parse_identifier(call.model_id), caller.region)
    except InvokeError:
        return None
    try:
        return Checked(operation, await check(call, operation))
    except InvokeError as error:
        return Checked(operation, error)


def to_asked(call: Call, checked: Checked | None, caller: Caller) -> Asked:
    """Return what rules look at; of a body in no dialect of ours, all its text is the prompt."""
    if checked and not isinstance(checked.request, InvokeError):
        question = checked.request.question()
    else:
        text = call.body.decode(errors="replace")
        question = Question(text, text, 1)
    return Asked(
        operation=call.operation,
        model_id=call.model_id,
        prompt=question.prompt,
        last_user_message=question.last_user_message,
        turn=question.turn,
        tools=question.tools,
        access_key_id=caller.access_key_id,
        identifier=call.model_id,
    )


async def say(call: Call, checked: Checked | None, verdict: Verdict) -> Reply | None:
    """Answer with a rule's text, as an engine would say it."""
    if checked is None:
        raise ValidationException(
            f"Rule {verdict.rule_id} has a reply, but {call.operation} of {call.model_id} can be"
            " replayed only: give it a fault or a pace."
        )
    if isinstance(checked.request, InvokeError):
        raise checked.request
    return await Invocation(call, checked.operation, checked.request).answer(verdict)


async def find(call: Call, checked: Checked | None, entry: Entry) -> Recording:
    """Raises what is wrong in a request that was not recorded, or else what comes nearest."""
    library = call.services.replay.library
    asked = to_request(call.method, raw_path(call.scope), asked_headers(call.scope), call.body)
    key = entry.access_key_id
    try:
        same = library.find(asked, key)
        if same is None and checked and isinstance(checked.request, InvokeError):
            raise checked.request
        found = Found(same) if same else await aside(call, COMPARED, lambda: library.compare(asked))
    except NoMatch as error:
        raise ValidationException(f"No recording answers this request: {error}") from None
    if same is None:
        found = library.take(found, key)
    recording = found.cassette.recording
    entry.cassette, entry.differs = found.cassette.where, found.differences
    entry.request_id = recording.header("x-amzn-requestid") or entry.request_id
    return recording


# Any operation may have been recorded.
REPLAYED = [
    OperationRoute(path, replay, name="", method=method)
    for path in ("/model/{model_id:path}/{action}", "/{path:path}")
    for method in ("GET", "POST", "PUT", "DELETE")
]


INVOKE = re.compile(r"/model/(.+)/(?:invoke|invoke-with-response-stream)")


def explain_stale(registry: Registry, recording: Recording, asked: Request) -> str | None:
    """Why this service would refuse today what the service took when it was recorded."""
    found = INVOKE.fullmatch(asked.path)
    if found is None or recording.status != 200:
        return None
    signed = dict(recording.request_headers).get("authorization", "")
    region = claimed_region(signed) or "us-east-1"
    try:
        model = registry.find(parse_identifier(found[1]), region)
    except InvokeError:
        return None  # a model that is not run here can still be replayed
    try:
        model.parse_body(recording.request_body)
    except ValidationException as error:
        return error.message
    return None
