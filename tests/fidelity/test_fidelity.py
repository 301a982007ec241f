"""The rows of all tables, sent to the service and compared byte by byte.

With `BEDROCK_REMOTE=1` they are sent to Bedrock; see docs/fidelity.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import EventStreamJSONParser, RestJSONParser

from invoke_api.dialects.mistral_text import MistralText
from invoke_api.wire.errors import InvokeError
from invoke_api.wire.events import encode_chunk
from tests.fidelity import chunks, exceptions, frames, report
from tests.fidelity.case import Case
from tests.fidelity.checks import check
from tests.fidelity.wire import PROTOCOLS, REMOTE, Wire, send
from tests.support.streams import split_frames

TABLES = {
    title: table.TABLE
    for title, table in report.TABLES.items()
    if all(hasattr(row, "cases") for row in table.TABLE)
}
MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")
INVOKE_STREAM = MODEL.operation_model("InvokeModelWithResponseStream")


@dataclass(frozen=True)
class Row:
    case: Case
    operation: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.case.name}, {self.operation}, {self.protocol}"


def rows(name: str) -> Iterator[Any]:
    for case in (case for row in TABLES[name] for case in row.cases):
        for operation in case.operations:
            for protocol in PROTOCOLS:
                row = Row(case, operation, protocol)
                yield pytest.param(row, id=f"{name}: {row}")


ROWS = [row for name in TABLES for row in rows(name)]


@pytest.mark.parametrize("row", ROWS)
def test_bedrock_says_exactly_this(row: Row, urls: dict[str, str], wire: Wire) -> None:
    case = row.case
    if REMOTE and not case.remote:
        pytest.skip("the real service can't be put into this state")

    answer = send(wire, case, row.operation, urls[case.service], row.protocol)

    check(case, row.operation, answer)


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
