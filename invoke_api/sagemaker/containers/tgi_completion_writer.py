"""TGI 3's answers to completions: one document, or a stream of events. Pure.

Source: router/src/{lib,server}.rs of huggingface/text-generation-inference v3.3.7.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.protocol import ChoicePart, Delta, Finish
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.pipeline.model_request import ChoicesWriter
from invoke_api.sagemaker.containers.tgi_chat_writer import DONE, FINGERPRINT
from invoke_api.sagemaker.containers.tgi_writer import EOS_TEXT, end_reason

Document = dict[str, Any]


class TgiCompletionWriter(ChoicesWriter):
    """A writer of the answer of the model `name`, which has a choice for each prompt.

    `eos` is the id of the token that ends a text.
    """

    def __init__(self, name: str, created: int, eos: int) -> None:
        self._name = name
        self._created = created
        self._eos = eos

    def choices(self, deltas: Sequence[Delta], metrics: InvocationMetrics) -> bytes:
        texts: dict[int, str] = {}
        reasons: dict[int, str] = {}
        for delta in deltas:
            part = delta.choice
            assert part, "each delta belongs to a choice"
            texts[part.number] = texts.get(part.number, "") + delta.text
            if part.finish:
                reason = self._reason(part, part.finish)
                reasons[part.number] = "stop" if reason == "eos_token" else reason
        choices = [_choice(number, texts[number], reasons[number]) for number in sorted(texts)]
        return self._final(choices, metrics.input_tokens, metrics.output_tokens)

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        events = b"".join(b"data: " + self._event(delta) + b"\n\n" for delta in deltas)
        return events + DONE if metrics else events

    def _event(self, delta: Delta) -> bytes:
        """Return the event of one token. A choice's last one has the number of its tokens."""
        part = delta.choice
        assert part, "each delta belongs to a choice"
        text = delta.text + EOS_TEXT * (part.token == self._eos)
        if part.finish and part.usage:
            choice = _choice(part.number, text, self._reason(part, part.finish))
            return self._final([choice], part.usage.input_tokens, part.usage.output_tokens)
        return _dump(
            {
                "id": "",
                "created": self._created,
                "choices": [_choice(part.number, text, "")],
                "model": self._name,
                "system_fingerprint": FINGERPRINT,
            }
        )

    def _final(self, choices: Sequence[Document], prompt: int, completion: int) -> bytes:
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        return _dump(
            {
                "id": "",
                "created": self._created,
                "model": self._name,
                "system_fingerprint": FINGERPRINT,
                "choices": choices,
                "usage": usage,
            }
        )

    def _reason(self, part: ChoicePart, finish: Finish) -> str:
        ended = part.token is None or part.token == self._eos
        return end_reason(finish, is_eos=ended)


def _choice(number: int, text: str, reason: str) -> Document:
    return {"index": number, "text": text, "logprobs": None, "finish_reason": reason}


def _dump(document: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"object": "text_completion", **document})
