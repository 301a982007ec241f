"""Encoding and parsing of OpenAI's `/v1/completions`: bodies, stream events and errors."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from engine.errors import (
    EngineBusy,
    EngineDead,
    EngineError,
    EngineTimeout,
    PromptTooLong,
    RequestRefused,
    SchemaRefused,
)
from engine.protocol import FINISHES, Finish, GenerationRequest, Row
from engine.vllm.requests import ending_tokens
from engine.vllm.structured_outputs import StructuredOutput

DONE = b"[DONE]"
REFUSALS = {400, 413, 422}
UNAVAILABLE = {502, 503, 504}  # of a server or its load balancer: a retry may succeed
ERRORS: dict[int, type[EngineError]] = {
    408: EngineTimeout,
    429: EngineBusy,
    503: EngineBusy,
    504: EngineTimeout,
}
MAX_QUOTED_CHARACTERS = 500  # of a server's message in our errors
# vLLM's first event has all ids of the prompt: 8 bytes for each of a million tokens.
MAX_EVENT_BYTES = 16 * 1024**2
MAX_TOKEN_ID = 2**31  # no vocabulary is as large


class Step(NamedTuple):
    """One event of a stream: text, and token ids if the request asked for them.

    `rows` has one row for each token, if the request asked for log probabilities.
    """

    tokens: Sequence[int]
    text: str
    finish: Finish | None
    rows: Sequence[Row] = ()


class ServerUnavailable(Exception):
    """The server did not answer completely; a retry may succeed. `error` is raised otherwise.

    `is_lost` tells that the connection failed, or that a probe found the server down. It is false
    if the server is only slow.
    """

    def __init__(self, error: EngineError, *, is_lost: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_lost = is_lost


class ServerUnusable(Exception):
    """The server answers, but can't serve the model; the message says why."""


def refuse_without_ids(request: GenerationRequest) -> None:
    """Raise `EngineError`s for what a server that takes and gives text only can't do."""
    by_ids = (request.stop_tokens, request.allowed_tokens, request.ignores_eos, request.min_tokens)
    of_vllm = (request.bad_words, request.repetition, request.cache_salt)
    refusals: tuple[tuple[bool, type[EngineError], str], ...] = (
        (bool(request.must_call), SchemaRefused, "be held to calls of tools"),
        (request.is_constrained, SchemaRefused, "hold an answer to a schema"),
        (request.top_logprobs is not None, RequestRefused, "tell log probabilities"),
        (any(by_ids), RequestRefused, "be told of token ids"),
        (any(of_vllm), RequestRefused, "be told of bad words, repetitions or a cache's salt"),
    )
    for is_asked, error, what in refusals:
        if is_asked:
            raise error(f"The model can't {what} where it runs.")


def encode_body(
    request: GenerationRequest,
    *,
    model: str,
    prompt: str | Sequence[int],
    eos: int | None,
    structured: StructuredOutput | None = None,
) -> bytes:
    """Encode a request for a stream, and for token ids if `eos` is given.

    The detokenizer finds characters and stop strings here, and only `eos` and the request's stop
    tokens end a text, as in `VllmEngine`. `structured` constrains the answer; it is one of
    `to_structured_outputs`.
    """
    greedy = request.temperature == 0 or request.top_p == 0  # vLLM refuses top_p 0
    # All sampling parameters are sent because servers have defaults of their own: vLLM those of
    # generation_config.json, llama.cpp a min_p of 0.05.
    body: dict[str, Any] = {
        "model": model,
        "prompt": prompt,
        "stream": True,
        "max_tokens": request.max_tokens,
        "temperature": 0.0 if greedy else request.temperature,
        "top_p": 1.0 if greedy else request.top_p,
        "top_k": request.top_k,
        "presence_penalty": request.presence_penalty,
        "frequency_penalty": request.frequency_penalty,
        "min_p": request.min_p,
        "repetition_penalty": request.repetition_penalty,
    }
    if request.seed is not None:
        body["seed"] = request.seed
    if request.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in request.logit_bias.items()}
    if request.top_logprobs is not None:
        body["logprobs"] = request.top_logprobs
        body["return_tokens_as_token_ids"] = True
    if eos is not None:
        body["return_token_ids"] = True
        body["ignore_eos"] = True
        body["stop_token_ids"] = ending_tokens(request, eos)
        body["skip_special_tokens"] = False
        body["min_tokens"] = request.min_tokens
        body["allowed_token_ids"] = list(request.allowed_tokens) or None
        body |= _of_vllm(request)
    if structured:
        body["structured_outputs"] = structured
    return orjson.dumps(body)


def _of_vllm(request: GenerationRequest) -> dict[str, Any]:
    """Return the members that only vLLM's server knows, if the request needs them."""
    members: dict[str, Any] = {}
    if request.bad_words:
        members["bad_words"] = request.bad_words
    if request.cache_salt is not None:
        members["cache_salt"] = request.cache_salt
    if repetition := request.repetition:
        members["repetition_detection"] = {
            "max_pattern_size": repetition.most,
            "min_pattern_size": repetition.least,
            "min_count": repetition.times,
        }
    return members


class EventLines:
    """An incremental parser of server-sent events; each event is one line of JSON here."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of an incomplete line
        self._size = 0

    def push(self, data: bytes) -> list[bytes]:
        """Return the data of the lines that are complete now, except for [DONE].

        Raises `EngineDead` for a line of more than `MAX_EVENT_BYTES`.
        """
        first, *more = data.split(b"\n")
        self._append(first)
        if not more:
            return []
        lines = [b"".join(self._parts), *more[:-1]]
        self._parts, self._size = [], 0
        self._append(more[-1])
        found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
        return [line for line in found if line != DONE]

    def _append(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_EVENT_BYTES:
            raise EngineDead(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        self._parts.append(part)


def parse_event(data: bytes, request: GenerationRequest) -> Step:
    """Parse one event. Raises `ServerUnavailable` and `EngineError`s.

    vLLM sends errors as events once it has answered with status 200.
    """
    try:
        event = orjson.loads(data)
        if error := event.get("error"):
            raise to_error(_to_status(error), data, request)
        [choice] = event.get("choices") or [{}]  # an event with usage has no choices
        tokens = _check_ids(choice.get("token_ids") or ())
        text = _check_text(choice.get("text"))
        finish = _check_text(choice.get("finish_reason"))
        rows = () if request.top_logprobs is None else _to_rows(choice.get("logprobs"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EngineDead(f"invalid event of a completion: {_shortened(data)}") from error
    if finish and finish not in FINISHES:
        raise EngineDead(f"the completion ended with {_shortened(finish)!r}")
    return Step(tokens, text, FINISHES.get(finish), rows)


def _to_status(error: Any) -> int:  # noqa: ANN401 - any JSON
    """Return the status of an error event. `error` may be any JSON."""
    status = error.get("code") if isinstance(error, dict) else None
    return status if type(status) is int else 500


def _check_ids(tokens: Any) -> Sequence[int]:  # noqa: ANN401 - any JSON
    """Return the token ids. Raises `TypeError`, also for -1 and true, which are indexes, too."""
    if not isinstance(tokens, list | tuple):
        raise TypeError("token ids are not a list")
    for token in tokens:
        if type(token) is not int or not 0 <= token < MAX_TOKEN_ID:
            raise TypeError("a token id is out of range")
    return tokens


def _to_rows(told: Any) -> list[Row]:  # noqa: ANN401 - any JSON
    """Return the log probabilities of an event's tokens.

    Raises `KeyError`, `TypeError`, `ValueError`.
    """
    if not told:
        return []
    columns = zip(told["tokens"], told["token_logprobs"], told["top_logprobs"], strict=True)
    rows: list[Row] = []
    for token, logprob, top in columns:
        others = sorted((top or {}).items(), key=lambda pair: -pair[1])
        pairs = [(token, logprob), *others]
        rows.append([(_to_id(name), float(number)) for name, number in pairs])
    return rows


def _to_id(name: str) -> int:
    """Return the id that vLLM writes as `token_id:7`. Raises `TypeError`, `ValueError`."""
    [token] = _check_ids([int(name.removeprefix("token_id:"))])
    return token


def _check_text(text: Any) -> str:  # noqa: ANN401 - any JSON
    if text is not None and not isinstance(text, str):
        raise TypeError("a text is not a string")
    return text or ""


def to_error(status: int, raw: bytes, request: GenerationRequest) -> Exception:
    """Return the error for an answer: an `EngineError`, or `ServerUnavailable` with one."""
    said = _parse_error(raw)
    message = said.get("message")
    message = _shortened(message if isinstance(message, str) and message else raw)
    if status not in REFUSALS:
        error = ERRORS.get(status, EngineDead)(f"it answered {status}: {message}")
        return ServerUnavailable(error) if status in UNAVAILABLE else error
    # llama.cpp tells its context length here; vLLM tells it to a probe.
    if window := _to_window(said.get("n_ctx")):
        return PromptTooLong(window, request.max_tokens)
    return SchemaRefused(message) if request.is_constrained else RequestRefused(message)


def _parse_error(raw: bytes) -> dict[str, Any]:
    """Return the error object of an OpenAI error body, or an empty one."""
    try:
        document = orjson.loads(raw)
    except ValueError:
        return {}
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _shortened(words: str | bytes) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return " ".join(text[:MAX_QUOTED_CHARACTERS].split()) or "nothing"


def find_window(raw: bytes, model: str) -> int | None:
    """Return the model's context length from an answer of `/v1/models`; only vLLM tells it.

    Raises `ServerUnusable` if the model is missing, with the names of the models that are there.
    """
    try:
        entries = {entry["id"]: entry for entry in orjson.loads(raw)["data"] or ()}
    except (KeyError, TypeError, ValueError) as error:
        raise ServerUnusable(f"its /v1/models has no list of models: {_shortened(raw)}") from error
    entry = entries.get(model) or entries.get(f"{model}:latest")  # Ollama takes both names
    if entry is None:
        names = ", ".join(map(repr, entries)) or "none"
        raise ServerUnusable(f"it has no model {model!r}; it has {names}")
    return _to_window(entry.get("max_model_len"))


def _to_window(told: Any) -> int | None:  # noqa: ANN401 - any JSON
    """Return a positive number of tokens, or None for any other JSON."""
    return told if type(told) is int and told > 0 else None
