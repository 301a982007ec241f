"""What an engine takes, what it gives, and what it promises."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from engine.errors import EngineDead, EngineNotReady, PromptTooLong, RequestRefused
from engine.lora import Adapter
from engine.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from PIL.Image import Image

    from engine.tokenization.audio import Clip

Finish = Literal["stop", "length"]
Status = Literal["cold", "loading", "ready", "asleep", "failed"]


class Tool(NamedTuple):
    """A tool that a model may call. `parameters` is the JSON Schema of its arguments, as JSON."""

    name: str
    parameters: str


class Constraint(NamedTuple):
    """The form of an answer: one of several texts, a regular expression, or a grammar in EBNF."""

    kind: Literal["choice", "regex", "grammar"]
    value: str | tuple[str, ...]  # several for a choice alone


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One completion. `top_k` 0 means no limit; `temperature` 0 or `top_p` 0 means greedy.

    The penalties are OpenAI's, from -2 to 2. `logit_bias` is added to the logits of these token
    ids. With `top_logprobs`, each delta has its log probability and those of so many of the
    likeliest tokens; None asks for none. `shortens` takes fewer than `max_tokens` where the
    context has no room for them.
    `spelled` has the tokens by which a model calls tools written out in the text. `schema` is the
    JSON Schema that the answer must be an instance of, written as JSON. `prompt` has a place for
    every part of each of `images` and `audio`. `adapter` is the LoRA adapter to put on the
    weights. `constraint` is for answers that no `schema` describes.

    If there are tools in `must_call`, the prompt ends with the mark of a call, and the answer is
    calls of these tools and nothing else, in the style of the model's `ChatTemplate`. With
    `one_call` it is a single call.
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
    audio: tuple["Clip", ...] = ()
    adapter: Adapter | None = None
    constraint: Constraint | None = None

    @property
    def is_held(self) -> bool:
        """Tell whether the answer must have a form: that of a schema, a constraint or a call."""
        return self.schema is not None or self.constraint is not None or bool(self.must_call)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the model's own tokenizer counts them: the BOS in, the EOS out."""

    input_tokens: int
    output_tokens: int


# The log probabilities at one place of an answer, by token id: of the token that came, then of the
# likeliest ones, which may have it among them.
Row = Sequence[tuple[int, float]]


class Likely(NamedTuple):
    """A token and its log probability. A control token is written by its name or is empty."""

    token: bytes
    logprob: float
    id: int


class Logprobs(NamedTuple):
    """The log probability of one token of an answer, and the likeliest tokens at its place."""

    chosen: Likely
    likeliest: tuple[Likely, ...]


class Delta(NamedTuple):
    """What one token added. Its text is empty while a character or a stop string is incomplete."""

    text: str
    finish: Finish | None = None
    usage: Usage | None = None  # on the last delta, and only there
    logprobs: Logprobs | None = None  # on each delta, if the request asks for them


class Receiver(Protocol):
    """Takes the tokens of one generation.

    The engine calls `push` once for each of its steps, in the thread of the event loop, and maybe
    before `generate` has returned. Neither method raises.
    """

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        """Take the next tokens. With a `finish` they are the last ones.

        `rows` has the log probabilities of each token, if the request asks for them and the engine
        knows them.
        """
        ...

    def end(self, error: Exception) -> None:
        """Learn that the generation has failed: no further tokens follow."""
        ...


class Generation(Protocol):
    """A generation that is under way, or is over: then these methods do nothing."""

    def cancel(self) -> None:
        """Free the request in the engine, at once. The receiver hears nothing more."""
        ...

    def pause(self) -> None:
        """Push nothing until `resume`: the receiver's client does not read."""
        ...

    def resume(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineState:
    """Where an engine is in its life; `reason` says why it failed.

    `waiting` is how many calls wait for one that is loaded on demand; None for any other.
    `retry_in` is in how many seconds one that failed is started again, if it is.
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
        """Whether a call is answered, be it after a load."""
        return self.status == "ready" or (self.is_on_demand and self.status != "failed")

    def check_ready(self) -> None:
        """Raise `EngineDead` with the reason, or `EngineNotReady`, unless it is ready."""
        if self.status == "failed":
            raise EngineDead(self.reason)
        if self.status != "ready":
            raise EngineNotReady(f"the engine is {self.status}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many calls an engine takes at once, and how long one may wait for each of its tokens.

    Those that wait count among the calls. An engine core that is stopped, or that neither answers
    nor computes, is replaced after `stall_seconds`. Default: a stop-the-world pause of a debugger
    or a profiler is shorter, and `first_token_seconds` longer. A core that computes gets
    `first_token_seconds` for a step: on a CPU, a prefill step of some thousand tokens may take a
    minute. Of an engine that is loaded on demand, up to `queue`
    calls wait for the load, each up to `load_seconds`: boto3 gives up reading after 60.
    """

    calls: int = 1_024
    first_token_seconds: float = 120.0
    stall_seconds: float = 30.0
    queue: int = 256
    load_seconds: float = 45.0


class Engine(Protocol):
    """Generates text. `name` is the name of its kind in the registry."""

    name: str

    async def start(self) -> None:
        """Load what is needed. Does not raise: `state` tells how it went."""
        ...

    def state(self) -> EngineState: ...

    def running(self) -> int:
        """How many requests it is working on now."""
        ...

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of its weights. Raises what `EngineState.check_ready` raises."""
        ...

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        """Begin a generation, and push its tokens to the receiver.

        Raises the `EngineError`s that are known at once; the receiver is told of later ones.
        `engine.streaming.stream` gives the text instead.
        """
        ...

    async def close(self) -> None: ...


class Swappable(Engine, Protocol):
    """An engine whose memory others may have in between: `start` brings it back from anywhere."""

    async def release(self) -> None:
        """Give the memory back, asleep or closed, as `state` tells. No request may be running."""
        ...

    def read_tokenizer(self) -> Tokenizer:
        """The same as `tokenizer`, whatever the state. Slow at its first use; for any thread.

        Raises `EngineDead`.
        """
        ...

    def check(self, request: GenerationRequest) -> None:
        """Raises what `check_request` raises, whatever the state."""
        ...


def check_request(request: GenerationRequest, context_length: int) -> GenerationRequest:
    """Return the request as an engine of this window can carry it out, before it begins.

    Raises `RequestRefused` for an empty stop string, in vLLM's words, and `PromptTooLong` unless
    the prompt and all tokens asked for fit the window.
    """
    if "" in request.stop:
        raise RequestRefused("stop cannot contain an empty string.")
    room = context_length - len(request.prompt)
    if request.max_tokens <= room:
        return request
    if request.shortens and room > 0:
        return replace(request, max_tokens=room)
    raise PromptTooLong(context_length, request.max_tokens)
