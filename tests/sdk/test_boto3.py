"""boto3 against real servers: both operations, both engines."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError
from botocore.parsers import EventStreamJSONParser

from engine.errors import EngineDead
from tests.support.servers import LARGE, MIXTRAL, SEVEN_B, SMALL, engine_running, invoke
from tests.support.stubs import StubEngine

BODY = json.dumps({"prompt": "Why?", "max_tokens": 200, "temperature": 0})


@pytest.fixture
def runtime(service: str) -> Iterator[Any]:
    with client(service) as client_:
        yield client_


@contextmanager
def client(url: str) -> Iterator[Any]:
    runtime = boto3.client(
        "bedrock-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
    )
    with closing(runtime):
        yield runtime


@pytest.mark.parametrize("model", [SEVEN_B, MIXTRAL, SMALL, LARGE])
def test_both_operations_say_the_same(runtime: Any, model: str) -> None:
    whole = runtime.invoke_model(modelId=model, body=BODY)
    [output] = json.loads(whole["body"].read())["outputs"]
    stream = runtime.invoke_model_with_response_stream(modelId=model, body=BODY)
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream["body"]]
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]
    headers = whole["ResponseMetadata"]["HTTPHeaders"]

    assert whole["contentType"] == stream["contentType"] == "application/json"
    assert "".join(chunk["outputs"][0]["text"] for chunk in chunks) == output["text"]
    assert chunks[-1]["outputs"] == [{"text": "", "stop_reason": output["stop_reason"]}]
    assert output["stop_reason"] == "stop"
    assert len(chunks) == metrics["outputTokenCount"]
    assert headers["x-amzn-bedrock-output-token-count"] == str(metrics["outputTokenCount"])
    assert headers["x-amzn-bedrock-input-token-count"] == str(metrics["inputTokenCount"])
    assert 0 <= metrics["firstByteLatency"] <= metrics["invocationLatency"]
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0


def test_a_length_end_has_its_text_in_the_last_chunk(runtime: Any) -> None:
    body = json.dumps({"prompt": "Why?", "max_tokens": 2, "temperature": 0})
    stream = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=body)
    chunks = [json.loads(event["chunk"]["bytes"])["outputs"][0] for event in stream["body"]]

    assert [chunk["stop_reason"] for chunk in chunks] == [None, "length"]
    assert chunks[-1]["text"]


def test_an_unknown_model_is_a_client_error(scripted: str) -> None:
    for operation in ("invoke_model", "invoke_model_with_response_stream"):
        with client(scripted) as runtime, pytest.raises(ClientError) as caught:
            getattr(runtime, operation)(modelId="mistral.nope-v9:9", body=BODY)

        assert caught.value.response["Error"] == {
            "Code": "ValidationException",
            "Message": "The provided model identifier is invalid.",
        }
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_an_engine_that_dies_on_the_way_is_an_event_stream_error() -> None:
    engine = StubEngine([" one", " two"], error=EngineDead("gone"))
    with engine_running(engine) as url, client(url) as runtime:
        stream = runtime.invoke_model_with_response_stream(modelId=SEVEN_B, body=BODY)
        with closing(stream["body"]) as body:
            events = iter(body)
            chunks = [json.loads(next(events)["chunk"]["bytes"]) for _ in range(2)]
            with pytest.raises(EventStreamError, match=r"\(serviceUnavailableException\).*unable"):
                next(events)
        texts = [chunk["outputs"][0]["text"] for chunk in chunks]

    assert texts == [" one", " two"]


def test_botocores_parser_reads_every_byte_fed_one_at_a_time(scripted: str) -> None:
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    shape = model.operation_model("InvokeModelWithResponseStream").output_shape
    parser = EventStreamJSONParser()
    _, raw = invoke(scripted, BODY.encode(), operation="invoke-with-response-stream")
    buffer = EventStreamBuffer()
    events = []
    for at in range(len(raw)):
        buffer.add_data(raw[at : at + 1])
        events += [
            parser.parse(message.to_response_dict(), shape.members["body"]) for message in buffer
        ]
    texts = [json.loads(event["chunk"]["bytes"])["outputs"][0]["text"] for event in events]
    _, whole = invoke(scripted, BODY.encode())

    assert "".join(texts) == json.loads(whole)["outputs"][0]["text"]
    assert not buffer._data  # noqa: SLF001 - the only proof that nothing is left over
