"""Every row of the OpenAI API, put to the service and compared to the byte."""

import json
import re
from operator import attrgetter

import pytest

from invoke_api.testing import Bedrock
from tests.fidelity.openai_api import TABLE, Row
from tests.openai.test_chat import UUID, send

PATTERNS = {
    "TEXT": '[^"]+',
    "HEX": "[0-9a-f]{16}",
    "CREATED": r"\d{10}",
    "ID": f"(?:{UUID})",
    "OUT": r"\d+",
    "IN": r"\d+",
    "ALL": r"\d+",
}


@pytest.mark.parametrize("row", TABLE, ids=attrgetter("name"))
def test_an_answer_is_exactly_this(bedrock: Bedrock, row: Row) -> None:
    headers = {"Host": row.host} if row.host else {}
    body = row.body or {}
    status, told, raw = send(bedrock, row.path, body, headers, row.method)
    expected = re.escape(row.answer.replace("<MODEL>", str(body.get("model"))))
    for name, pattern in PATTERNS.items():
        expected = expected.replace(f"<{name}>", pattern)

    assert status == row.status, raw
    assert re.fullmatch(expected, raw.decode()), raw.decode()
    assert row.headers_back.items() <= told.items()
    if told["Content-Type"] == "application/json":
        json.loads(raw)
