"""CountTokens is refused as on Bedrock, or counts as InvokeModel does."""

import json
from base64 import b64encode
from typing import Any

import pytest

from tests.support.servers import LARGE, LARGE_3, SEVEN_B, call, invoke

REFUSAL = {"message": "The provided model doesn't support counting tokens."}


def asked(body: Any) -> dict[str, Any]:
    return {"input": {"invokeModel": {"body": b64encode(json.dumps(body).encode()).decode()}}}


def count(url: str, document: Any, model: str = SEVEN_B) -> tuple[Any, Any]:
    response, raw = invoke(url, document, model, "count-tokens")
    return response, json.loads(raw)


def test_it_is_refused_as_on_bedrock(scripted: str) -> None:
    response, body = count(scripted, asked({"prompt": "Hi"}))

    assert (response.status, body) == (400, REFUSAL)
    assert "x-invoke-api-extension" not in response.headers


@pytest.mark.parametrize("model", [SEVEN_B, LARGE])
def test_an_extension_counts_as_invoke_model_does_and_says_so(extended: str, model: str) -> None:
    body = {"prompt": "<s>[INST] Why? [/INST]", "max_tokens": 1}
    response, answer = count(extended, asked(body), model)
    invoked, _ = invoke(extended, body, model)

    assert response.headers["x-invoke-api-extension"] == "CountTokens"
    assert str(answer["inputTokens"]) == invoked.headers["X-Amzn-Bedrock-Input-Token-Count"]


def test_what_is_too_long_to_be_invoked_is_counted_to_its_end(extended: str) -> None:
    _, answer = count(extended, asked({"prompt": " word" * 50_000}))

    assert answer == {"inputTokens": 50_002}


@pytest.mark.parametrize("model", [SEVEN_B, LARGE, LARGE_3])
def test_a_conversation_counts_as_converse_does(extended: str, model: str) -> None:
    conversation = {"messages": [{"role": "user", "content": [{"text": "Why?"}]}]}
    _, answer = count(extended, {"input": {"converse": conversation}}, model)
    _, raw = invoke(extended, conversation, model, "converse")

    assert answer == {"inputTokens": json.loads(raw)["usage"]["inputTokens"]}


def test_a_body_that_could_not_be_invoked_is_not_counted(extended: str) -> None:
    response, body = count(extended, asked({"prompt": "Hi", "top_k": 0}))

    assert response.status == 400
    assert body["message"].startswith("Malformed input request: #/top_k: 0 is not")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "ValidationException"),
        (b"{}", "ValidationException"),
        (b'{"input": {"invokeModel": {}}}', "ValidationException"),
        (b"{", "SerializationException"),
        (b'{"input": []}', "SerializationException"),
        (b'{"input": {"invokeModel": {"body": 7}}}', "SerializationException"),
        (b'{"input": {"invokeModel": {"body": "?"}}}', "SerializationException"),
        (b'{"input": null}', "ValidationException"),
    ],
)
def test_a_request_that_is_none_is_refused(extended: str, body: bytes, kind: str) -> None:
    response, _ = call(extended, "POST", f"/model/{SEVEN_B}/count-tokens", body)

    assert response.status == 400
    assert response.headers["x-amzn-ErrorType"].startswith(f"{kind}:")
