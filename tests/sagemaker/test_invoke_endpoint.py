"""InvokeEndpoint by boto3 at default settings: whole, streamed, refused, by rules and faults."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, EventStreamError
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.sagemaker.parts import encode_parts
from invoke_api.testing import Bedrock, ExceptionName
from invoke_api.wire.eventstream import decode_frame, split_frames
from tests.sagemaker.calls import ASKED, NAME, events, invoke, parts, refusal, stream
from tests.support.servers import SEVEN_B


def test_an_answer_is_tgis(bedrock: Bedrock) -> None:
    bedrock.reply("I am well.")

    answer = invoke(bedrock, ASKED)

    assert json.load(answer["Body"]) == [{"generated_text": "I am well."}]
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


def test_details_tell_tokens_and_how_it_ended(bedrock: Bedrock) -> None:
    bedrock.reply(" well enough")

    [answer] = json.load(invoke(bedrock, {**ASKED, "parameters": {"details": True}})["Body"])

    details = answer["details"]
    assert details["finish_reason"] == "eos_token"
    assert details["generated_tokens"] == len(details["tokens"]) == 3
    assert [token["text"] for token in details["tokens"]] == [" well", " enough", "</s>"]
    assert [token["special"] for token in details["tokens"]] == [False, False, True]
    assert (details["seed"], details["prefill"]) == (None, [])


@pytest.mark.parametrize(
    ("parameters", "text", "reason"),
    [
        ({"max_new_tokens": 2}, " one two", "length"),
        ({"stop": ["three"]}, " one two three", "stop_sequence"),
        ({"return_full_text": True, "max_new_tokens": 1}, f"{ASKED['inputs']} one", "length"),
    ],
)
def test_an_answer_ends_where_it_is_asked_to(
    bedrock: Bedrock, parameters: dict[str, Any], text: str, reason: str
) -> None:
    bedrock.reply(" one two three four")

    body = {**ASKED, "parameters": {"details": True, **parameters}}
    [answer] = json.load(invoke(bedrock, body)["Body"])

    assert answer["generated_text"] == text
    assert answer["details"]["finish_reason"] == reason


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("TargetModel", f"Endpoint {NAME} is not a multi-model endpoint and does not"),
        ("InferenceComponentName", "Inference Component Name header is not allowed for"),
        ("TargetContainerHostname", f"Endpoint {NAME} is not a multi-container endpoint"),
        ("TargetVariant", f"Variant green of endpoint {NAME} not found."),
    ],
)
def test_an_endpoint_has_one_model_and_one_variant(
    bedrock: Bedrock, target: str, said: str
) -> None:
    error = refusal(bedrock, ASKED, **{target: "green"})["Error"]

    assert error["Code"] == "ValidationError"
    assert error["Message"].startswith(said)
    invoke(bedrock, ASKED, TargetVariant="AllTraffic")


def test_a_drawn_seed_is_told(bedrock: Bedrock) -> None:
    asked = {"details": True, "do_sample": True}
    [drawn] = json.load(invoke(bedrock, {**ASKED, "parameters": asked})["Body"])
    [given_] = json.load(invoke(bedrock, {**ASKED, "parameters": {**asked, "seed": 7}})["Body"])

    assert isinstance(drawn["details"]["seed"], int)
    assert given_["details"]["seed"] == 7


def test_a_stream_has_an_event_for_each_token(bedrock: Bedrock) -> None:
    bedrock.reply(" one two")

    answer = stream(bedrock, {**ASKED, "stream": True, "parameters": {"details": True}})
    received = parts(answer)

    assert answer["ContentType"] == "text/event-stream"
    tokens = events(b"".join(received))
    assert [event["token"]["text"] for event in tokens] == [" one", " two", "</s>"]
    assert [event["generated_text"] for event in tokens] == [None, None, " one two"]
    assert tokens[-1]["details"]["finish_reason"] == "eos_token"
    assert tokens[0]["details"] is None


def test_a_whole_answer_may_come_in_parts_and_a_stream_whole(bedrock: Bedrock) -> None:
    bedrock.reply(" one")

    in_parts = stream(bedrock, ASKED)
    whole = invoke(bedrock, {**ASKED, "stream": True})

    assert json.loads(b"".join(parts(in_parts))) == [{"generated_text": " one"}]
    assert in_parts["ContentType"] == "application/json"
    assert whole["ContentType"] == "text/event-stream"
    assert events(whole["Body"].read())[-1]["generated_text"] == " one"


@given(data=st.binary(min_size=1, max_size=300))
def test_parts_put_together_are_the_stream(data: bytes) -> None:
    frames, rest = split_frames(encode_parts(data))
    payloads = [decode_frame(frame).payload for frame in frames]

    assert b"".join(payloads) == data
    assert all(payloads)
    assert len(payloads) == min(len(data), 2)
    assert not rest


def test_parts_end_anywhere_in_an_event() -> None:
    event = b'data: {"token": {"text": " one"}}\n\n'
    cuts = {len(decode_frame(split_frames(encode_parts(event))[0][0]).payload) for _ in range(999)}

    assert cuts == {*range(1, len(event))}


def test_a_refusal_is_a_model_error_with_the_containers_answer(bedrock: Bedrock) -> None:
    response = refusal(bedrock, {"inputs": ""})

    body = '{"error":"Input validation error: `inputs` cannot be empty","error_type":"validation"}'
    group, region = f"/aws/sagemaker/Endpoints/{NAME}", bedrock.region
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert (response["OriginalStatusCode"], response["OriginalMessage"]) == (422, body)
    assert response["LogStreamArn"] == f"arn:aws:logs:{region}:123456789012:log-group:{group}"
    assert response["Error"]["Message"] == (
        f'Received client error (422) from primary with message "{body}". See'
        f" https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        f"#logEventViewer:group={group} in account 123456789012 for more information."
    )
    [call] = bedrock.requests
    assert (call["operation"], call["status"], call["ended"]) == ("InvokeEndpoint", 424, "error")


@pytest.mark.parametrize(
    ("body", "more", "status"),
    [
        ({}, {}, 422),
        (b"{", {}, 400),
        (ASKED, {"ContentType": "text/plain"}, 415),
        ({**ASKED, "parameters": {"top_k": "many"}}, {}, 422),
        ({"inputs": "a", "parameters": {"max_new_tokens": 8_192}}, {}, 422),
    ],
)
def test_a_body_that_the_container_refuses_is_a_model_error(
    bedrock: Bedrock, body: Any, more: dict[str, str], status: int
) -> None:
    response = refusal(bedrock, body, **more)

    assert response["Error"]["Code"] == "ModelError"
    assert response["OriginalStatusCode"] == status


def test_a_stream_is_refused_with_an_event_in_it(bedrock: Bedrock) -> None:
    answer = stream(bedrock, {"inputs": "", "stream": True})

    [event] = events(b"".join(parts(answer)))
    assert event == {
        "error": "Input validation error: `inputs` cannot be empty",
        "error_type": "validation",
    }


@pytest.mark.parametrize("name", ["nobody", "a" * 63])
def test_an_unknown_endpoint_is_not_found(bedrock: Bedrock, name: str) -> None:
    response = refusal(bedrock, ASKED, name)

    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": f"Endpoint {name} of account 123456789012 not found.",
    }
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_asynchronous_call_is_refused(bedrock: Bedrock) -> None:
    with pytest.raises(ClientError) as caught:
        bedrock.sagemaker().invoke_endpoint_async(EndpointName=NAME, InputLocation="s3://a/b")

    assert caught.value.response["Error"]["Code"] == "ValidationError"


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("ModelError", "ModelError", 424),
        ("ModelTimeoutException", "ModelError", 424),
        ("ThrottlingException", "ThrottlingException", 400),
        ("ModelNotReadyException", "ModelNotReadyException", 429),
        ("ServiceUnavailable", "ServiceUnavailable", 503),
        ("InternalFailure", "InternalFailure", 500),
    ],
)
def test_a_fault_has_sagemakers_shape(
    bedrock: Bedrock, fault: ExceptionName, code: str, status: int
) -> None:
    bedrock.fail(fault, operation="InvokeEndpoint")
    client = bedrock.sagemaker(config=_once())

    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(
            EndpointName=NAME, Body=json.dumps(ASKED), ContentType="application/json"
        )

    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("InternalStreamFailure", "InternalStreamFailure"),
        ("ModelStreamError", "ModelStreamError"),
        ("ThrottlingException", "InternalStreamFailure"),
    ],
)
def test_a_stream_ends_with_its_exception(
    bedrock: Bedrock, fault: ExceptionName, code: str
) -> None:
    bedrock.fail(fault, after_tokens=2, reply=" one two three")
    answer = stream(bedrock, {**ASKED, "stream": True})
    received: list[bytes] = []

    with closing(answer["Body"]), pytest.raises(EventStreamError) as caught:
        received.extend(event["PayloadPart"]["Bytes"] for event in answer["Body"])

    assert caught.value.response["Error"]["Code"] == code
    assert len(events(b"".join(received))) == 2


def test_the_journal_names_the_endpoint_and_the_model(bedrock: Bedrock) -> None:
    bedrock.reply("Hi.", operation="InvokeEndpoint")
    invoke(bedrock, ASKED)
    b"".join(parts(stream(bedrock, {**ASKED, "stream": True})))

    whole, streamed = bedrock.requests
    assert (whole["model_id"], whole["identifier"]) == (SEVEN_B, NAME)
    assert (whole["text"], whole["engine"]) == ("Hi.", "rule")
    assert streamed["operation"] == "InvokeEndpointWithResponseStream"
    assert streamed["engine"] == "scripted"


def test_a_second_call_is_too_many_for_a_container_of_one(others: Bedrock) -> None:
    others.reply("slow", pace={"first_token": 0.5}, operation="InvokeEndpoint")

    def call() -> Any:
        try:
            return json.load(invoke(others, ASKED, "narrow")["Body"])
        except ClientError as error:
            return error.response

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: call(), range(2)))

    [refused] = [each for each in answers if isinstance(each, dict)]
    assert refused["OriginalStatusCode"] == 429
    overloaded = {"error": "Model is overloaded", "error_type": "overloaded"}
    assert json.loads(refused["OriginalMessage"]) == overloaded
    assert [{"generated_text": "slow"}] in answers
    assert json.load(invoke(others, ASKED, "narrow")["Body"]) == [{"generated_text": "slow"}]
    others.reset()


def test_a_stream_too_many_is_refused_by_an_event(others: Bedrock) -> None:
    others.reply("slow", pace={"first_token": 0.5}, operation="InvokeEndpointWithResponseStream")

    def call() -> bytes:
        return b"".join(parts(stream(others, {**ASKED, "stream": True}, "narrow")))

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: call(), range(2)))

    refused = b'data:{"error":"Model is overloaded","error_type":"overloaded"}\n\n'
    assert refused in answers
    assert b'"generated_text":"slow"' in b"".join(answers)
    others.reset()


def test_lmi_answers_with_an_object_and_lines(others: Bedrock) -> None:
    others.reply(" one two")

    whole = json.load(invoke(others, ASKED, "lmi")["Body"])
    answer = stream(others, {**ASKED, "stream": True}, "lmi")
    lines = [json.loads(line) for line in b"".join(parts(answer)).splitlines()]

    assert whole == {"generated_text": " one two"}
    assert answer["ContentType"] == "application/jsonlines"
    assert lines[0] == {"token": {"id": lines[0]["token"]["id"], "text": " one", "log_prob": 0.0}}
    assert lines[-1]["generated_text"] == " one two"
    others.reset()


def test_tgi_3_writes_a_space_after_data(others: Bedrock) -> None:
    received = b"".join(parts(stream(others, {**ASKED, "stream": True}, "tgi-3")))

    assert received.startswith(b'data: {"index":1,"token":')


def test_the_openai_path_chats(bedrock: Bedrock) -> None:
    bedrock.reply("Hi.", operation="EndpointChatCompletions")
    connection = HTTPConnection(urlsplit(bedrock.url).netloc, timeout=30)
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}

    def send(name: str) -> tuple[int, Any]:
        path = f"/endpoints/{name}/openai/v1/chat/completions"
        headers = {"Authorization": f"Bearer {bedrock.access_key_id}"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, json.load(response)

    status, answer = send(NAME)
    missing, error = send("nobody")
    connection.close()

    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "Hi."
    assert answer["model"] == SEVEN_B
    assert (missing, error["Message"]) == (
        400,
        "Endpoint nobody of account 123456789012 not found.",
    )


def _once() -> Any:
    from botocore.config import Config  # noqa: PLC0415 - one test asks no second time

    return Config(retries={"total_max_attempts": 1})
