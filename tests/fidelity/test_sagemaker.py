"""Every row of SageMaker Runtime's endpoints, put to the service and compared to the byte."""

import re
from http.client import HTTPConnection
from operator import attrgetter
from urllib.parse import urlsplit

import orjson
import pytest

from invoke_api.wire.eventstream import decode_frame, split_frames
from tests.fidelity.sagemaker import TABLE, Row

PATTERNS = {"TEXT": '[^"]*', "ID": r"\d+", "LOGPROB": r"-?[\d.e-]+"}


@pytest.mark.parametrize("row", TABLE, ids=attrgetter("name"))
def test_an_answer_is_exactly_this(scripted: str, row: Row) -> None:
    connection = HTTPConnection(urlsplit(scripted).netloc, timeout=30)
    headers = {"Content-Type": row.content_type}
    path = f"/endpoints/{row.endpoint}/{row.step}"
    connection.request("POST", path, orjson.dumps(row.body), headers)
    response = connection.getresponse()
    raw = response.read()
    connection.close()
    if response.headers["Content-Type"] == "application/vnd.amazon.eventstream":
        frames, rest = split_frames(raw)
        assert not rest
        raw = b"".join(decode_frame(frame).payload for frame in frames)

    expected = re.escape(row.answer)
    for name, pattern in PATTERNS.items():
        expected = expected.replace(f"<{name}>", pattern)
    assert response.status == row.status, raw
    assert re.fullmatch(expected, raw.decode()), raw.decode()
    assert row.headers_back.items() <= dict(response.headers).items()
