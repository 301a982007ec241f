"""The matcher returns recordings of the same request in order, or the nearest."""

import json
from typing import Any

import pytest

from invoke_api.cassettes.matcher import CassetteLibrary, NoMatch, to_cassettes, to_comparable
from invoke_api.cassettes.nearest import differences
from invoke_api.cassettes.recording import Recording
from tests.cassettes.test_reader import a_recording

PATH = "/model/mistral.mistral-7b-instruct-v0%3A2/invoke"


def library(
    *recordings: Recording, nearest: bool = False, stale: str | None = None
) -> CassetteLibrary:
    named = [(f"{number}.json", recording) for number, recording in enumerate(recordings, 1)]
    cassettes = to_cassettes(named, lambda recording, _: stale and f"{recording.status} no more")
    return CassetteLibrary(cassettes, nearest=nearest)


def found(
    shelf: CassetteLibrary,
    body: object,
    *,
    path: str = PATH,
    scope: str | None = None,
    **headers: str,
) -> str:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    asked = to_comparable("POST", path, [(k.replace("_", "-"), v) for k, v in headers.items()], raw)
    same = shelf.find(asked, scope)
    return (same or shelf.take(shelf.compare(asked), scope).cassette).where


def test_the_order_of_keys_and_the_spelling_of_the_path_do_not_matter() -> None:
    shelf = library(a_recording(b'{"prompt":"Hi","max_tokens":7}'))

    assert found(shelf, {"max_tokens": 7, "prompt": "Hi"}, path=PATH.replace("%3A", ":"))


@pytest.mark.parametrize(
    ("body", "more", "sentence"),
    [
        ({"prompt": "Ho"}, {}, "the nearest is 1.json, which differs in #/prompt"),
        (
            {"prompt": "Hi", "top_k": 1, "stop": ["a"]},
            {},
            "the nearest is 1.json, which differs in #/top_k, #/stop",
        ),
        (b"{", {}, "the nearest is 1.json, which differs in #"),
        (
            {"prompt": "Hi"},
            {"X_Amzn_Bedrock_GuardrailIdentifier": "a"},
            "the nearest is 1.json, which differs in its headers or its query",
        ),
        ({"prompt": "Hi"}, {"path": "/foo"}, "nothing was recorded for POST /foo"),
    ],
)
def test_a_request_that_differs_is_told_how(
    body: object, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(NoMatch) as caught:
        found(library(a_recording()), body, **more)

    assert str(caught.value) == sentence


def test_recordings_of_one_request_come_in_turn_for_each_key_and_the_last_one_stays() -> None:
    shelf = library(a_recording(), a_recording(b"{}"), a_recording())
    hi = {"prompt": "Hi"}

    assert [found(shelf, hi, scope="A") for _ in range(3)] == ["1.json", "3.json", "3.json"]
    assert found(shelf, hi, scope="B") == "1.json"
    shelf.forget_turns("A")
    assert [found(shelf, hi, scope="A"), found(shelf, hi, scope="B")] == ["1.json", "3.json"]


def test_the_nearest_shares_most_words_and_is_no_refusal() -> None:
    shelf = library(
        a_recording(b'{"prompt":"How is the weather in Paris"}'),
        a_recording(b'{"prompt":"Translate this"}'),
        a_recording(b'{"prompt":"How is the weather in Oslo?"}', status=400),
        nearest=True,
    )

    assert found(shelf, {"prompt": "How is the weather in Oslo"}) == "1.json"
    assert found(shelf, {"prompt": "Translate that"}) == "2.json"
    with pytest.raises(NoMatch, match="nothing was recorded"):
        found(shelf, {"prompt": "How"}, path="/model/other/invoke")


def test_a_stale_one_answers_nothing_and_is_named() -> None:
    shelf = library(a_recording(), nearest=True, stale="yes")

    with pytest.raises(NoMatch, match=r"1\.json is stale: 200 no more"):
        found(shelf, {"prompt": "Hi"})
    with pytest.raises(NoMatch, match="nothing was recorded"):
        found(shelf, {"prompt": "Ho"})


def test_true_is_not_one() -> None:
    with pytest.raises(NoMatch, match="which differs in its headers or its query"):
        found(library(a_recording(b'{"a":1}')), {"a": True})


def test_differences_are_pointers() -> None:
    one = {"a": [1, {"b": 2}], "c": "x", "d": None}
    other = {"a": [1, {"b": 3}, 4], "c": "x", "e": 5}

    assert list(differences(one, other)) == ["#/a/1/b", "#/a/2", "#/e"]
