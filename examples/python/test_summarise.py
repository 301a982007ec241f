"""Test the summariser against a Bedrock that answers, throttles, breaks or hangs on request."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from invoke_api.testing import Bedrock, Break, ExceptionName
from summarise import main, split

NORTH = "The north is cold, and it rains there for most of the year."
SOUTH = "The south is warm, and it is dry there for most of the year."
SUMMARY = " The north is wet and the south is dry."
SHOWN = "The north is wet and the south is dry.\n"

Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on a text of two paragraphs. Return standard output and standard error."""
    path = tmp_path / "weather.txt"
    path.write_text(f"{NORTH}\n\n{SOUTH}\n")
    # Skip all pauses: ours between streams, and boto3's between its attempts.
    monkeypatch.setattr("time.sleep", lambda _: None)

    def run(*flags: str, terminal: bool = False) -> tuple[str, str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
        main([str(path), *flags])
        return capsys.readouterr()

    return run


def test_a_short_text_is_summarised_by_one_stream(bedrock: Bedrock, run: Run) -> None:
    bedrock.reply(SUMMARY)
    printed = run("--max-tokens", "50")
    [call] = bedrock.requests

    assert printed == (SHOWN, "")
    assert call["operation"] == "InvokeModelWithResponseStream"
    assert call["model_id"] == bedrock.model
    assert call["body"]["temperature"] == 0
    assert call["body"]["max_tokens"] == 50
    assert call["body"]["prompt"].startswith("<s>[INST] Summarise the following text")
    assert call["body"]["prompt"].endswith(f"{NORTH}\n\n{SOUTH} [/INST]")


def test_a_long_text_is_summarised_in_parts_first(bedrock: Bedrock, run: Run) -> None:
    bedrock.reply(" Wet.", prompt="north is cold")
    bedrock.reply(" Dry.", prompt="south is warm")
    bedrock.reply(SUMMARY, prompt="Wet.\n\nDry.")
    printed = run("--part", "80")

    assert printed == (SHOWN, "")
    assert [call["operation"] for call in bedrock.requests] == [
        "InvokeModel",
        "InvokeModel",
        "InvokeModelWithResponseStream",
    ]


def test_a_text_is_cut_between_paragraphs_or_else_between_words() -> None:
    assert split("one two\n\nthree\n\nfour five six", 14) == ["one two\n\nthree", "four five six"]
    assert split("one two three four", 9) == ["one two", "three", "four"]


def test_a_throttled_call_is_made_again(bedrock: Bedrock, run: Run) -> None:
    bedrock.reply(SUMMARY)
    bedrock.fail("ThrottlingException", times=2)
    printed = run()

    assert printed == (SHOWN, "")
    assert [call["status"] for call in bedrock.requests] == [429, 429, 200]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("ThrottlingException", "Too many requests, please wait before trying again"),
        ("ServiceUnavailableException", "Bedrock is unable to process your request"),
        ("ModelStreamErrorException", "The system encountered an unexpected error"),
        ("cut", "The connection broke"),
        ("torn_frame", "The connection broke"),
        ("hang", "Bedrock fell silent"),
    ],
)
def test_a_person_is_told_when_a_stream_begins_again(
    bedrock: Bedrock, run: Run, fault: ExceptionName | Break, reason: str
) -> None:
    bedrock.reply(SUMMARY)
    bedrock.fail(fault, reply=SUMMARY, after_tokens=3, times=1)
    printed, noted = run("--timeout", "0.2", terminal=True)

    assert printed == f"The north is\n{SHOWN}"
    assert noted.startswith(f"summarise: {reason}")
    assert noted.endswith(". Beginning again.\n")


def test_a_file_gets_the_whole_summary_only(bedrock: Bedrock, run: Run) -> None:
    bedrock.reply(SUMMARY)
    bedrock.fail("cut", reply=SUMMARY, after_tokens=3, times=1)
    printed, _ = run()

    assert printed == SHOWN


def test_three_interrupted_streams_are_enough(
    bedrock: Bedrock, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    bedrock.fail("cut", reply=SUMMARY, after_tokens=3)
    with pytest.raises(SystemExit, match=r"The connection broke, again and again\. Try later\."):
        run(terminal=True)

    assert capsys.readouterr().out == "The north is\n" * 3
    assert [call["ended"] for call in bedrock.requests] == ["cut"] * 3


def test_an_error_that_will_not_pass_ends_it_at_once(bedrock: Bedrock, run: Run) -> None:
    bedrock.fail("ValidationException", after_tokens=3)
    with pytest.raises(SystemExit, match=r"\(validationException\)"):
        run()

    assert len(bedrock.requests) == 1


def test_a_bedrock_that_does_not_answer_is_a_sentence(
    bedrock: Bedrock, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    bedrock.reply(SUMMARY, pace={"first_token": 5})
    with pytest.raises(SystemExit, match="Read timeout on endpoint URL"):
        run("--timeout", "0.2")

    assert len(bedrock.requests) == 1


def test_who_has_no_access_is_told_what_to_ask_for(bedrock: Bedrock, run: Run) -> None:
    bedrock.rule(state="access-denied")
    with pytest.raises(SystemExit, match=r"\(AccessDeniedException\) Ask for access to mistral"):
        run()

    assert len(bedrock.requests) == 1


def test_a_summary_that_is_cut_is_said_to_be(bedrock: Bedrock, run: Run) -> None:
    bedrock.reply(SUMMARY)
    printed, noted = run("--max-tokens", "4")

    assert printed == "The north is wet\n"
    assert noted == "summarise: The summary was cut at 4 tokens; --max-tokens allows more.\n"
