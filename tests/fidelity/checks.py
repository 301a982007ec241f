"""Comparison of answers with rows: all of an error, the form of a model's answer."""

import json
from collections.abc import Iterable
from http import HTTPStatus

from tests.fidelity.case import Case
from tests.fidelity.heads import names_of
from tests.fidelity.wire import Answer
from tests.support.streams import split_frames

EVENTS = ("messageStart", "contentBlockStop", "messageStop", "metadata")


def check(case: Case, operation: str, answer: Answer) -> None:
    """Compare the answer of one operation with its row."""
    assert answer.reason in (None, HTTPStatus(answer.status).phrase)
    if case.in_stream and operation not in ("invoke", "converse"):
        check_refusal(case, operation, answer)
    elif case.status != 200:
        check_error(case, answer)
    elif case.answer is not None:
        assert (answer.status, answer.body) == (200, case.answer)
    else:
        check_answer(case, operation, answer)
    for name, value in case.headers_back.items():
        assert answer.header(name) == value


def check_error(case: Case, answer: Answer) -> None:
    check_head("error", answer)
    assert answer.status == case.status, answer.body
    assert answer.header("x-amzn-ErrorType") == case.code + case.suffix
    assert answer.header("Content-Type") == "application/json"
    if case.begins:
        [(key, message)] = json.loads(answer.body).items()
        assert key == case.message_key
        assert message.startswith(case.message)
    else:
        assert answer.body == case.error_body()


def check_head(operation: str, answer: Answer, but: Iterable[str] = ()) -> None:
    """Compare the names and the order of headers, except for those that the row itself checks."""
    left_out = {name.lower() for name in but}
    names = [name for name, _ in answer.headers if name.lower() not in left_out]

    assert names == names_of(operation, in_http_2=answer.reason is None, but=but)


def check_refusal(case: Case, operation: str, answer: Answer) -> None:
    """Check that the error is the only frame of a stream with status 200."""
    [frame] = split_frames(answer.body)
    name = case.code[0].lower() + case.code[1:]

    assert answer.status == 200
    assert list(frame.headers.items()) == [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ]
    check_head(operation, answer)
    if case.begins:
        assert json.loads(frame.payload)["message"].startswith(case.message)
    else:
        assert frame.payload == case.error_body(answer.header("x-amzn-RequestId"))


def check_answer(case: Case, operation: str, answer: Answer) -> None:
    assert answer.status == 200, answer.body
    check_head(operation, answer, case.headers_back)
    if operation == "invoke":
        document = json.loads(answer.body)
        if "outputs" in document:
            assert [list(output) for output in document["outputs"]] == [["text", "stop_reason"]]
        else:
            assert len(document["choices"]) == 1
    elif operation == "converse":
        assert {"metrics", "output", "stopReason", "usage"} <= json.loads(answer.body).keys()
    elif operation == "converse-stream":
        events = [frame.headers[":event-type"] for frame in split_frames(answer.body)]
        first, *middle, block_ends, ends, last = events
        assert (first, block_ends, ends, last) == EVENTS
        assert set(middle) == {"contentBlockDelta"}
    else:
        frames = split_frames(answer.body)
        assert {frame.headers[":event-type"] for frame in frames} == {"chunk"}
