"""The handler of `--engine replay`, which answers any operation of any model from recordings."""

import re
from dataclasses import dataclass

from invoke_api.authentication.gate import Caller, read_claims
from invoke_api.cassettes.asgi_messages import raw_path, request_headers
from invoke_api.cassettes.matcher import CassetteMatch, ComparableRequest, NoMatch, to_comparable
from invoke_api.cassettes.recording import Recording
from invoke_api.dialects.question import Question
from invoke_api.models.identifiers import parse_identifier
from invoke_api.models.registry import Registry
from invoke_api.observability.journal import Entry
from invoke_api.openai.routes import OPENAI_ROUTES
from invoke_api.operations.model_operations import MODEL_OPERATIONS
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.invocation import Invocation, check_call
from invoke_api.pipeline.model_request import ModelOperation, ModelRequest
from invoke_api.pipeline.offload import IN_THREAD, offload
from invoke_api.pipeline.responses import HttpResponse
from invoke_api.pipeline.routes import ANY_PATH, OperationRoute, find_route
from invoke_api.pipeline.rule_choice import choose_rules, to_asked
from invoke_api.replay.response import write_recording
from invoke_api.rules.rule_book import Verdict
from invoke_api.sagemaker.routes import SAGEMAKER_ROUTES
from invoke_api.wire.errors import InvokeError, ValidationException

OTHER_APIS = [*OPENAI_ROUTES, *SAGEMAKER_ROUTES]
INVOKE_PATH = re.compile(r"/model/(.+)/(?:invoke|invoke-with-response-stream)")


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request that this service could answer itself: checked, or the error of its checks."""

    operation: ModelOperation
    request: ModelRequest | InvokeError


async def replay(call: Call) -> HttpResponse | None:
    """Authenticate the caller, apply the rules, then answer with the recording of this request.

    A request that was not recorded gets the nearest recording with `--match nearest`. If it is
    invalid, it gets Bedrock's error. Raises `InvokeError`s, `ConnectionBreak`,
    `ClientDisconnected`.
    """
    await call.read_body()
    operation = MODEL_OPERATIONS.get(call.labels.get("action", ""))
    call.operation = operation.name if operation else operation_name(call)
    if found := find_route(OTHER_APIS, call.scope):
        call.errors = found[0].errors
    entry = call.open_entry()
    caller = admit_caller(call)
    entry.access_key_id, entry.region = caller.access_key_id, caller.region
    checked = await try_to_check(call, operation, caller) if operation else None
    asked = to_asked(call, read_question(call, checked), call.operation, call.model_id)
    verdict = await choose_rules(call, asked) if call.services.rules.is_asked else None
    if verdict and verdict.answers:
        return await answer_by_rule(call, checked, verdict)
    entry.engine, entry.rule_id = "replay", verdict.rule_id if verdict else None
    recording = None
    if not (verdict and verdict.fails_at_once):
        recording = await find_recording(call, checked, entry)
    return await write_recording(call, entry, recording, verdict)


def operation_name(call: Call) -> str:
    """Return the name of an operation of another kind, or its request line if unknown."""
    if found := find_route(OTHER_APIS, call.scope):
        return found[0].name or f"{call.method} {call.scope['path']}"
    if call.labels.get("action") == "count-tokens":
        return "CountTokens"
    return f"{call.method} {call.scope['path']}"


async def try_to_check(
    call: Call, operation: ModelOperation, caller: Caller
) -> CheckedRequest | None:
    """Check the request as without replay. Return None if the service does not run the model."""
    try:
        call.services.registry.find(parse_identifier(call.model_id), caller.region)
    except InvokeError:
        return None
    try:
        return CheckedRequest(operation, await check_call(call, operation))
    except InvokeError as error:
        return CheckedRequest(operation, error)


def read_question(call: Call, checked: CheckedRequest | None) -> Question:
    """Return the parts that rules match. The whole body is the prompt in an unknown dialect."""
    if checked and not isinstance(checked.request, InvokeError):
        return checked.request.question()
    text = call.body.decode(errors="replace")
    return Question(text, text, 1)


async def answer_by_rule(
    call: Call, checked: CheckedRequest | None, verdict: Verdict
) -> HttpResponse | None:
    """Answer with a rule's text, as if an engine had generated it."""
    if checked is None:
        raise ValidationException(
            f"Rule {verdict.rule_id} has a reply, but {call.operation} of {call.model_id} can be"
            " replayed only: give it a fault or a pace."
        )
    if isinstance(checked.request, InvokeError):
        raise checked.request
    return await Invocation(call, checked.operation, checked.request).answer(verdict)


async def find_recording(call: Call, checked: CheckedRequest | None, entry: Entry) -> Recording:
    """Return the recording that answers this request, and note it in the journal.

    Raises the error of the request's checks if the request was not recorded, or else a
    `ValidationException` that names the nearest recording.
    """
    library = call.services.replay.library
    asked = to_comparable(call.method, raw_path(call.scope), request_headers(call.scope), call.body)
    key = entry.access_key_id
    try:
        same = library.find(asked, key)
        if same is None and checked and isinstance(checked.request, InvokeError):
            raise checked.request
        if same:
            found = CassetteMatch(same)
        else:
            nearest = await offload(call, IN_THREAD, lambda: library.compare(asked))
            found = library.take(nearest, key)
    except NoMatch as error:
        raise ValidationException(f"No recording answers this request: {error}") from None
    recording = found.cassette.recording
    entry.cassette, entry.differs = found.cassette.where, found.differences
    entry.request_id = recording.header("x-amzn-requestid") or entry.request_id
    return recording


# Recordings may be of any operation.
REPLAY_ROUTES = [
    OperationRoute(path, replay, name="", method=method)
    for path in ("/model/{model_id:path}/{action}", ANY_PATH)
    for method in ("GET", "POST", "PUT", "DELETE")
]


def explain_stale(registry: Registry, recording: Recording, asked: ComparableRequest) -> str | None:
    """Return why the service refuses a recorded request that was once accepted, or None."""
    found = INVOKE_PATH.fullmatch(asked.path)
    if found is None or recording.status != 200:
        return None
    signed = dict(recording.request_headers).get("authorization", "")
    region = read_claims(signed).region or "us-east-1"
    try:
        model = registry.find(parse_identifier(found[1]), region)
    except InvokeError:
        return None  # recordings of other models can still be replayed
    try:
        model.parse_body(recording.request_body)
    except ValidationException as error:
        return error.message
    return None
