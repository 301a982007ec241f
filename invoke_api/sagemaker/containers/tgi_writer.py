"""TGI's answers: one document, or a stream of events. Pure.

Source: router/src/{lib,server,infer/mod}.rs of huggingface/text-generation-inference, tags v1.1.0
and v3.3.7. Guess: LMI's details, but for their names.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from engine.protocol import Delta, Finish, Logprobs, Row, TokenLogprob
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.chat_answers import bounded_logprob, decoded
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.pipeline.model_request import ChoicesWriter
from invoke_api.sagemaker.containers.kinds import Container
from invoke_api.sagemaker.containers.tgi_body import TgiRequest
from invoke_api.sagemaker.containers.tgi_generation import wants_details

Document = dict[str, Any]
EOS_TEXT = "</s>"


@dataclass(slots=True, kw_only=True)
class Generated:
    """One sequence of tokens that the engine has made. `seed` is the one that it was drawn with."""

    text: str = ""
    finish: Finish = "stop"
    tokens: int = 0
    logprobs: list[Logprobs] = field(default_factory=list)
    prompt: Sequence[Row] = ()
    seed: int | None = None

    @property
    def mean_logprob(self) -> float:
        values = [each.chosen.logprob for each in self.logprobs]
        return sum(values) / len(values) if values else 0.0


def end_reason(finish: Finish, *, is_eos: bool) -> str:
    """Return TGI's reason why a text has ended. Its last token may be the EOS."""
    if finish == "length":
        return "length"
    return "eos_token" if is_eos else "stop_sequence"


class TgiWriter:
    """A writer of the answer that is made from one sequence.

    `prompt` are the tokens of the prompt. They are filled in once it has been tokenised: the writer
    is made before.
    """

    def __init__(
        self,
        asked: TgiRequest,
        container: Container,
        tokenizer: Tokenizer,
        seeds: Sequence[int],
        prompt: Sequence[int],
    ) -> None:
        self._asked = asked
        self._container = container
        self._tokenizer = tokenizer
        self._seeds = seeds
        self._prompt = prompt
        self._texts: list[str] = []

    def native(self, text: str, finish: Finish) -> bytes:
        return self._write(Generated(text=text, finish=finish))

    def whole(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics,
        logprobs: Sequence[Logprobs] | None,
    ) -> bytes:
        made = Generated(
            text=text,
            finish=finish,
            tokens=metrics.output_tokens,
            logprobs=[*(logprobs or ())],
            seed=self._seed(0),
        )
        return self._write(made)

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        return b"".join(self._event(delta, metrics) for delta in deltas)

    def _write(self, best: Generated, others: Sequence[Generated] = ()) -> bytes:
        """Return the answer with the best sequence, and the others in its details."""
        answer: Document = {"generated_text": self._full(best.text)}
        if wants_details(self._asked):
            answer["details"] = self._details(best)
            if others:
                answer["details"]["best_of_sequences"] = [
                    {"generated_text": self._full(each.text), **self._details(each)}
                    for each in others
                ]
        return orjson.dumps([answer] if self._container.lists else answer)

    def _details(self, made: Generated) -> Document:
        last = made.logprobs[-1].chosen.id if made.logprobs else self._tokenizer.eos
        details: Document = {
            "finish_reason": self._reason(made.finish, last),
            "generated_tokens": made.tokens,
            "seed": made.seed,
        }
        if self._container.tells_inputs:
            details["inputs"] = self._asked.inputs
        details["prefill"] = self._prefill(made.prompt)
        details["tokens"] = [self._token(each.chosen) for each in made.logprobs]
        if self._asked.parameters.get("top_n_tokens"):
            tops = [list(map(self._token, each.likeliest)) for each in made.logprobs]
            details["top_tokens"] = tops
        return details

    def _prefill(self, rows: Sequence[Row]) -> list[Document]:
        """Return the tokens of the prompt. Nothing comes before the first one."""
        if not self._asked.parameters["decoder_input_details"]:
            return []
        values = [None, *(bounded_logprob(row[0][1]) for row in rows)]
        return [
            {"id": token, "text": self._name(token), self._container.logprob: value}
            for token, value in zip(self._prompt, values, strict=True)
        ]

    def _name(self, token: int) -> str:
        """Return the text that a token has alone, as Hugging Face's tokenizer decodes it."""
        piece = self._tokenizer.pieces[token]
        if not piece:
            return self._tokenizer.to_prompt((self._tokenizer.bos, token))
        text = piece.decode(errors="replace")
        return text.removeprefix(" ") if self._tokenizer.is_spaced else text

    def _event(self, delta: Delta, metrics: InvocationMetrics | None) -> bytes:
        """Return the event of one token. The last one has the whole text."""
        self._texts.append(delta.text)
        eos = TokenLogprob(b"", 0.0, self._tokenizer.eos)
        chosen = delta.logprobs.chosen if delta.logprobs else eos
        token = self._token(chosen)
        token["text"] = delta.text or token["text"] * token.get("special", False)
        counts = {"index": len(self._texts)} if self._container.counts else {}
        event: Document = {**counts, "token": token}
        if self._asked.parameters.get("top_n_tokens") and delta.logprobs:
            event["top_tokens"] = list(map(self._token, delta.logprobs.likeliest))
        is_last = delta.finish is not None
        if is_last or self._container.lists:  # LMI leaves both out before the last token
            event["generated_text"] = self._full("".join(self._texts)) if is_last else None
            event["details"] = None
        if delta.finish and metrics and self._asked.parameters["details"]:
            event["details"] = self._stream_details(delta.finish, chosen.id, metrics)
        return self._container.begin + orjson.dumps(event) + self._container.end

    def _stream_details(self, finish: Finish, last: int, metrics: InvocationMetrics) -> Document:
        details: Document = {
            "finish_reason": self._reason(finish, last),
            "generated_tokens": metrics.output_tokens,
            "seed": self._seed(0),
        }
        if self._container.counts:
            details["input_length"] = metrics.input_tokens
        if self._container.tells_inputs:
            details["inputs"] = self._asked.inputs
        return details

    def _seed(self, number: int) -> int | None:
        return self._seeds[number] if self._seeds else None

    def _full(self, text: str) -> str:
        return self._asked.inputs + text if self._asked.parameters["return_full_text"] else text

    def _reason(self, finish: Finish, last: int) -> str:
        return end_reason(finish, is_eos=last == self._tokenizer.eos)

    def _token(self, token: TokenLogprob) -> Document:
        is_special = token.id == self._tokenizer.eos
        document = {
            "id": token.id,
            "text": EOS_TEXT if is_special else decoded(token),
            self._container.logprob: bounded_logprob(token.logprob),
        }
        return {**document, "special": is_special} if self._container.lists else document


class TgiChoicesWriter(TgiWriter, ChoicesWriter):
    """A writer of the answer that is made from several sequences: the most likely one."""

    def choices(self, deltas: Sequence[Delta], metrics: InvocationMetrics) -> bytes:  # noqa: ARG002 - counts all sequences together
        made: dict[int, Generated] = {}
        for delta in deltas:
            part = delta.choice
            assert part, "each delta belongs to a sequence"
            one = made.setdefault(part.number, Generated(seed=self._seed(part.number)))
            one.text += delta.text
            one.prompt = delta.prompt_rows or one.prompt
            if delta.logprobs:
                one.logprobs.append(delta.logprobs)
            if part.finish and part.usage:
                one.finish, one.tokens = part.finish, part.usage.output_tokens
        ordered = [made[number] for number in sorted(made)]
        best = max(ordered, key=lambda each: each.mean_logprob)  # the first of equal ones
        return self._write(best, [each for each in ordered if each is not best])
