"""Answers of vLLM's `/v1/completions`: one document, or server-sent events. Pure.

Seen of vLLM 0.32; a test compares both servers.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import orjson

from engine.protocol import Delta, Logprobs, Row
from engine.tokenization.tokenizer import SPACE, Tokenizer
from invoke_api.dialects.chat_answers import bounded_logprob
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.openai.completions_prompts import CompletionPrompt
from invoke_api.pipeline.model_request import ChoicesWriter

DONE = b"data: [DONE]\n\n"
FIRST_PRINTABLE = 32
Document = dict[str, Any]
# Token ids and log probabilities: of a token, and of the likeliest ones in its place.
Scores = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """The members that a request asks for.

    `echoes` puts the prompt before the text; with `only_echoes` it is all that the client gets.
    `ids` adds token ids. `names_ids` writes tokens as `token_id:7`. `usage` adds a chunk with token
    counts to a stream, and `running_usage` adds them to each chunk. `per_prompt` is the number of
    choices of each prompt, and `alternatives` that of each token's alternatives in `logprobs`.
    `scores_prompt` adds the log probabilities of the prompt's tokens.
    """

    echoes: bool = False
    only_echoes: bool = False
    ids: bool = False
    names_ids: bool = False
    usage: bool = False
    running_usage: bool = False
    per_prompt: int = 1
    alternatives: int | None = None
    scores_prompt: bool = False


@dataclass(slots=True)
class ChoiceState:
    """The part of one choice that a stream has sent. `offset` counts characters of token names."""

    output_tokens: int = 0
    offset: int = 0


class CompletionsWriter(ChoicesWriter):
    """A writer of one answer.

    `head` has the members that all documents of the answer share. `prompts` are filled in once the
    request has been tokenised: the writer is made before.
    """

    def __init__(
        self,
        head: Mapping[str, Any],
        form: AnswerForm,
        prompts: Sequence[CompletionPrompt],
        tokenizer: Tokenizer,
    ) -> None:
        self._head = head
        self._form = form
        self._prompts = prompts
        self._tokenizer = tokenizer
        self._states: defaultdict[int, ChoiceState] = defaultdict(ChoiceState)

    def choices(self, deltas: Sequence[Delta], metrics: InvocationMetrics) -> bytes:
        by_number: dict[int, list[Delta]] = {}
        for delta in deltas:
            assert delta.choice, "each delta belongs to a choice"
            by_number.setdefault(delta.choice.number, []).append(delta)
        usage = {
            **_usage(metrics.input_tokens, metrics.output_tokens),
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        }
        document = {
            **self._head,
            "choices": [self._choice(number, by_number[number]) for number in sorted(by_number)],
            "service_tier": None,
            "system_fingerprint": None,
            "usage": usage,
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }
        return orjson.dumps(document)

    def _choice(self, number: int, deltas: Sequence[Delta]) -> Document:
        last = deltas[-1]
        assert last.choice, "each delta belongs to a choice"
        text = "" if self._form.only_echoes else "".join(delta.text for delta in deltas)
        return {
            "index": number,
            "text": self._echo(number) + text,
            "logprobs": self._logprobs(number, deltas, 0),
            "finish_reason": last.choice.finish,
            "stop_reason": last.stopped_by,
            "token_ids": _ids(deltas) if self._form.ids else None,
            "prompt_logprobs": self._prompt_logprobs(deltas[0].prompt_rows),
            "prompt_token_ids": self._prompt(number).tokens if self._form.ids else None,
            "routed_experts": None,
        }

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        chunks = [self._chunk(delta) for delta in deltas]
        if metrics and self._form.usage:
            usage = {"usage": _usage(metrics.input_tokens, metrics.output_tokens)}
            chunks.append(_event({**self._head, "choices": [], **usage}))
        return b"".join([*chunks, DONE] if metrics else chunks)

    def _chunk(self, delta: Delta) -> bytes:
        part = delta.choice
        assert part, "each delta belongs to a choice"
        state, form, prompt = self._states[part.number], self._form, self._prompt(part.number)
        is_first = state.output_tokens == 0
        logprobs = self._logprobs(part.number, [delta], state.offset)
        if logprobs:
            state.offset += sum(map(len, logprobs["tokens"]))
        state.output_tokens += part.token is not None
        echo = self._echo(part.number) if is_first else ""
        choice = {
            "index": part.number,
            "text": echo + ("" if form.only_echoes else delta.text),
            "logprobs": logprobs,
            "finish_reason": part.finish,
            "stop_reason": delta.stopped_by,
            "prompt_token_ids": prompt.tokens if is_first and (form.ids or form.echoes) else None,
            "token_ids": _ids([delta]) if form.ids else None,
        }
        running = {"usage": _usage(len(prompt.tokens), state.output_tokens)}
        more = running if form.running_usage else {}
        return _event({**self._head, "choices": [choice], **more})

    def _prompt(self, number: int) -> CompletionPrompt:
        return self._prompts[number // self._form.per_prompt]

    def _echo(self, number: int) -> str:
        """Return the prompt's text, if it is asked for without its ids, as vLLM has it."""
        if not self._form.echoes or self._form.ids:
            return ""
        prompt = self._prompt(number)
        return prompt.text or "".join(self._name(token) for token in prompt.tokens)

    def _logprobs(self, number: int, deltas: Sequence[Delta], offset: int) -> Document | None:
        """Return the log probabilities of these deltas, after the prompt's if they are echoed."""
        found = [delta.logprobs for delta in deltas if delta.logprobs]
        if not found:
            return None
        told: list[Scores] = [] if self._form.only_echoes else list(map(_scores, found))
        if self._form.echoes:
            told = [[score[:2] for score in row] for row in deltas[0].prompt_rows] + told
        tokens = [self._name(chosen) for (chosen, _), *_ in told]
        values: list[float | None] = [bounded_logprob(value) for (_, value), *_ in told]
        likeliest: list[dict[str, float] | None] = list(map(self._top, told))
        if self._form.echoes and not self._states[number].output_tokens:
            # Nothing comes before the first token of a prompt.
            tokens.insert(0, self._name(self._prompt(number).tokens[0]))
            values.insert(0, None)
            likeliest.insert(0, None)
        return {
            "text_offset": [*accumulate(map(len, tokens[:-1]), initial=offset)],
            "token_logprobs": values,
            "tokens": tokens,
            "top_logprobs": likeliest,
        }

    def _top(self, scores: Scores) -> dict[str, float]:
        """Return a token and its alternatives, as many as the request asks for."""
        most = 1 + (self._form.alternatives or 0)
        best = list(dict(scores).items())[:most]
        return {self._name(token): bounded_logprob(value) for token, value in best}

    def _prompt_logprobs(self, rows: Sequence[Row]) -> list[Document | None] | None:
        """Return the scores of the prompt's tokens. Nothing comes before the first one."""
        return [None, *map(self._prompt_scores, rows)] if self._form.scores_prompt else None

    def _prompt_scores(self, row: Row) -> Document:
        (chosen, value, *ranks), *likeliest = row
        scores = {chosen: (value, ranks[0])}
        scores |= {token: (other, at + 1) for at, (token, other, *_) in enumerate(likeliest)}
        return {
            str(token): {
                "logprob": bounded_logprob(other),
                "rank": at,
                "decoded_token": name_token(self._tokenizer, token),
            }
            for token, (other, at) in scores.items()
        }

    def _name(self, token: int) -> str:
        return f"token_id:{token}" if self._form.names_ids else name_token(self._tokenizer, token)


def _scores(told: Logprobs) -> Scores:
    return [(each.id, each.logprob) for each in (told.chosen, *told.likeliest)]


def name_token(tokenizer: Tokenizer, token: int) -> str:
    """Return a token as vLLM writes it, with Mistral's tokenizers: control tokens by their names.

    SentencePiece writes a space as U+2581, and a byte of a character as `<0xF0>`.
    """
    piece = tokenizer.pieces[token] if token < len(tokenizer.pieces) else b""
    if not piece:
        return tokenizer.to_prompt((tokenizer.bos, token)) if token < len(tokenizer.pieces) else ""
    if not tokenizer.is_spaced:
        return piece.decode(errors="replace")
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return f"<0x{piece[0]:02X}>"
    return f"<0x{piece[0]:02X}>" if piece[0] < FIRST_PRINTABLE else text.replace(" ", SPACE)


def _ids(deltas: Sequence[Delta]) -> list[int]:
    tokens = [delta.choice.token for delta in deltas if delta.choice]
    return [token for token in tokens if token is not None]


def _usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": input_tokens,
        "total_tokens": input_tokens + output_tokens,
        "completion_tokens": output_tokens,
    }


def _event(document: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"
