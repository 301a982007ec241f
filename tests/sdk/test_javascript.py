"""The AWS SDK for JavaScript, with its default handler (HTTP/2) and with NodeHttpHandler."""

from typing import Any

import pytest

from tests.sdk.javascript import call_js, call_js_in_turn
from tests.support.servers import MIXTRAL, SEVEN_B

HANDLERS = ["default", "node"]
BODY = {"prompt": "Why?", "max_tokens": 200, "temperature": 0}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("model", [SEVEN_B, MIXTRAL])
def test_both_operations_say_the_same(service: str, handler: str, model: str) -> None:
    what: dict[str, Any] = {"endpoint": service, "handler": handler, "modelId": model, "body": BODY}
    calls = [{"operation": each, **what} for each in ("invoke", "stream")]
    [[whole], [stream]] = call_js_in_turn(calls)
    outputs = [chunk["outputs"][0] for chunk in stream["chunks"]]
    metrics = stream["chunks"][-1]["amazon-bedrock-invocationMetrics"]

    assert whole["contentType"] == stream["contentType"] == "application/json"
    assert "".join(output["text"] for output in outputs) == whole["body"]["outputs"][0]["text"]
    assert outputs[-1]["stop_reason"] == whole["body"]["outputs"][0]["stop_reason"] == "stop"
    assert {output["stop_reason"] for output in outputs[:-1]} == {None}
    assert metrics["outputTokenCount"] == len(outputs)
    assert metrics["inputTokenCount"] == 3


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_an_error_has_its_name_and_words(scripted: str, handler: str, operation: str) -> None:
    [answer] = call_js(
        endpoint=scripted,
        handler=handler,
        operation=operation,
        modelId="mistral.nope-v9:9",
        body=BODY,
    )

    assert answer == {
        "error": "ValidationException",
        "message": "The provided model identifier is invalid.",
        "status": 400,
    }
