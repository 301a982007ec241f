"""Uses of invoke_api.testing that a type checker accepts. `reveal_type` is compared."""

from collections.abc import Mapping
from typing import Any, Literal, reveal_type

from invoke_api.testing import (
    Bedrock,
    Break,
    ExceptionName,
    JournalEntry,
    Rule,
    ToolCall,
    bedrock_running,
)

CALL: ToolCall = {"name": "get_weather", "arguments": {"city": "Oslo"}}
STORM: Rule = {"when": {"prompt": "weather"}, "fault": "hang", "times": 1}


def replies(bedrock: Bedrock) -> None:
    bedrock.reply("It rains.")
    bedrock.reply("One.", "Two.", times=3, prompt="weather", turn=2, operation="Converse")
    bedrock.reply({"tool_calls": [CALL]}, "It is warm.", tool="get_*", has_tool_result=False)
    bedrock.reply("It is cold.", prompt=["Oslo", {"regex": "-[0-9]+"}], metadata={"team": "a*"})
    bedrock.reply("Slow.", pace={"first_token": 0.5, "tokens_per_second": 20, "jitter": 0.1})


def faults(bedrock: Bedrock, exception: ExceptionName, kind: Break) -> None:
    bedrock.fail("ThrottlingException", times=2, retry_after=1_000)
    bedrock.fail("cut", reply="It is", after_tokens=1, model_id="mistral.*")
    for each in (exception, kind):
        bedrock.fail(each, message="No.")


def rules(bedrock: Bedrock) -> None:
    bedrock.rule(**STORM)
    bedrock.rule(reply={"texts": ["a", "b"], "tool_calls": [CALL]}, probability=0.5, seed=7)
    bedrock.rule(fault={"break": "torn_frame", "after_tokens": 3}, reply="one two three four")
    bedrock.rule(fault={"exception": "ModelErrorException", "members": {"originalStatusCode": 500}})
    bedrock.rule(state="end-of-life", seconds=5)


def journal(bedrock: Bedrock) -> tuple[object, ...]:
    [call] = bedrock.requests
    reveal_type(call)  # R: JournalEntry
    reveal_type(call.status)  # R: int | None
    ended: Literal["stop", "length", "repetition", "error", "cancelled", "cut"] | None = call.ended
    reveal_type(call["body"])  # R: Any
    as_mapping: Mapping[str, Any] = call
    entries: list[JournalEntry] = bedrock.requests_of_others()
    if call.error:
        reveal_type(call.error["type"])  # R: str
    reveal_type(bedrock.explain())  # R: list[str]
    return as_mapping, entries, ended


def clients() -> None:
    with bedrock_running() as bedrock:
        answer = bedrock.client().converse(modelId=bedrock.model, messages=[])
        reveal_type(answer["usage"]["inputTokens"])  # T: int
        bedrock.client("bedrock").list_foundation_models(byProvider="Mistral AI")
        reveal_type(bedrock.sagemaker())  # T: SageMakerRuntimeClient
        bedrock.client("s3").list_buckets()
