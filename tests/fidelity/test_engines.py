"""Bedrock's counts and messages on every engine: the scripted one, a replay of it, a model server
that answers the same, and vLLM.
"""

import json
import re
from base64 import b64decode
from typing import Any

import pytest

from tests.fidelity import answers, conversations, counts, texts
from tests.fidelity.case import Case
from tests.fidelity.checks import check
from tests.fidelity.engine_rows import CASES, OTHERS, SCRIPTED, Place, on_engines
from tests.fidelity.wire import REMOTE, Answer
from tests.support.streams import split_frames

pytestmark = pytest.mark.skipif(REMOTE, reason="test_fidelity.py has what Bedrock is asked")
EVERYWHERE = [*SCRIPTED, *OTHERS]
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
COUNTS = ("X-Amzn-Bedrock-Input-Token-Count", "X-Amzn-Bedrock-Output-Token-Count")


def counted(answer: Answer) -> list[int]:
    return [int(answer.header(name) or "") for name in COUNTS]


def read_chunks(answer: Answer) -> list[dict[str, Any]]:
    payloads = (json.loads(frame.payload) for frame in split_frames(answer.body))
    return [json.loads(b64decode(payload["bytes"])) for payload in payloads]


@on_engines(counts.TABLE, EVERYWHERE)
def test_tokens_are_counted_as_bedrock_counts_them(row: counts.Count, place: Place) -> None:
    whole = place.ask(row, "invoke")
    stream = place.ask(row, "invoke-with-response-stream")
    metrics = read_chunks(stream)[-1]["amazon-bedrock-invocationMetrics"]

    assert counted(whole) == [row.tokens, 3]
    assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (row.tokens, 3)


@on_engines(answers.TABLE, EVERYWHERE)
def test_an_answer_of_a_model_of_messages_has_bedrocks_bytes(
    row: answers.Whole, place: Place
) -> None:
    answer = place.ask(row, "invoke")
    raw = answer.body.decode()
    inputs, outputs = counted(answer)
    said = {
        "TEXT": json.dumps(json.loads(raw)["choices"][0]["message"]["content"], ensure_ascii=False),
        "MODEL": row.model,
        "IN": str(inputs),
        "OUT": str(outputs),
        "ALL": str(inputs + outputs),
    }
    said["TEXT"] = said["TEXT"][1:-1]  # without its quotation marks
    expected = re.sub(r"\b(TEXT|MODEL|IN|OUT|ALL)\b", lambda word: said[word[0]], row.answer)
    made = re.sub(UUID, "ID", re.sub(r'(?<="created":)\d{10}\b', "CREATED", raw))

    assert made == expected


def usage_of(answer: Answer) -> dict[str, int]:
    """Return the usage of a whole answer, or of the event that ends a stream."""
    is_whole = answer.header("Content-Type") == "application/json"
    told = answer.body if is_whole else split_frames(answer.body)[-1].payload
    usage: dict[str, int] = json.loads(told)["usage"]
    return usage


@on_engines(conversations.TABLE, EVERYWHERE)
def test_a_conversation_counts_as_on_bedrock(row: conversations.Conversation, place: Place) -> None:
    usages = [usage_of(place.ask(row, operation)) for operation in row.operations]

    for usage in usages:
        assert (usage["inputTokens"], usage["outputTokens"]) == (row.tokens, 3)


@on_engines(texts.TABLE, EVERYWHERE)
def test_a_text_ends_and_counts_as_on_bedrock(row: texts.Text, place: Place) -> None:
    response = place.ask(row, "invoke")
    [whole] = json.loads(response.body)["outputs"]
    chunks = read_chunks(place.ask(row, "invoke-with-response-stream"))
    outputs = [chunk["outputs"][0] for chunk in chunks]
    told = chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"]

    assert "".join(output["text"] for output in outputs) == whole["text"]
    assert [output["stop_reason"] for output in outputs[:-1]] == [None] * (len(outputs) - 1)
    assert outputs[-1]["stop_reason"] == whole["stop_reason"] == row.finish
    assert len(outputs) == told == counted(response)[1]
    assert row.tokens in (None, told)
    assert row.text in (None, whole["text"])
    assert row.last in (None, outputs[-1]["text"])


@on_engines(CASES, OTHERS)
def test_a_request_is_answered_and_refused_as_by_the_scripted_engine(
    row: Case, place: Place
) -> None:
    for operation in row.operations:
        check(row, operation, place.ask(row, operation))
