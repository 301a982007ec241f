"""Guardrails around calls, by boto3: Converse, InvokeModel, their streams, and ApplyGuardrail."""

import json
import re
from contextlib import closing
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.errors import EngineDead
from invoke_api.guardrails.guardrails_file import load_guardrails
from invoke_api.testing import Bedrock, ToolCall
from tests.support.servers import GUARDRAILS, LARGE_3, SEVEN_B, call, engine_running
from tests.support.streams import split_frames
from tests.support.stubs import StubEngine

ID = "abcdef123456"
ARN = f"arn:aws:bedrock:us-west-2:123456789012:guardrail/{ID}"
REFUSED, SILENCED = "You shouldn't ask this question", "I shouldn't answer this question"
MODELS = [SEVEN_B, LARGE_3]


def asked(model: str, text: str, guard: str | None = None, **config: str) -> dict[str, Any]:
    content: list[Any] = [{"text": text}]
    if guard is not None:
        content.append({"guardContent": {"text": {"text": guard}}})
    return {
        "modelId": model,
        "messages": [{"role": "user", "content": content}],
        "inferenceConfig": {"maxTokens": 60},
        "guardrailConfig": {
            "guardrailIdentifier": ID,
            "guardrailVersion": "DRAFT",
            "trace": "enabled",
            **config,
        },
    }


def stream(runtime: Any, **request: Any) -> list[tuple[str, Any]]:
    with closing(runtime.converse_stream(**request)["stream"]) as events:
        return [pair for event in events for pair in event.items()]


def text_of(events: list[tuple[str, Any]]) -> str:
    deltas = [event["delta"] for kind, event in events if kind == "contentBlockDelta"]
    return "".join(delta["text"] for delta in deltas)


@pytest.mark.parametrize("model", MODELS)
def test_a_refused_question_never_reaches_the_model(
    runtime: Any, bedrock: Bedrock, model: str
) -> None:
    answer = runtime.converse(**asked(model, "Where do I get a cactus?"))
    trace = answer["trace"]["guardrail"]
    [entry] = bedrock.requests

    assert answer["output"]["message"]["content"] == [{"text": REFUSED}]
    assert answer["stopReason"] == "guardrail_intervened"
    assert answer["usage"] == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    assert trace["actionReason"] == "Guardrail blocked."
    assert trace.keys() == {"actionReason", "inputAssessment"}
    assert trace["inputAssessment"][ID]["wordPolicy"]["customWords"] == [
        {"match": "cactus", "action": "BLOCKED", "detected": True}
    ]
    assert entry["input_tokens"] == 0


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_masked_and_the_trace_has_the_models_own(
    runtime: Any, bedrock: Bedrock, model: str
) -> None:
    bedrock.reply("Write to a@b.org.")
    answer = runtime.converse(**asked(model, "To whom?"))
    trace = answer["trace"]["guardrail"]
    [own] = trace["modelOutput"]
    [assessment] = trace["outputAssessments"][ID]

    assert answer["output"]["message"]["content"] == [{"text": "Write to {EMAIL}."}]
    assert answer["stopReason"] == "guardrail_intervened"
    assert answer["usage"]["outputTokens"] > 5
    assert trace["actionReason"] == "No action.\nGuardrail masked."
    assert "Write to a@b.org." in own
    assert json.loads(own).keys() & {"outputs", "choices"}
    assert assessment["sensitiveInformationPolicy"] == {
        "piiEntities": [
            {"match": "a@b.org", "type": "EMAIL", "action": "ANONYMIZED", "detected": True}
        ]
    }
    assert assessment["appliedGuardrailDetails"]["guardrailArn"].endswith(f"guardrail/{ID}")


def test_an_answer_is_blocked(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply("Buy a cactus")
    answer = runtime.converse(**asked(SEVEN_B, "What?", trace="disabled"))

    assert answer["output"]["message"]["content"] == [{"text": SILENCED}]
    assert answer["stopReason"] == "guardrail_intervened"
    assert "trace" not in answer


def test_what_is_harmless_is_traced_and_left(runtime: Any) -> None:
    answer = runtime.converse(**asked(SEVEN_B, "Hello", guardrailIdentifier=ARN))
    trace = answer["trace"]["guardrail"]

    assert answer["stopReason"] in {"end_turn", "max_tokens"}
    assert trace["actionReason"] == "No action."
    assert trace.keys() == {"actionReason", "inputAssessment", "outputAssessments"}
    assert trace["inputAssessment"][ID].keys() == {"appliedGuardrailDetails", "invocationMetrics"}


def test_a_full_trace_has_what_was_not_found(runtime: Any) -> None:
    answer = runtime.converse(**asked(SEVEN_B, "Hello", trace="enabled_full"))
    [assessment] = answer["trace"]["guardrail"]["outputAssessments"][ID]

    assert [topic["detected"] for topic in assessment["topicPolicy"]["topics"]] == [False]


def test_only_content_to_guard_is_looked_at(runtime: Any) -> None:
    answer = runtime.converse(**asked(SEVEN_B, "A cactus", guard="Hello"))
    [assessment] = answer["trace"]["guardrail"]["inputAssessment"].values()

    assert answer["stopReason"] != "guardrail_intervened"
    assert assessment["invocationMetrics"]["guardrailCoverage"] == {
        "textCharacters": {"guarded": 5, "total": 13}
    }
    answer = runtime.converse(**asked(SEVEN_B, "Hello", guard="A cactus"))
    assert answer["stopReason"] == "guardrail_intervened"


def test_the_model_reads_what_is_masked(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply(" Called", last_user_message="{PHONE}")
    answer = runtime.converse(**asked(SEVEN_B, "Call +44 20 7946 0958"))

    assert answer["output"]["message"]["content"] == [{"text": " Called"}]
    assert answer["stopReason"] == "guardrail_intervened"


def test_calls_of_tools_are_not_looked_at(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.rule(reply={"tool_calls": [{"name": "mail", "arguments": {"to": "a@b.org"}}]})
    spec = {"name": "mail", "inputSchema": {"json": {"type": "object"}}}
    answer = runtime.converse(
        **asked(LARGE_3, "Mail it"), toolConfig={"tools": [{"toolSpec": spec}]}
    )
    [block] = answer["output"]["message"]["content"]

    assert block["toolUse"]["input"] == {"to": "a@b.org"}
    assert answer["stopReason"] == "tool_use"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("A cactus", (REFUSED, "Guardrail blocked.")),
        ("Hi a@b.org", ("{EMAIL} or \u00e9", "No action.\nGuardrail masked.")),
        ("Hi", (SILENCED, "No action.\nGuardrail blocked.")),
    ],
)
def test_a_stream_is_held_until_it_is_looked_at(
    runtime: Any, bedrock: Bedrock, model: str, question: str, said: tuple[str, str]
) -> None:
    told, reason = said
    bedrock.reply("one cactus")
    bedrock.reply("a@b.org or \u00e9", last_user_message="a@b.org")
    events = stream(runtime, **asked(model, question))

    assert [kind for kind, _ in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert text_of(events) == told
    assert events[-2][1]["stopReason"] == "guardrail_intervened"
    assert events[-1][1]["trace"]["guardrail"]["actionReason"] == reason


def test_a_harmless_stream_keeps_its_tokens(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply(" One two three")
    events = stream(runtime, **asked(SEVEN_B, "Hi"))

    assert text_of(events) == " One two three"
    assert sum(kind == "contentBlockDelta" for kind, _ in events) > 3
    assert events[-2][1]["stopReason"] == "end_turn"


def test_an_asynchronous_stream_goes_on_until_it_is_blocked(runtime: Any, bedrock: Bedrock) -> None:
    words = " ".join(["safe"] * 30)
    bedrock.reply(f" {words} a@b.org cactus {words}")
    events = stream(runtime, **asked(SEVEN_B, "Hi", streamProcessingMode="async"))
    text = text_of(events)

    assert text.startswith(" safe")
    assert text.endswith(SILENCED)
    assert "{EMAIL}" not in text
    assert text.count("safe") < 60
    assert events[-2][1]["stopReason"] == "guardrail_intervened"
    assert events[-1][1]["usage"]["outputTokens"] > 50


def test_a_call_behind_what_is_blocked_is_not_touched(runtime: Any, bedrock: Bedrock) -> None:
    call: ToolCall = {"name": "mail", "arguments": {"to": "x" * 100}}
    bedrock.rule(reply={"text": "Cactus", "tool_calls": [call]})
    spec = {"name": "mail", "inputSchema": {"json": {"type": "object"}}}
    request = asked(LARGE_3, "Hi", streamProcessingMode="async")
    events = stream(runtime, **request, toolConfig={"tools": [{"toolSpec": spec}]})

    assert not any(kind == "contentBlockStart" for kind, _ in events)
    assert text_of(events).endswith(SILENCED)
    assert events[-2][1]["stopReason"] == "guardrail_intervened"


def test_a_refused_question_asks_no_rule(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.fail("ThrottlingException")
    answer = runtime.converse(**asked(SEVEN_B, "A cactus"))

    assert answer["output"]["message"]["content"] == [{"text": REFUSED}]
    with pytest.raises(ClientError, match="Too many requests"):
        runtime.converse(**asked(SEVEN_B, "Hello"))


def test_the_text_that_is_judged_is_the_one_that_is_sent(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply("abc")
    answer = runtime.converse(**asked("mistral.mistral-large-2402-v1:0", "Hi"))
    [assessment] = answer["trace"]["guardrail"]["outputAssessments"][ID]
    coverage = assessment["invocationMetrics"]["guardrailCoverage"]["textCharacters"]

    assert answer["output"]["message"]["content"] == [{"text": "abc"}]
    assert coverage == {"guarded": 3, "total": 3}


def test_a_failure_inside_a_held_stream_has_its_own_status() -> None:
    engine = StubEngine([" a", " b"], error=EngineDead("gone"))
    body = {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
        "guardrailConfig": {"guardrailIdentifier": ID, "guardrailVersion": "1"},
    }
    with engine_running(engine, load_guardrails(GUARDRAILS)[0]) as url:
        path = f"/model/{SEVEN_B}/converse-stream"
        response, _ = call(url, "POST", path, json.dumps(body).encode())
        _, raw = call(url, "GET", "/_emulator/requests")
    [entry] = json.loads(raw)["requests"]

    assert response.status == entry["status"] == 503


def invoke(runtime: Any, body: dict[str, Any], **more: str) -> tuple[dict[str, Any], Any]:
    answer = runtime.invoke_model(
        modelId=SEVEN_B,
        body=json.dumps({"max_tokens": 60, **body}),
        guardrailIdentifier=ID,
        guardrailVersion="1",
        **more,
    )
    with answer["body"] as raw:
        return json.loads(raw.read()), answer["ResponseMetadata"]["HTTPHeaders"]


def test_invoke_model_tells_behind_the_models_own(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply("Write to a@b.org.")
    document, headers = invoke(runtime, {"prompt": "To whom?"}, trace="ENABLED")
    trace = document["amazon-bedrock-trace"]["guardrail"]

    assert [*document] == ["outputs", "amazon-bedrock-trace", "amazon-bedrock-guardrailAction"]
    assert document["outputs"] == [{"text": "Write to {EMAIL}.", "stop_reason": "stop"}]
    assert document["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert [*trace] == ["modelOutput", "input", "outputs", "actionReason"]
    assert [*trace["outputs"][0][ID]] == [
        "sensitiveInformationPolicy",
        "invocationMetrics",
        "appliedGuardrailDetails",
    ]
    assert int(headers["x-amzn-bedrock-output-token-count"]) > 5


def test_invoke_model_without_a_trace_tells_the_action(runtime: Any) -> None:
    document, _ = invoke(runtime, {"prompt": "Hi"})

    assert [*document] == ["outputs", "amazon-bedrock-guardrailAction"]
    assert document["amazon-bedrock-guardrailAction"] == "NONE"


def test_invoke_model_refuses(runtime: Any) -> None:
    document, headers = invoke(runtime, {"prompt": "A cactus"})

    assert document == {
        "outputs": [{"text": REFUSED}],
        "amazon-bedrock-guardrailAction": "INTERVENED",
    }
    assert headers["x-amzn-bedrock-input-token-count"] == "0"


def test_only_what_is_tagged_is_looked_at(runtime: Any, bedrock: Bedrock) -> None:
    tag = "amazon-bedrock-guardrails-guardContent_xyz"
    config = {"amazon-bedrock-guardrailConfig": {"tagSuffix": "xyz"}}
    prompt = "A cactus. <{0}>{1}</{0}> Bye"
    document, _ = invoke(runtime, {"prompt": prompt.format(tag, "Hello"), **config})
    refused, _ = invoke(runtime, {"prompt": prompt.format(tag, "A blue moon"), **config})
    bedrock.reply(" Called", prompt={"regex": r"^A cactus\. \{PHONE\} Bye$"})
    masked, _ = invoke(runtime, {"prompt": prompt.format(tag, "+44 20 7946 0958"), **config})

    assert document["amazon-bedrock-guardrailAction"] == "NONE"
    assert refused["outputs"] == [{"text": REFUSED}]
    assert masked["outputs"] == [{"text": " Called", "stop_reason": "stop"}]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [("xyz", "must be a JSON object"), ({"tagSuffix": "a b"}, "1 to 20 letters and digits")],
)
def test_a_malformed_config_is_refused(runtime: Any, config: object, sentence: str) -> None:
    with pytest.raises(ClientError, match=sentence):
        invoke(runtime, {"prompt": "Hi", "amazon-bedrock-guardrailConfig": config})


def chunks(runtime: Any, prompt: str, **config: str) -> list[dict[str, Any]]:
    more = {"amazon-bedrock-guardrailConfig": config} if config else {}
    answer = runtime.invoke_model_with_response_stream(
        modelId=SEVEN_B,
        body=json.dumps({"prompt": prompt, "max_tokens": 60, **more}),
        guardrailIdentifier=ID,
        guardrailVersion="1",
        trace="ENABLED",
    )
    with closing(answer["body"]) as events:
        return [json.loads(event["chunk"]["bytes"]) for event in events]


def test_chunks_tell_the_action_and_the_last_one_the_trace(runtime: Any, bedrock: Bedrock) -> None:
    bedrock.reply(" One two")
    *others, last = chunks(runtime, "Hi")

    assert {tuple(chunk) for chunk in others} == {("outputs", "amazon-bedrock-guardrailAction")}
    assert [*last] == [
        "outputs",
        "amazon-bedrock-guardrailAction",
        "amazon-bedrock-trace",
        "amazon-bedrock-invocationMetrics",
    ]


def test_a_refused_stream_is_one_chunk_without_metrics(runtime: Any) -> None:
    [chunk] = chunks(runtime, "A cactus")

    assert chunk["outputs"] == [{"text": REFUSED}]
    assert [*chunk] == ["outputs", "amazon-bedrock-guardrailAction", "amazon-bedrock-trace"]


def test_an_asynchronous_stream_of_chunks_is_blocked_on_its_way(
    runtime: Any, bedrock: Bedrock
) -> None:
    words = " ".join(["safe"] * 30)
    bedrock.reply(f" {words} cactus {words}")
    told = chunks(runtime, "Hi", streamProcessingMode="ASYNCHRONOUS")
    actions = [chunk["amazon-bedrock-guardrailAction"] for chunk in told]

    assert actions[0] == "NONE"
    assert actions[-1] == "INTERVENED"
    assert SILENCED in [chunk["outputs"][0]["text"] for chunk in told]
    assert "amazon-bedrock-invocationMetrics" in told[-1]


def apply(runtime: Any, source: str, *texts: Any, **more: Any) -> dict[str, Any]:
    content = [{"text": {"text": text} if isinstance(text, str) else text} for text in texts]
    answer: dict[str, Any] = runtime.apply_guardrail(
        guardrailIdentifier=ID, guardrailVersion="1", source=source, content=content, **more
    )
    return answer


def test_apply_guardrail_says_what_it_would_do(runtime: Any) -> None:
    nothing = apply(runtime, "INPUT", "Hello")
    blocked = apply(runtime, "INPUT", "cactus")
    masked = apply(runtime, "OUTPUT", "a@b.org", "123456")

    assert (nothing["action"], nothing["actionReason"]) == ("NONE", "No action.")
    assert nothing["outputs"] == []
    assert (blocked["action"], blocked["actionReason"]) == (
        "GUARDRAIL_INTERVENED",
        "Guardrail blocked.",
    )
    assert blocked["outputs"] == [{"text": REFUSED}]
    assert masked["actionReason"] == "Guardrail masked."
    assert masked["outputs"] == [{"text": "{EMAIL}"}, {"text": "{Account Number}"}]
    assert masked["guardrailCoverage"]["textCharacters"] == {"guarded": 13, "total": 13}


def test_apply_guardrail_leaves_sources_alone_and_shows_all_if_asked(runtime: Any) -> None:
    source = {"text": "A cactus", "qualifiers": ["grounding_source"]}
    answer = apply(runtime, "OUTPUT", source, "Hello", outputScope="FULL")
    [assessment] = answer["assessments"]

    assert answer["guardrailCoverage"]["textCharacters"] == {"guarded": 5, "total": 13}
    assert [topic["detected"] for topic in assessment["topicPolicy"]["topics"]] == [False]


def test_apply_guardrail_takes_a_million_characters_and_no_more(runtime: Any) -> None:
    assert apply(runtime, "INPUT", "a " * 500_000)["action"] == "NONE"
    with pytest.raises(ClientError, match=r"Input text size \(1001 text units\) exceeds") as caught:
        apply(runtime, "INPUT", "a " * 500_001)
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"


def test_apply_guardrail_without_content_or_with_images_is_refused(runtime: Any) -> None:
    image = {"image": {"format": "png", "source": {"bytes": b"x"}}}
    for content, sentence in (([], "is empty"), ([image], "no policy that looks at images")):
        with pytest.raises(ClientError, match=sentence):
            runtime.apply_guardrail(
                guardrailIdentifier=ID, guardrailVersion="1", source="INPUT", content=content
            )


def test_the_answer_is_to_the_byte_in_alphabetical_order(scripted: str) -> None:
    body = b'{"source": "INPUT", "content": [{"text": {"text": "Hi"}}]}'
    response, raw = call(scripted, "POST", f"/guardrail/{ID}/version/1/apply", body)
    units = (
        b'{"automatedReasoningPolicies":0,"automatedReasoningPolicyUnits":0,'
        b'"contentPolicyImageUnits":0,"contentPolicyUnits":1,"contextualGroundingPolicyUnits":0,'
        b'"sensitiveInformationPolicyFreeUnits":0,"sensitiveInformationPolicyUnits":1,'
        b'"topicPolicyUnits":1,"wordPolicyUnits":1}'
    )
    coverage = b'{"textCharacters":{"guarded":2,"total":2}}'

    assert response.status == 200
    assert re.sub(rb'(Latency":)\d+', rb"\g<1>0", raw) == (  # it may be 1 ms on a busy machine
        b'{"action":"NONE","actionReason":"No action.","assessments":[{"appliedGuardrailDetails":'
        b'{"guardrailArn":"arn:aws:bedrock:us-east-1:123456789012:guardrail/abcdef123456",'
        b'"guardrailId":"abcdef123456","guardrailOrigin":["REQUEST"],'
        b'"guardrailOwnership":"SELF","guardrailVersion":"1"},"invocationMetrics":'
        b'{"guardrailCoverage":%b,"guardrailProcessingLatency":0,"usage":%b}}],'
        b'"guardrailCoverage":%b,"outputs":[],"usage":%b}' % (coverage, units, coverage, units)
    )


def test_a_masked_stream_is_to_the_byte_as_recorded(scripted: str) -> None:
    body = {
        "messages": [{"role": "user", "content": [{"text": "cactus"}]}],
        "guardrailConfig": {"guardrailIdentifier": ID, "guardrailVersion": "1"},
    }
    _, raw = call(scripted, "POST", f"/model/{SEVEN_B}/converse-stream", json.dumps(body).encode())
    kinds = [frame.headers[":event-type"] for frame in split_frames(raw)]
    [_, delta, _, stop, _] = [json.loads(frame.payload) for frame in split_frames(raw)]

    assert kinds[-1] == "metadata"
    assert delta["delta"] == {"text": REFUSED}
    assert stop["stopReason"] == "guardrail_intervened"
