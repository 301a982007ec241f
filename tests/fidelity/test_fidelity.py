"""Every row of every table, put to the service and compared to the byte.

`BEDROCK_REMOTE=1` puts those rows to the real service that it can answer; see docs/fidelity.md.
"""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import EventStreamJSONParser, RestJSONParser

from invoke_api.dialects.mistral_text import MistralText
from invoke_api.wire.chunks import encode_chunk
from invoke_api.wire.errors import InvokeError
from tests.clients import client
from tests.fidelity import (
    answers,
    chunks,
    conversations,
    counts,
    exceptions,
    frames,
    report,
    texts,
)
from tests.fidelity.case import Case
from tests.fidelity.wire import REMOTE, Answer, send
from tests.servers import invoke
from tests.streams import split_frames

TABLES = {
    title: table.TABLE
    for title, table in report.TABLES.items()
    if all(isinstance(row, Case) for row in table.TABLE)
}
MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")
INVOKE_STREAM = MODEL.operation_model("InvokeModelWithResponseStream")
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
BOTH_PROTOCOLS = ("Signatures", "API keys")
ERROR_HEADERS = [
    "Date",
    "Content-Type",
    "Content-Length",
    "Connection",
    "x-amzn-RequestId",
    "x-amzn-ErrorType",
]


@dataclass(frozen=True)
class Row:
    case: Case
    operation: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.case.name}, {self.operation}, {self.protocol}"


def rows(name: str) -> Iterator[Any]:
    protocols = ("http/1.1", "h2") if name in BOTH_PROTOCOLS else ("http/1.1",)
    for case in TABLES[name]:
        for operation in case.operations:
            for protocol in protocols:
                row = Row(case, operation, protocol)
                yield pytest.param(row, id=f"{name}: {row}")


ROWS = [row for name in TABLES for row in rows(name)]


@pytest.mark.parametrize("row", ROWS)
def test_bedrock_says_exactly_this(row: Row, urls: dict[str, str]) -> None:
    case = row.case
    if REMOTE and not case.remote:
        pytest.skip("the real service can't be put into this state")

    answer = send(case, row.operation, urls[case.service], row.protocol)

    if case.in_stream and row.operation not in ("invoke", "converse"):
        check_refusal(case, answer)
    elif case.status != 200:
        check_error(case, answer, row.protocol)
    elif case.answer is not None:
        assert (answer.status, answer.body) == (200, case.answer)
    else:
        check_answer(answer, row.operation)
    for name, value in case.headers_back.items():
        assert answer.header(name) == value


def check_error(case: Case, answer: Answer, protocol: str) -> None:
    assert answer.status == case.status, answer.body
    assert answer.header("x-amzn-ErrorType") == case.code + case.suffix
    assert answer.header("Content-Type") == "application/json"
    if case.begins:
        [(key, message)] = json.loads(answer.body).items()
        assert key == case.message_key
        assert message.startswith(case.message)
    else:
        assert answer.body == case.error_body()
    names = [name for name, _ in answer.headers]
    if protocol == "h2":
        assert names == [name.lower() for name in ERROR_HEADERS if name != "Connection"]
    else:
        assert names == ERROR_HEADERS


def check_refusal(case: Case, answer: Answer) -> None:
    """The error as the only frame of a stream with status 200."""
    [frame] = split_frames(answer.body)
    name = case.code[0].lower() + case.code[1:]

    assert answer.status == 200
    assert list(frame.headers.items()) == [
        (":exception-type", name),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ]
    assert frame.payload == case.error_body()


def check_answer(answer: Answer, operation: str) -> None:
    assert answer.status == 200, answer.body
    assert answer.header("x-amzn-ErrorType") is None
    if operation == "invoke":
        [output] = json.loads(answer.body)["outputs"]
        assert list(output) == ["text", "stop_reason"]
    else:
        frames = split_frames(answer.body)
        assert {frame.headers[":event-type"] for frame in frames} == {"chunk"}


@pytest.mark.skipif(REMOTE, reason="one route to the service is enough for counts")
@pytest.mark.parametrize("row", counts.TABLE, ids=lambda row: row.name)
def test_tokens_are_counted_as_bedrock_counts_them(row: counts.Count, scripted: str) -> None:
    body = {"prompt": row.prompt, "max_tokens": 3}
    whole, _ = invoke(scripted, body, row.model)
    _, stream = invoke(scripted, body, row.model, "invoke-with-response-stream")
    metrics = read_chunks(stream)[-1]["amazon-bedrock-invocationMetrics"]

    assert whole.headers["X-Amzn-Bedrock-Input-Token-Count"] == str(row.tokens)
    assert whole.headers["X-Amzn-Bedrock-Output-Token-Count"] == "3"
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (row.tokens, 3)


@pytest.mark.skipif(REMOTE, reason="the real models say other things")
@pytest.mark.parametrize("row", answers.TABLE, ids=lambda row: row.name)
def test_an_answer_of_a_model_of_messages_has_bedrocks_bytes(
    row: answers.Whole, scripted: str
) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "One sentence about dolphins."}]})
    with client(scripted, "AKIDEXAMPLE") as runtime:
        answer = runtime.invoke_model(modelId=row.model, body=body)
        raw = answer["body"].read().decode()
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    counted = [int(headers[f"x-amzn-bedrock-{each}-token-count"]) for each in ("input", "output")]
    said = {
        "TEXT": json.loads(raw)["choices"][0]["message"]["content"],
        "MODEL": row.model,
        "IN": str(counted[0]),
        "OUT": str(counted[1]),
        "ALL": str(sum(counted)),
    }
    expected = re.sub(r"\b(TEXT|MODEL|IN|OUT|ALL)\b", lambda word: said[word[0]], row.answer)
    made = re.sub(UUID, "ID", re.sub(r'(?<="created":)\d{10}\b', "CREATED", raw))

    assert made == expected


@pytest.mark.skipif(REMOTE, reason="as above")
@pytest.mark.parametrize("row", conversations.TABLE, ids=lambda row: row.name)
def test_a_conversation_counts_as_on_bedrock(
    row: conversations.Conversation, scripted: str
) -> None:
    content: list[dict[str, Any]] = [{"text": row.text}]
    if row.audio:
        content.append({"audio": {"format": "wav", "source": {"bytes": row.audio}}})
    body = {
        "messages": [{"role": "user", "content": content}],
        "inferenceConfig": {"maxTokens": 3},
    }
    with client(scripted, "AKIDEXAMPLE", region="eu-west-1") as runtime:
        whole = runtime.converse(modelId=in_europe(row.model), **body)["usage"]
        events = list(runtime.converse_stream(modelId=in_europe(row.model), **body)["stream"])

    assert (whole["inputTokens"], whole["outputTokens"]) == (row.tokens, 3)
    assert events[-1]["metadata"]["usage"] == whole


def in_europe(model: str) -> str:
    """The profile of the region where the recordings were made."""
    return f"eu.{model.removeprefix('us.')}" if model.startswith("us.") else model


def read_chunks(stream: bytes) -> list[dict[str, Any]]:
    payloads = (json.loads(frame.payload) for frame in split_frames(stream))
    return [json.loads(b64decode(payload["bytes"])) for payload in payloads]


@pytest.mark.skipif(REMOTE, reason="the real models say other things")
@pytest.mark.parametrize("row", texts.TABLE, ids=lambda row: row.name)
def test_a_text_ends_and_counts_as_on_bedrock(row: texts.Text, scripted: str) -> None:
    body = {"prompt": "Why?", **row.more}
    response, raw = invoke(scripted, body)
    _, stream = invoke(scripted, body, operation="invoke-with-response-stream")
    [whole] = json.loads(raw)["outputs"]
    chunks_ = read_chunks(stream)
    outputs = [chunk["outputs"][0] for chunk in chunks_]
    counted = chunks_[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"]

    assert "".join(output["text"] for output in outputs) == whole["text"]
    assert [output["stop_reason"] for output in outputs[:-1]] == [None] * (len(outputs) - 1)
    assert outputs[-1]["stop_reason"] == whole["stop_reason"] == row.finish
    assert len(outputs) == counted
    assert response.headers["X-Amzn-Bedrock-Output-Token-Count"] == str(counted)
    assert row.tokens in (None, counted)
    assert row.text in (None, whole["text"])
    assert row.last in (None, outputs[-1]["text"])


@pytest.mark.parametrize("row", chunks.TABLE, ids=lambda row: row.name)
def test_a_chunk_has_bedrocks_bytes(row: chunks.Chunk) -> None:
    made = MistralText().chunk(row.delta, row.to_metrics())

    assert made == row.answer.encode()


def encode(row: frames.RecordedFrame) -> bytes:
    chunk = MistralText().chunk(row.delta, row.metrics)
    return encode_chunk(chunk, row.padding)


@pytest.mark.parametrize("row", frames.TABLE, ids=lambda row: row.name)
def test_a_frame_has_the_recorded_checksum(row: frames.RecordedFrame) -> None:
    assert encode(row)[-4:].hex() == row.checksum


def test_a_whole_stream_has_the_recorded_bytes() -> None:
    stream = b"".join(map(encode, frames.TABLE))

    assert (len(stream), sha256(stream).hexdigest()) == (4_287, frames.WHOLE)


@pytest.mark.parametrize("row", exceptions.TABLE, ids=lambda row: row.name)
def test_an_exception_is_what_botocore_reads_it_as(row: exceptions.Thrown) -> None:
    kind = next(one for one in InvokeError.__subclasses__() if one.__name__ == row.name)
    error = kind(members=dict(row.members))
    shape = INVOKE_STREAM.output_shape
    reply = {
        "status_code": error.status,
        "headers": HeadersDict({"x-amzn-ErrorType": error.kind}),
        "body": error.to_json(),
    }
    read = RestJSONParser().parse(reply, shape)
    [frame] = split_frames(error.to_frame())
    event = {"status_code": 400, "headers": dict(frame.headers), "body": frame.payload}
    in_stream = EventStreamJSONParser().parse(event, shape.members["body"])

    assert error.status == row.status
    assert read["Error"] == {"Code": row.name, "Message": row.message}
    assert frame.headers[":exception-type"] == row.frame
    assert row.frame in shape.members["body"].members
    assert in_stream["Error"] == {"Code": row.frame, "Message": row.message}


def test_every_modelled_exception_has_its_row() -> None:
    shapes = (MODEL.shape_for(name) for name in MODEL.shape_names)
    modelled = {
        shape.name: (
            shape.metadata["error"]["httpStatusCode"],
            sorted(set(shape.members) - {"message"}),
        )
        for shape in shapes
        if shape.metadata.get("exception")
    }

    assert modelled == {
        row.name: (row.status, sorted(name for name, _ in row.members)) for row in exceptions.TABLE
    }


def test_the_document_tells_what_the_tables_say() -> None:
    assert report.FILE.read_text() == report.report(), "run python -m tests.fidelity.report"


def test_there_are_rows_enough() -> None:
    assert len(ROWS) > 300
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert all(row.values[0].case.seen for row in ROWS)
