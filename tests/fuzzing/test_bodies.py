"""Random bodies and headers: each gets an answer from the service model.

`pytest --hypothesis-profile deep tests/fuzzing/test_bodies.py` sends more of them, with a new seed
each time.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.validation.constraints import MEMBERS
from invoke_api.wire.errors import FrontDoorError
from tests.support.servers import COMMAND, LARGE, MIXTRAL, SEVEN_B, SMALL, command_running, connect

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")
MODELLED = {
    "invoke": {shape.name for shape in MODEL.operation_model("InvokeModel").error_shapes},
    "invoke-with-response-stream": {
        shape.name for shape in MODEL.operation_model("InvokeModelWithResponseStream").error_shapes
    },
}
FRONT_DOOR = {kind.__name__ for kind in FrontDoorError.__subclasses__()} | {"AccessDeniedException"}

MODELS = st.sampled_from([SEVEN_B, MIXTRAL, SMALL, LARGE])
OPERATIONS = st.sampled_from(list(MODELLED))
KEYS = ("prompt", "max_tokens", "stop", "temperature", "top_p", "top_k")
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(0, 300)
    | st.floats()
    | st.floats(0, 1)
    | st.text()
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)
# Mostly valid, so that later checks are reached, too.
RIGHT = {
    "max_tokens": st.integers(1, 4096),
    "stop": st.lists(st.text(min_size=1), max_size=10),
    "temperature": st.floats(0, 1) | st.integers(0, 1),
    "top_p": st.floats(0, 1) | st.integers(0, 1),
    "top_k": st.integers(1, 200),
}
BODIES = (
    st.fixed_dictionaries(
        {"prompt": st.text()}, optional={key: RIGHT[key] | VALUES for key in KEYS[1:]}
    )
    | st.dictionaries(st.sampled_from(KEYS) | st.text(), VALUES)
    | VALUES
)
# Characters that a header may have by RFC 9110, 5.5.
LINES = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"))
NAMES = ("Content-Type", "Accept", "X-Amzn-Bedrock-Accept", "X-Amzn-Bedrock-Service-Tier")
HEADERS = st.dictionaries(
    st.sampled_from([*(member.header for member in MEMBERS if member.header), *NAMES]),
    LINES | st.sampled_from(["application/json", "*/*", "ENABLED", "flex", "{}", "1", "standard"]),
)
PARAMETERS = st.lists(
    st.sampled_from(["Credential", "SignedHeaders", "Signature", "x"])
    | LINES
    | st.sampled_from(
        [
            "Credential=AKIDEXAMPLE/20261122/us-east-1/bedrock/aws4_request",
            "SignedHeaders=host;x-amz-date",
            "Signature=00",
            "Credential=////",
        ]
    )
)
AUTHORIZATIONS = st.builds(
    lambda scheme, parts: scheme + ",".join(parts),
    st.sampled_from(["AWS4-HMAC-SHA256 ", "Bearer ", "Bearer ABSK", "Bearer bedrock-api-key-", ""]),
    PARAMETERS,
)


@pytest.fixture(scope="module")
def connection(scripted: str) -> Iterator[HTTPConnection]:
    with closing(connect(scripted)) as connection:
        yield connection


@pytest.fixture(scope="module")
def guarded() -> Iterator[HTTPConnection]:
    """Yield a connection to a service that needs a signature or a key."""
    env = {
        "INVOKE_API_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "INVOKE_API_SECRET_ACCESS_KEY": "secret",
    }
    command = [*COMMAND, "--engine", "scripted", "--auth", "any"]
    with command_running(command, env) as url, closing(connect(url)) as connection:
        yield connection


def ask(
    connection: HTTPConnection, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, str, bytes]:
    """Return the status, the name of the error, and the body."""
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    connection.request("POST", path, body, encoded)
    response = connection.getresponse()
    name = response.headers.get("x-amzn-ErrorType", "").partition(":")[0]
    return response.status, name, response.read()


def check(answer: tuple[int, str, bytes], modelled: set[str]) -> None:
    status, name, body = answer
    assert status < 500, answer
    if status == 200:
        assert not name
    else:
        assert name in modelled
        [(key, message)] = json.loads(body).items()
        assert key in ("message", "Message")
        assert message


def path_of(model: str, operation: str) -> str:
    return f"/model/{quote(model, safe='')}/{operation}"


@given(body=st.binary(), model=MODELS, operation=OPERATIONS)
def test_any_bytes(connection: HTTPConnection, body: bytes, model: str, operation: str) -> None:
    check(ask(connection, path_of(model, operation), body, {}), MODELLED[operation])


@given(body=BODIES, model=MODELS, operation=OPERATIONS)
def test_any_json(connection: HTTPConnection, body: Any, model: str, operation: str) -> None:
    raw = json.dumps(body, ensure_ascii=False).encode()
    check(ask(connection, path_of(model, operation), raw, {}), MODELLED[operation])


@given(body=st.fixed_dictionaries({"prompt": st.text()}, optional=RIGHT), model=MODELS)
def test_any_good_body_is_answered(connection: HTTPConnection, body: Any, model: str) -> None:
    status, _, answer = ask(connection, path_of(model, "invoke"), json.dumps(body).encode(), {})

    assert status == 200, answer


@given(headers=HEADERS, operation=OPERATIONS)
def test_any_headers(connection: HTTPConnection, headers: dict[str, str], operation: str) -> None:
    answer = ask(connection, path_of(SEVEN_B, operation), b'{"prompt": "Hi"}', headers)
    check(answer, MODELLED[operation])


@given(model=st.text(min_size=1), operation=OPERATIONS)
def test_any_model_id(connection: HTTPConnection, model: str, operation: str) -> None:
    check(ask(connection, path_of(model, operation), b"{}", {}), MODELLED[operation])


@given(authorization=AUTHORIZATIONS, date=LINES | st.just("20261122T000000Z"))
def test_any_authorization(guarded: HTTPConnection, authorization: str, date: str) -> None:
    headers = {"Authorization": authorization, "X-Amz-Date": date}
    answer = ask(guarded, path_of(SEVEN_B, "invoke"), b"{}", headers)

    assert answer[0] in (400, 403), answer
    check(answer, FRONT_DOOR)
