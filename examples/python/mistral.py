"""Ask Mistral 7B on Amazon Bedrock, for a whole answer or a stream."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from botocore.client import BaseClient
from botocore.eventstream import ParserError
from botocore.exceptions import EventStreamError
from urllib3.exceptions import HTTPError, ReadTimeoutError

MODEL = "mistral.mistral-7b-instruct-v0:2"
PAUSES = (1.0, 2.0)  # seconds between one attempt at a stream and the next

# Exceptions inside a stream that are worth another attempt.
PASSING = {
    "internalServerException",
    "modelStreamErrorException",
    "modelTimeoutException",
    "serviceUnavailableException",
    "throttlingException",
}


class Interrupted(Exception):
    """A stream that ended before its answer, for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    stop_reason: str  # "stop", or "length" at max_tokens


@dataclass(frozen=True, slots=True)
class Mistral:
    """A client that also retries inside a stream; boto3 retries only before the first byte."""

    client: BaseClient
    max_tokens: int

    def answer(self, prompt: str) -> Answer:
        response = self.client.invoke_model(modelId=MODEL, body=self._body(prompt))
        with closing(response["body"]) as body:
            [output] = json.load(body)["outputs"]
        return Answer(output["text"].strip(), output["stop_reason"])

    def stream(
        self, prompt: str, show: Callable[[str], None], begin_again: Callable[[str], None]
    ) -> Answer:
        """Stream an answer: pass each piece of text to `show` as it arrives.

        If the stream is interrupted, call `begin_again` with the reason and start again.
        Raises `Interrupted` if the last attempt is interrupted, too.
        """
        for pause in PAUSES:
            try:
                return self._attempt(prompt, show)
            except Interrupted as reason:
                begin_again(str(reason))
            time.sleep(pause)
        return self._attempt(prompt, show)

    def _attempt(self, prompt: str, show: Callable[[str], None]) -> Answer:
        text, stop_reason = "", None
        for output in self._outputs(prompt):
            piece = output["text"] if text else output["text"].lstrip()
            stop_reason = output["stop_reason"]
            text += piece
            show(piece)
        if stop_reason is None:
            raise Interrupted("The answer has no end")
        return Answer(text.strip(), stop_reason)

    def _outputs(self, prompt: str) -> Iterator[dict[str, str]]:
        response = self.client.invoke_model_with_response_stream(
            modelId=MODEL, body=self._body(prompt)
        )
        with closing(response["body"]) as events:
            try:
                for event in events:
                    yield json.loads(event["chunk"]["bytes"])["outputs"][0]
            except EventStreamError as error:
                if error.response["Error"]["Code"] not in PASSING:
                    raise
                raise Interrupted(error.response["Error"]["Message"].rstrip(".")) from error
            except ReadTimeoutError as error:
                raise Interrupted("Bedrock fell silent") from error
            except (HTTPError, ParserError) as error:
                raise Interrupted("The connection broke") from error

    def _body(self, prompt: str) -> str:
        return json.dumps({"prompt": prompt, "max_tokens": self.max_tokens, "temperature": 0})


def to_prompt(instruction: str, text: str) -> str:
    return f"<s>[INST] {instruction}\n\n{text} [/INST]"
