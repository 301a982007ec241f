"""Summarise a text with Mistral 7B on Amazon Bedrock: `python summarise.py FILE`."""

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

# Advice for errors that the user can fix.
ADVICE = {
    "AccessDeniedException": f"Ask for access to {MODEL}, and for leave to bedrock:InvokeModel.",
    "ExpiredTokenException": "Sign in again.",
    "ThrottlingException": "Wait a minute, or ask for a higher quota.",
}


class Screen:
    """The output: a terminal shows the text as it arrives, a file or pipe gets it complete."""

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
    # AWS_MAX_ATTEMPTS sets how often boto3 tries.
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
    parser.add_argument("file", type=Path, nargs="?", help="the text; by default standard input")
    parser.add_argument("--part", type=int, default=12_000, help="characters of one part")
    parser.add_argument("--max-tokens", type=int, default=400, help="maximum length of the summary")
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
    """Split a text into parts of at most `size` characters, between paragraphs or else words."""
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
    """Print to standard error, so that a file or pipe gets only the summary."""
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
