"""TGI's answers: one document, or a stream of events. Pure.

Source: router/src/lib.rs of huggingface/text-generation-inference v1.1.0. Guess: LMI's details.
"""

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from engine.protocol import Delta, Finish, Logprobs, TokenLogprob
from invoke_api.dialects.chat_answers import bounded_logprob, decoded
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.sagemaker.containers import Container
from invoke_api.sagemaker.tgi_body import TgiRequest

Document = dict[str, Any]
EOS_TEXT = "</s>"


class TgiWriter:
    """A writer of one answer. `eos` is the id of the token that ends a text.

    `enclose` makes the bytes of a stream's next part. Without `asked.stream`, the only part is the
    whole answer.
    """

    def __init__(
        self,
        asked: TgiRequest,
        container: Container,
        eos: int,
        seed: int | None,
        enclose: Callable[[bytes], bytes],
    ) -> None:
        self._asked = asked
        self._container = container
        self._eos = eos
        self._seed = seed
        self._enclose = enclose
        self._texts: list[str] = []
        self._logprobs: list[Logprobs] = []

    def native(self, text: str, finish: Finish) -> bytes:
        return self._document(text, finish, None, [])

    def whole(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics,
        logprobs: Sequence[Logprobs] | None,
    ) -> bytes:
        return self._document(text, finish, metrics, logprobs or [])

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        if self._asked.stream:
            return self._enclose(b"".join(self._event(delta, metrics) for delta in deltas))
        self._texts += [delta.text for delta in deltas]
        self._logprobs += [delta.logprobs for delta in deltas if delta.logprobs]
        finish = deltas[-1].finish
        if finish is None:
            return b""
        text = "".join(self._texts)
        return self._enclose(self._document(text, finish, metrics, self._logprobs))

    def _document(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics | None,
        logprobs: Sequence[Logprobs],
    ) -> bytes:
        answer: Document = {"generated_text": self._full(text)}
        if self._asked.parameters["details"] and metrics:
            last = logprobs[-1].chosen.id if logprobs else self._eos
            answer["details"] = {
                "finish_reason": self._reason(finish, last),
                "generated_tokens": metrics.output_tokens,
                "seed": self._seed,
                "prefill": [],
                "tokens": [self._token(each.chosen) for each in logprobs],
            }
            if self._asked.parameters["top_n_tokens"]:
                tops = [list(map(self._token, each.likeliest)) for each in logprobs]
                answer["details"]["top_tokens"] = tops
        return orjson.dumps([answer] if self._container.lists else answer)

    def _event(self, delta: Delta, metrics: InvocationMetrics | None) -> bytes:
        """Return the event of one token. The last one has the whole text."""
        self._texts.append(delta.text)
        chosen = delta.logprobs.chosen if delta.logprobs else TokenLogprob(b"", 0.0, self._eos)
        token = self._token(chosen)
        token["text"] = delta.text or token["text"] * token.get("special", False)
        event: Document = {"token": token}
        if self._asked.parameters["top_n_tokens"] and delta.logprobs:
            event["top_tokens"] = list(map(self._token, delta.logprobs.likeliest))
        is_last = delta.finish is not None
        if is_last or self._container.lists:  # LMI leaves both out before the last token
            event["generated_text"] = self._full("".join(self._texts)) if is_last else None
            event["details"] = None
        if delta.finish and metrics and self._asked.parameters["details"]:
            event["details"] = {
                "finish_reason": self._reason(delta.finish, chosen.id),
                "generated_tokens": metrics.output_tokens,
                "seed": self._seed,
            }
        return self._container.begin + orjson.dumps(event) + self._container.end

    def _full(self, text: str) -> str:
        return self._asked.inputs + text if self._asked.parameters["return_full_text"] else text

    def _reason(self, finish: Finish, last: int) -> str:
        if finish == "length":
            return "length"
        return "eos_token" if last == self._eos else "stop_sequence"

    def _token(self, token: TokenLogprob) -> Document:
        is_special = token.id == self._eos
        document = {
            "id": token.id,
            "text": EOS_TEXT if is_special else decoded(token),
            self._container.logprob: bounded_logprob(token.logprob),
        }
        return {**document, "special": is_special} if self._container.lists else document
