"""Current clients of Bedrock, run like their users run them, and the matrix of results."""

from operator import attrgetter

import jsonschema
import pytest

from tests.sdk import matrix
from tests.sdk.bodies import asked_schema, offered
from tests.sdk.client_table import CLIENTS
from tests.sdk.matrix import Outcomes
from tests.sdk.programs import (
    AFTER_CALL,
    CALL,
    FORCED,
    INVOKED,
    QUESTIONS,
    SAGEMAKER,
    TEXTS,
    Client,
)
from tests.sdk.ways import find_ways

every_client = pytest.mark.parametrize("client", CLIENTS, ids=attrgetter("name"))
# Bedrock's stop reasons, and those of clients.
STOPS = {
    "plain": {"end_turn", "stop"},
    "streamed": {"end_turn", "stop"},
    "tool": {"tool_use", "tool_calls", "tool-calls"},
    "streamed_tool": {"tool_use", "tool_calls", "tool-calls"},
}


@pytest.fixture(scope="module")
def outcomes(scripted: str, tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    return matrix.run_all(scripted, tmp_path_factory.mktemp("home"))


@every_client
def test_it_reads_the_texts(outcomes: Outcomes, client: Client) -> None:
    answers = outcomes[client.name].result().answers
    for kind in {"plain", "streamed"} & answers.keys():
        answer = answers[kind]

        assert answer["text"] == TEXTS[kind]
        assert answer.get("stop") in STOPS[kind] | {None}


@every_client
def test_it_counts_the_tokens_that_the_service_counts(outcomes: Outcomes, client: Client) -> None:
    outcome = outcomes[client.name].result()
    for kind, answer in outcome.answers.items():
        if "tokens" in answer:
            *_, call = outcome.calls_of(kind)

            assert [int(count) for count in answer["tokens"]] == [
                call["input_tokens"],
                call["output_tokens"],
            ]


@every_client
def test_it_reads_the_call_of_a_tool(outcomes: Outcomes, client: Client) -> None:
    outcome = outcomes[client.name].result()
    for kind in {"tool", "streamed_tool"} & outcome.answers.keys():
        answer = outcome.answers[kind]
        for call in outcome.calls_of(kind):
            [(tool, schema)] = offered(call["body"]).items()

            assert tool == CALL["name"]
            assert "city" in schema["properties"]
        assert {name: answer[name] for name in CALL} == CALL
        assert answer.get("stop") in STOPS[kind] | {None}
        assert answer.get("end") in (AFTER_CALL, None)


@every_client
def test_what_is_forced_fits_its_schema(outcomes: Outcomes, client: Client) -> None:
    for way in find_ways(client, outcomes[client.name].result(), FORCED):
        assert not (way.is_forced and way.is_ruled)
        if not (way.is_forced or way.is_ruled):
            assert not way.answer.get("arguments"), way
            continue
        *_, call = way.calls
        tools = offered(call["body"])
        schema = asked_schema(call["body"]) or tools[way.answer.get("name", *tools)]

        assert call["status"] == 200, way
        jsonschema.validate(way.answer["arguments"], schema)
        assert {"city", "degrees", "sky"} <= way.answer["arguments"].keys()
        assert way.answer.get("stop") in STOPS["tool"] | {None}


@every_client
def test_it_reads_what_invoke_model_answers(outcomes: Outcomes, client: Client) -> None:
    for way in find_ways(client, outcomes[client.name].result(), INVOKED):
        [call] = way.calls

        assert call["model_id"].removeprefix("us.") in way.name
        if "text" in way.answer:
            tokens = [call["input_tokens"], call["output_tokens"]]
            assert way.answer["text"] == TEXTS[way.kind]
            assert way.answer.get("tokens", tokens) == tokens
            assert way.answer.get("stop") in {"stop", None}


@every_client
def test_a_throttled_call_is_tried_again_or_an_error(outcomes: Outcomes, client: Client) -> None:
    outcome = outcomes[client.name].result()
    answer = outcome.answers["throttled"]
    statuses = [call["status"] for call in outcome.calls_of("throttled")]

    # SageMaker Runtime has 400 for it, as most AWS services.
    throttled = 400 if client.point == SAGEMAKER else 429
    assert statuses == ([throttled] if "error" in answer else [throttled, 200])
    assert answer.get("text") in (TEXTS["throttled"], None)


@every_client
def test_every_call_came_and_passed(outcomes: Outcomes, client: Client) -> None:
    outcome = outcomes[client.name].result()
    asked = [call for kind in outcome.answers for call in outcome.calls_of(kind)]

    assert outcome.answers.keys() == QUESTIONS.keys() - {*INVOKED, *client.lacks} | {*client.more}
    assert len(asked) == len(outcome.calls)
    assert {call["ended"] for call in outcome.calls if call["status"] == 200} == {"stop"}


def test_the_matrix_says_what_the_clients_did(outcomes: Outcomes) -> None:
    said = matrix.FILE.read_text()

    assert said == matrix.report(outcomes), "run python -m tests.sdk.matrix"
