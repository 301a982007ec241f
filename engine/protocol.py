"""The interface of an engine: its requests, its tokens and its state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from engine.errors import EngineDead, EngineNotReady, PromptTooLong, RequestRefused
from engine.lora import Adapter
from engine.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from PIL.Image import Image

    from engine.tokenization.audio import AudioClip

Finish = Literal["stop", "length", "repetition"]
FINISHES: Mapping[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "repetition": "repetition",
}
Status = Literal["cold", "loading", "ready", "asleep", "failed"]


class Tool(NamedTuple):
    """A tool that a model may call. `parameters` is the JSON Schema of its arguments, as JSON."""

    name: str
    parameters: str


class Constraint(NamedTuple):
    """The form of an answer: one of several texts, a regular expression, or a grammar in EBNF.

    A structural tag is xgrammar's JSON for texts between tags.
    """

    kind: Literal["choice", "regex", "grammar", "structural_tag"]
    value: str | tuple[str, ...]  # several for a choice alone


class Repetition(NamedTuple):
    """A pattern that ends an answer: the same `least` to `most` tokens, so many `times`."""

    least: int
    most: int
    times: int


# Not frozen, although nothing changes a request: creating it would take four times as long.
@dataclass(slots=True, kw_only=True)
class GenerationRequest:
    """One completion.

    - `top_k` 0 means no limit. `temperature` 0 or `top_p` 0 means greedy sampling.
    - The penalties are OpenAI's, from -2 to 2.
    - `logit_bias` is added to the logits of these token ids.
    - `top_logprobs` is the number of likeliest tokens whose log probabilities each delta has,
      beside that of its own token. None asks for no log probabilities. `prompt_logprobs` asks for
      those of the prompt's tokens.
    - `shortens` reduces `max_tokens` to the room that the prompt leaves in the context.
    - `spelled` writes the control tokens of tool calls into the text by their names.
    - `schema` is a JSON Schema, as JSON; the answer must be an instance of it.
    - `constraint` is for answers that no schema describes.
    - `prompt` has a placeholder token for every part of each of `images` and `audio`.
    - `adapter` is the LoRA adapter to apply to the weights.
    - `stop_tokens` end the text like the EOS, which `ignores_eos` makes an ordinary token.
    - No EOS, stop token or stop string ends the text within its first `min_tokens` tokens.
    - `keeps_stop` leaves the stop string, or the stop token's text, in the text.
    - `allowed_tokens` are the only tokens of the answer; without any, all are allowed.
    - `bad_words` are texts that the answer must not have, also after a space.
    - `repetition` ends an answer that repeats itself, with the finish "repetition".
    - `cache_salt` keeps the prompt apart from those with another salt in the engine's cache.
    - `trace_headers` are the headers `traceparent` and `tracestate` of W3C Trace Context.
    - `must_call` forces calls of these tools, and nothing else, in the style of the model's
      `ChatTemplate`. The prompt ends with `[TOOL_CALLS]` then. `one_call` forces a single call.
    """

    request_id: str
    prompt: tuple[int, ...]  # token ids, the BOS included
    max_tokens: int
    shortens: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    top_logprobs: int | None = None
    spelled: bool = False
    schema: str | None = None
    must_call: tuple[Tool, ...] = ()
    one_call: bool = False
    images: tuple["Image", ...] = ()
    audio: tuple["AudioClip", ...] = ()
    adapter: Adapter | None = None
    constraint: Constraint | None = None
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    min_tokens: int = 0
    ignores_eos: bool = False
    stop_tokens: tuple[int, ...] = ()
    keeps_stop: bool = False
    allowed_tokens: tuple[int, ...] = ()
    prompt_logprobs: int | None = None
    bad_words: tuple[str, ...] = ()
    repetition: Repetition | None = None
    cache_salt: str | None = None
    trace_headers: Mapping[str, str] | None = None

    @property
    def is_constrained(self) -> bool:
        """Tell whether a schema, a constraint or forced calls restrict the answer."""
        return self.schema is not None or self.constraint is not None or bool(self.must_call)


@dataclass(slots=True)
class Usage:
    """Tokens as the model's own tokenizer counts them: the BOS in, the EOS out."""

    input_tokens: int
    output_tokens: int


# Pairs of token id and log probability for one token of an answer: the token itself, then the
# likeliest tokens, which may include it. The first one of a prompt's row has the token's rank, too.
Row = Sequence[tuple[int, float] | tuple[int, float, int]]


class TokenLogprob(NamedTuple):
    """A token and its log probability. `token` is a control token's name, or empty."""

    token: bytes
    logprob: float
    id: int


class Logprobs(NamedTuple):
    """The log probability of one token of an answer, and the likeliest tokens in its place."""

    chosen: TokenLogprob
    likeliest: tuple[TokenLogprob, ...]


class ChoicePart(NamedTuple):
    """The place of a delta in one of an answer's choices, with the choice's finish and usage."""

    number: int
    token: int | None  # None if the engine ended the choice without one
    finish: Finish | None
    usage: Usage | None


class Delta(NamedTuple):
    """The text that one token added: empty while a character or stop string is incomplete.

    `stopped_by`, on the last delta, is the stop string or token that ended the text; None for the
    EOS. `prompt_rows`, on the first delta, are those of all prompt tokens but the first.
    """

    text: str
    finish: Finish | None = None
    usage: Usage | None = None  # on the last delta only
    logprobs: Logprobs | None = None  # on each delta, if the request asks for them
    stopped_by: str | int | None = None
    choice: ChoicePart | None = None  # in an answer that may have several
    prompt_rows: Sequence[Row] = ()


class Receiver(Protocol):
    """A consumer of the tokens of one generation.

    The engine calls `push` once for each of its steps, in the thread of the event loop, possibly
    before `generate` has returned. Neither method raises.
    """

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        """Take the next tokens. With a `finish` they are the last ones.

        `rows` has one row for each token, if the request asks for log probabilities and the engine
        knows them. If the request asks for `prompt_logprobs`, the rows of the prompt's tokens but
        the first come before those of the first tokens.
        """
        ...

    def end(self, error: Exception) -> None:
        """Take the error with which the generation has failed. No tokens follow."""
        ...


class Generation(Protocol):
    """A handle of a generation. Its methods do nothing once the generation is over."""

    def cancel(self) -> None:
        """Abort the request in the engine. The receiver is not called again."""
        ...

    def pause(self) -> None:
        """Push nothing until `resume`, because the client does not read."""
        ...

    def resume(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineState:
    """The status of an engine. `reason` says why it failed.

    `waiting` counts the calls that wait for an engine to be loaded; None unless it is loaded on
    demand. `retry_in` is the time until a failed engine is started again, in seconds; None if it
    is not.
    """

    status: Status
    reason: str | None = None
    waiting: int | None = None
    retry_in: float | None = None

    @property
    def is_on_demand(self) -> bool:
        return self.waiting is not None

    @property
    def takes_calls(self) -> bool:
        """Tell whether calls are answered, possibly after a load."""
        return self.status == "ready" or (self.is_on_demand and self.status != "failed")

    def check_ready(self) -> None:
        """Raise `EngineDead` or `EngineNotReady` unless the engine is ready."""
        if self.status == "failed":
            raise EngineDead(self.reason)
        if self.status != "ready":
            raise EngineNotReady(f"the engine is {self.status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """Limits on the calls of an engine and on their waits.

    `calls` bounds the calls that an engine has at once, waiting ones included. A call waits up to
    `first_token_seconds` for each of its tokens.

    An engine core that is stopped, or that neither answers nor computes, is replaced after
    `stall_seconds`; the default is longer than a stop-the-world pause of a debugger or profiler. A
    core that computes gets `first_token_seconds` for a step, because a prefill of some thousand
    tokens on a CPU may take a minute.

    If the engine is loaded on demand, up to `queue` calls wait for it, each up to `load_seconds`;
    boto3's read timeout is 60 seconds.
    """

    calls: int = 1_024
    first_token_seconds: float = 120.0
    stall_seconds: float = 30.0
    queue: int = 256
    load_seconds: float = 45.0


class Engine(Protocol):
    """A generator of text. `name` is the name of its kind in the registry."""

    name: str

    async def start(self) -> None:
        """Load the weights. Does not raise: `state` tells whether the load succeeded."""
        ...

    def state(self) -> EngineState: ...

    def running(self) -> int:
        """Return the number of requests in flight."""
        ...

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer of its weights. Raises what `EngineState.check_ready` raises."""
        ...

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        """Begin a generation, and push its tokens to the receiver.

        Raises `EngineError`s that are known at once; later ones go to the receiver's `end`.
        `engine.streaming.stream` returns the text instead.
        """
        ...

    async def close(self) -> None: ...


class Swappable(Engine, Protocol):
    """An engine that can give its memory back; `start` loads it again."""

    async def release(self) -> None:
        """Give the memory back by sleeping or closing. No request may be in flight."""
        ...

    def read_tokenizer(self) -> Tokenizer:
        """Return the tokenizer in any state. Thread-safe; slow at its first use.

        Raises `EngineDead`.
        """
        ...

    def check(self, request: GenerationRequest) -> None:
        """Raise what `check_request` raises, in any state."""
        ...


def check_request(request: GenerationRequest, context_length: int) -> GenerationRequest:
    """Return the request, with `max_tokens` reduced to the context if it `shortens`.

    Raises `RequestRefused` for an empty stop string, in vLLM's words, and `PromptTooLong` unless
    the prompt and `max_tokens` fit into the context.
    """
    if "" in request.stop:
        raise RequestRefused("stop cannot contain an empty string.")
    room = context_length - len(request.prompt)
    if request.max_tokens <= room:
        return request
    if request.shortens and room > 0:
        return replace(request, max_tokens=room)
    raise PromptTooLong(context_length, request.max_tokens)
