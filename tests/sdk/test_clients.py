"""Today's clients of Bedrock, each run as its user would run it, and the matrix of them."""

from operator import attrgetter

import pytest

from tests.sdk import matrix
from tests.sdk.client_table import CLIENTS
from tests.sdk.matrix import Outcomes
from tests.sdk.programs import AFTER_CALL, CALL, QUESTIONS, TEXTS, Client

every_client = pytest.mark.parametrize("client", CLIENTS, ids=attrgetter("name"))
# Bedrock's words, and those that clients put in their place.
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
            [tool] = call["body"]["toolConfig"]["tools"]

            assert tool["toolSpec"]["name"] == CALL["name"]
            assert "city" in tool["toolSpec"]["inputSchema"]["json"]["properties"]
        assert {name: answer[name] for name in CALL} == CALL
        assert answer.get("stop") in STOPS[kind] | {None}
        assert answer.get("end") in (AFTER_CALL, None)


@every_client
def test_a_throttled_call_is_tried_again_or_an_error(outcomes: Outcomes, client: Client) -> None:
    outcome = outcomes[client.name].result()
    answer = outcome.answers["throttled"]
    statuses = [call["status"] for call in outcome.calls_of("throttled")]

    assert statuses == ([429] if "error" in answer else [429, 200])
    assert answer.get("text") in (TEXTS["throttled"], None)


@every_client
def test_every_call_came_and_passed(outcomes: Outcomes, client: Client) -> None:
    outcome = outcomes[client.name].result()
    asked = [call for kind in outcome.answers for call in outcome.calls_of(kind)]

    assert outcome.answers.keys() == QUESTIONS.keys() - set(client.lacks)
    assert len(asked) == len(outcome.calls)
    assert {call["ended"] for call in outcome.calls if call["status"] == 200} == {"stop"}


def test_the_matrix_says_what_the_clients_did(outcomes: Outcomes) -> None:
    said = matrix.FILE.read_text()

    assert said == matrix.report(outcomes), "run python -m tests.sdk.matrix"
