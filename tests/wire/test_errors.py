"""Bedrock's exceptions, checked against botocore's own service model."""

import json
from typing import Any

import botocore.session
import pytest

from invoke_api.wire.errors import InvokeError, ThrottlingException
from invoke_api.wire.eventstream import decode_frame

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")
# Modelled for operations that this service does not have: async invocations only.
ELSEWHERE = {"ConflictException"}


def test_every_modelled_exception_is_there_with_its_status() -> None:
    modelled = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in _errors()}
    ours = {kind.__name__: kind.status for kind in InvokeError.__subclasses__()}

    assert ours == {name: code for name, code in modelled.items() if name not in ELSEWHERE}


@pytest.mark.parametrize("kind", InvokeError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_an_exception_says_its_name_in_a_reply_and_in_a_stream(kind: type[InvokeError]) -> None:
    error = kind("It broke.")
    frame = decode_frame(error.to_frame())

    assert error.kind == f"{kind.__name__}:http://internal.amazon.com/coral/com.amazon.bedrock/"
    assert json.loads(error.to_json()) == {"message": "It broke."}
    assert list(frame.headers.items()) == [
        (":exception-type", kind.__name__[0].lower() + kind.__name__[1:]),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ]
    assert frame.payload == error.to_json()


def test_an_exception_without_words_says_bedrocks() -> None:
    assert ThrottlingException().to_json() == (
        b'{"message":"Too many requests, please wait before trying again."}'
    )


def _errors() -> list[Any]:
    shapes = (MODEL.shape_for(name) for name in MODEL.shape_names)
    return [shape for shape in shapes if shape.metadata.get("exception")]
