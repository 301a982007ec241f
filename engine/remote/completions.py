"""OpenAI's `/v1/completions` as bytes: what is asked, what is answered, what is refused."""

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
from engine.protocol import Finish, GenerationRequest, Row
from engine.vllm.structured_outputs import Held

DONE = b"[DONE]"
FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}
# Said because a server has defaults of its own: vLLM those of the weights' generation_config.json,
# llama.cpp a min_p of 0.05.
NEUTRAL = {
    "min_p": 0.0,
    "repetition_penalty": 1.0,
}
REFUSALS = {400, 413, 422}
GONE = {502, 503, 504}  # of a server or of the balancer before it: another may answer
ERRORS: dict[int, type[EngineError]] = {
    408: EngineTimeout,
    429: EngineBusy,
    503: EngineBusy,
    504: EngineTimeout,
}
LONGEST = 500  # characters of somebody else's words in an error of ours
# Bytes of one event. The first of vLLM's has all ids of the prompt: a million tokens of 8 bytes.
LONGEST_LINE = 16 * 1024**2
MOST_IDS = 2**31  # no vocabulary has as many; what is more is no index of a list


class Step(NamedTuple):
    """One event of a stream. It has text, and token ids if the request asked for them.

    `rows` has the log probabilities of each token, if they were asked for.
    """

    tokens: Sequence[int]
    text: str
    finish: Finish | None
    rows: Sequence[Row] = ()


class NoAnswer(Exception):
    """Nobody has answered, or not to the end; somebody might, the next time. `error` if not.

    `is_lost` where there is not even a connection, or where a look says that it can't answer; one
    that is slow is not.
    """

    def __init__(self, error: EngineError, *, is_lost: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_lost = is_lost


class Unfit(Exception):
    """The server answers, and can't be used: the message says why."""


def encode_body(
    request: GenerationRequest,
    *,
    model: str,
    prompt: str | Sequence[int],
    eos: int | None,
    held: Held | None = None,
) -> bytes:
    """Encode the body that asks for a stream, and for token ids if it has the id of an EOS.

    The receiver finds characters and stop strings, and only that EOS ends a text, as in
    `VllmEngine`. `held` constrains the answer, as `to_held` returns it.
    """
    greedy = request.temperature == 0 or request.top_p == 0  # vLLM wants top_p above 0
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
        **NEUTRAL,
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
        body["stop_token_ids"] = [eos]
        body["skip_special_tokens"] = False
    if held:
        body["structured_outputs"] = held
    return orjson.dumps(body)


class Lines:
    """The data of server-sent events as bytes come in: each is one line here, and JSON."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []  # of a line whose end is not there yet
        self._size = 0

    def push(self, data: bytes) -> list[bytes]:
        """The data of the lines that are whole by now, but the one that says that all is.

        Raises `EngineDead` for a line without end.
        """
        first, *more = data.split(b"\n")
        self._hold(first)
        if not more:
            return []
        lines = [b"".join(self._parts), *more[:-1]]
        self._parts, self._size = [], 0
        self._hold(more[-1])
        found = [line[5:].strip() for line in lines if line.startswith(b"data:")]
        return [line for line in found if line != DONE]

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LONGEST_LINE:
            raise EngineDead(f"an event is longer than {LONGEST_LINE} bytes")
        self._parts.append(part)


def parse_event(data: bytes, request: GenerationRequest) -> Step:
    """Raises `NoAnswer`, and `EngineError`s: what vLLM refuses once it has said 200 is an event."""
    try:
        event = orjson.loads(data)
        if error := event.get("error"):
            raise to_error(_to_status(error), data, request)
        [choice] = event.get("choices") or [{}]  # none where usage is told
        tokens = _check_ids(choice.get("token_ids") or ())
        text = _check_text(choice.get("text"))
        finish = _check_text(choice.get("finish_reason"))
        rows = () if request.top_logprobs is None else _to_rows(choice.get("logprobs"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EngineDead(f"no event of a completion: {_shortened(data)}") from error
    if finish and finish not in FINISHES:
        raise EngineDead(f"the completion ended with {_shortened(finish)!r}")
    return Step(tokens, text, FINISHES.get(finish), rows)


def _to_status(error: Any) -> int:  # noqa: ANN401 - any JSON
    """The status that an error in a stream would have had; it may be no more than a text."""
    status = error.get("code") if isinstance(error, dict) else None
    return status if type(status) is int else 500


def _check_ids(tokens: Any) -> Sequence[int]:  # noqa: ANN401 - any JSON
    """Raises `TypeError`. Not of a tokenizer, but of a list: -1 and true are places in one, too."""
    if not isinstance(tokens, list | tuple):
        raise TypeError("token ids are no list")
    for token in tokens:
        if type(token) is not int or not 0 <= token < MOST_IDS:
            raise TypeError("a token id is no small number")
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
        raise TypeError("a text is none")
    return text or ""


def to_error(status: int, raw: bytes, request: GenerationRequest) -> Exception:
    """What an answer of this status is: an `EngineError`, or `NoAnswer` with one."""
    said = _parse_error(raw)
    message = said.get("message")
    message = _shortened(message if isinstance(message, str) and message else raw)
    if status not in REFUSALS:
        error = ERRORS.get(status, EngineDead)(f"it answered {status}: {message}")
        return NoAnswer(error) if status in GONE else error
    # llama.cpp says so how many tokens there are room for; of vLLM that is known beforehand.
    if window := _to_window(said.get("n_ctx")):
        return PromptTooLong(window, request.max_tokens)
    return SchemaRefused(message) if request.is_held else RequestRefused(message)


def _parse_error(raw: bytes) -> dict[str, Any]:
    """What the body of an error says, as far as it is OpenAI's."""
    try:
        document = orjson.loads(raw)
    except ValueError:
        return {}
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _shortened(words: str | bytes) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return " ".join(text[:LONGEST].split()) or "nothing"


def find_window(raw: bytes, model: str) -> int | None:
    """How many tokens a model takes, if the answer of `/v1/models` tells, as vLLM's does.

    Raises `Unfit` for a model that is not in it, with the names of those that are.
    """
    try:
        entries = {entry["id"]: entry for entry in orjson.loads(raw)["data"] or ()}
    except (KeyError, TypeError, ValueError) as error:
        raise Unfit(f"its /v1/models is no list of models: {_shortened(raw)}") from error
    entry = entries.get(model) or entries.get(f"{model}:latest")  # Ollama knows it by both names
    if entry is None:
        names = ", ".join(map(repr, entries)) or "none"
        raise Unfit(f"it has no model {model!r}; it has {names}")
    return _to_window(entry.get("max_model_len"))


def _to_window(told: Any) -> int | None:  # noqa: ANN401 - any JSON
    """A number of tokens; what is none tells nothing."""
    return told if type(told) is int and told > 0 else None
