"""Summarises a text with Mistral 7B on Amazon Bedrock: `python summarise.py FILE`."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from textwrap import wrap

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mistral import MODEL, Answer, Interrupted, Mistral, to_prompt

WHOLE = "Summarise the following text in a few sentences."
PART = "Summarise the following part of a longer text in a few sentences."
PARTS = "These are summaries of the parts of one text. Make one summary of a few sentences of them."

# What to do about errors that the user can do something about.
ADVICE = {
    "AccessDeniedException": f"Ask for access to {MODEL}, and for leave to bedrock:InvokeModel.",
    "ExpiredTokenException": "Sign in again.",
    "ThrottlingException": "Wait a minute, or ask for a higher quota.",
}


class Screen:
    """Shows a text as it comes on a terminal; a file or a pipe gets it once it is whole."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._within_line = False

    def show(self, piece: str) -> None:
        if self._live:
            print(piece, end="", flush=True)
            self._within_line = True

    def end_line(self) -> None:
        if self._within_line:
            print(flush=True)
            self._within_line = False

    def begin_again(self, reason: str) -> None:
        self.end_line()
        note(f"{reason}. Beginning again.")

    def finish(self, text: str) -> None:
        self.end_line()
        if not self._live:
            print(text)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        text = options.file.read_text() if options.file else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"summarise: can't read {options.file}: {error}")
    if not text.strip():
        sys.exit("summarise: there is nothing to summarise")
    # How often boto3 tries is for AWS_MAX_ATTEMPTS to say.
    config = Config(retries={"mode": "standard"}, read_timeout=options.timeout)
    screen = Screen()
    try:
        with closing(boto3.client("bedrock-runtime", config=config)) as client:
            summarise(split(text, options.part), Mistral(client, options.max_tokens), screen)
    except (BotoCoreError, ClientError, Interrupted) as error:
        screen.end_line()
        sys.exit(f"summarise: {explain(error)}")
    except KeyboardInterrupt:
        screen.end_line()
        sys.exit(130)  # as shells have it


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="the text; standard input without it")
    parser.add_argument("--part", type=int, default=12_000, help="characters that are read at once")
    parser.add_argument("--max-tokens", type=int, default=400, help="the longest summary")
    parser.add_argument("--timeout", type=float, default=60, help="seconds to wait for an answer")
    return parser.parse_args(arguments)


def summarise(parts: Sequence[str], mistral: Mistral, screen: Screen) -> None:
    instruction, text = WHOLE, parts[0]
    if len(parts) > 1:
        answers = [mistral.answer(to_prompt(PART, part)) for part in parts]
        for number, answer in enumerate(answers, 1):
            note_cut(answer, f"The summary of part {number} of {len(parts)}", mistral)
        instruction, text = PARTS, "\n\n".join(answer.text for answer in answers)
    answer = mistral.stream(to_prompt(instruction, text), screen.show, screen.begin_again)
    screen.finish(answer.text)
    note_cut(answer, "The summary", mistral)


def split(text: str, size: int) -> list[str]:
    """Parts of at most so many characters, cut between paragraphs or else between words."""
    parts: list[str] = []
    for paragraph in text.split("\n\n"):
        for piece in wrap(paragraph, size, replace_whitespace=False):
            if parts and len(parts[-1]) + 2 + len(piece) <= size:
                parts[-1] += f"\n\n{piece}"
            else:
                parts.append(piece)
    return parts


def note_cut(answer: Answer, what: str, mistral: Mistral) -> None:
    if answer.stop_reason == "length":
        note(f"{what} was cut at {mistral.max_tokens} tokens; --max-tokens allows more.")


def note(sentence: str) -> None:
    """Beside the summary, so that a file or a pipe does not get it."""
    print(f"summarise: {sentence}", file=sys.stderr)


def explain(error: Exception) -> str:
    if isinstance(error, Interrupted):
        return f"{error}, again and again. Try later."
    if isinstance(error, ClientError):
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        return f"{message} ({code}) {ADVICE.get(code, '')}".rstrip()
    return str(error)


if __name__ == "__main__":
    main()
