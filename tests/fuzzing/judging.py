"""Checks that every answer must pass, for all fuzzers."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.eventstream import EventStreamBuffer
from botocore.model import OperationModel
from botocore.parsers import create_parser
from starlette.routing import Match, Route

from invoke_api.openai.routes import OPENAI_ROUTES
from invoke_api.operations.model_operations import MODEL_OPERATIONS
from invoke_api.operations.not_offered import NOT_OFFERED
from invoke_api.pipeline.count_calls import ERROR_STATUSES
from invoke_api.replay.operation import REPLAY_ROUTES
from invoke_api.sagemaker.routes import SAGEMAKER_ROUTES
from invoke_api.server.app import ALL_ROUTES
from invoke_api.wire.errors import FrontDoorError
from tests.fuzzing.app import Alarms, Answer, Service
from tests.fuzzing.requests import FuzzRequest

SESSION = botocore.session.get_session()
OPERATIONS: dict[str, OperationModel] = {
    name: model.operation_model(name)
    for model in map(SESSION.get_service_model, ("bedrock-runtime", "bedrock", "sagemaker-runtime"))
    for name in model.operation_names
}
PARSER = create_parser("rest-json")
FRONT_DOOR = {kind.__name__ for kind in FrontDoorError.__subclasses__()} | {"AccessDeniedException"}
OPENAI = {route.name for route in OPENAI_ROUTES} | {"EndpointChatCompletions"}
SAGEMAKER = {route.name for route in SAGEMAKER_ROUTES if route.name}
# SageMaker's own exceptions that its service model has for no operation.
COMMON = {"ThrottlingException", "ValidationError"}
JOURNALLED = {
    *(OPENAI - {"ListModels", "GetModel"}),
    *(SAGEMAKER - {"InvokeEndpointAsync"}),
    *(operation.name for operation in MODEL_OPERATIONS.values()),
    *(route.name for route in NOT_OFFERED),
}


async def judge(service: Service, asked: FuzzRequest, alarms: Alarms) -> Answer:
    """Check an answer and return it. Raises an `AssertionError` that shows the request."""
    service.services.journal.clear()
    answer = await service.ask(asked)
    asked = replace(asked, operation=_name(ALL_ROUTES, asked) or "")
    try:
        assert not answer.raised, repr(answer.raised)
        assert not alarms.heard, alarms.heard
        assert answer.headers["x-amzn-requestid"]
        judge_success, judge_error = _of_surface(asked)
        (judge_success if answer.status in (200, 201) else judge_error)(asked, answer)
        _judge_journal(service, asked, answer)
    except Exception as error:
        raise AssertionError(f"{error!r}\n{asked.told()}\n{answer.body[:500]!r}") from error
    return answer


Verdict = Callable[[FuzzRequest, Answer], None]


def _of_surface(asked: FuzzRequest) -> tuple[Verdict, Verdict]:
    """Return the checks of a success and of an error in the API that the request speaks."""
    if asked.operation in OPENAI:
        return _judge_openai, _judge_openai_error
    if asked.operation in SAGEMAKER:
        return _judge_endpoint, _judge_endpoint_error
    return _judge_success, _judge_error


def _judge_openai(_: FuzzRequest, answer: Answer) -> None:
    if not answer.headers["content-type"].startswith("text/event-stream"):
        assert isinstance(json.loads(answer.body, parse_constant=_refuse), dict)
        return
    *events, end = answer.body.split(b"\n\n")
    assert not end
    for event in events:
        assert event == b"data: [DONE]" or json.loads(event.removeprefix(b"data: "))


def _judge_openai_error(asked: FuzzRequest, answer: Answer) -> None:
    if asked.operation in SAGEMAKER and "x-amzn-errortype" in answer.headers:  # no endpoint
        _judge_endpoint_error(asked, answer)
        return
    assert 400 <= answer.status < 500, answer.status
    error = json.loads(answer.body)["error"]
    if answer.status == 401 and asked.operation == "Completions":  # vLLM's middleware for keys
        assert error == "Unauthorized"
        return
    assert error["message"]
    assert error["type"]
    assert error["code"]


def _judge_endpoint(_: FuzzRequest, answer: Answer) -> None:
    assert answer.body
    if "eventstream" not in answer.headers["content-type"]:
        return
    buffer = EventStreamBuffer()
    buffer.add_data(answer.body)
    kinds = {event.headers.get(":event-type") for event in buffer}
    assert not buffer._data, "the last frame is truncated"  # noqa: SLF001 - no public member
    assert kinds == {"PayloadPart"}


def _judge_endpoint_error(asked: FuzzRequest, answer: Answer) -> None:
    name = answer.headers["x-amzn-errortype"].partition(":")[0]
    assert answer.status < 500, answer.status
    operation = OPERATIONS.get(asked.operation)
    modelled = {shape.name for shape in operation.error_shapes} if operation else set()
    assert name in modelled | FRONT_DOOR | COMMON, name
    error = _parse(asked, answer)["Error"]
    assert error["Code"] == name
    assert error["Message"]
    if name == "ModelError":
        assert 400 <= json.loads(answer.body)["OriginalStatusCode"] < 500


def _name(routes: Sequence[Route], asked: FuzzRequest) -> str | None:
    """Return the operation of a path and method; a label may have turned it into another one."""
    path = unquote(asked.path.decode())
    scope = {
        "type": "http",
        "raw_path": asked.path,
        "path": path,
        "method": asked.method,
        "root_path": "",
    }
    found = (route.name for route in routes if route.matches(scope)[0] is Match.FULL)
    return next(found, None)


def _judge_success(asked: FuzzRequest, answer: Answer) -> None:
    assert "x-amzn-errortype" not in answer.headers
    if "eventstream" in answer.headers["content-type"]:
        _judge_stream(asked, answer.body)
    else:
        document = json.loads(answer.body, parse_constant=_refuse)
        assert isinstance(document, dict)
        if asked.operation and "Output" not in document:
            _parse(asked, answer)


def _judge_stream(asked: FuzzRequest, body: bytes) -> None:
    """Check that botocore reads all frames, and that an exception is modelled and comes last."""
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    events = [event.to_response_dict() for event in buffer]
    assert events
    assert not buffer._data, "the last frame is truncated"  # noqa: SLF001 - no public member
    shape = OPERATIONS[asked.operation].get_event_stream_output()
    for place, event in enumerate(events):
        headers = event["headers"]
        kind = headers.get(":event-type") or headers[":exception-type"]
        assert kind in shape.members
        assert kind != "internalServerException"
        assert ":event-type" in headers or place == len(events) - 1
        json.loads(event["body"], parse_constant=_refuse)


def _judge_error(asked: FuzzRequest, answer: Answer) -> None:
    name = answer.headers["x-amzn-errortype"].partition(":")[0]
    assert answer.status < 500, answer.status
    assert answer.status == ERROR_STATUSES[name]
    if asked.operation:
        modelled = {shape.name for shape in OPERATIONS[asked.operation].error_shapes}
        assert name in modelled | FRONT_DOOR | {"ValidationException"}
    error = _parse(asked, answer)["Error"]
    assert error["Code"] == name
    assert error["Message"]


def _parse(asked: FuzzRequest, answer: Answer) -> Any:
    """Return the answer as boto3 parses it."""
    response = {
        "status_code": answer.status,
        "headers": answer.headers,
        "body": answer.body,
        "context": {"operation_name": asked.operation},
    }
    operation = OPERATIONS.get(asked.operation)
    return PARSER.parse(response, operation.output_shape if operation else None)


def _judge_journal(service: Service, asked: FuzzRequest, answer: Answer) -> None:
    """Check that the journal has one entry for a call, of any operation if the service replays."""
    entries = service.services.journal.listed()
    json.dumps(entries)
    has_one = asked.operation in JOURNALLED
    if service.is_replayed:
        has_one = _name(REPLAY_ROUTES, asked) is not None
    assert len(entries) == has_one, len(entries)
    for entry in entries:
        assert entry["request_id"] == answer.headers["x-amzn-requestid"]
        assert entry["ended"] in ("stop", "length", "error"), entry["ended"]
        assert entry["status"] == answer.status, entry["status"]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
