"""Rules: their conditions and their effects. `parse_rules` makes them from documents."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, cycle
from random import Random
from typing import Any, Literal, get_args

from engine.tokenization.tool_calls import ToolCall
from invoke_api.regex import Pattern
from invoke_api.wire.errors import InvokeError

MAX_SEARCHED_CHARACTERS = 1_000_000  # of a prompt; rules ignore the rest

Breakage = Literal["cut", "torn_frame", "hang"]
BREAKS: tuple[Breakage, ...] = get_args(Breakage)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRequest:
    """The part of a call that rules match.

    `model_id` is the registry's id. `identifier` is the client's name for the model, maybe an ARN.
    """

    operation: str
    model_id: str
    prompt: str
    last_user_message: str
    turn: int
    tools: tuple[str, ...] = ()
    access_key_id: str | None = None
    identifier: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """The conditions of a rule. Each that is not None must hold.

    `model_id` is a glob that must match the registry's id or the client's name for the model.
    `prompt` and `last_user_message` are substrings, or patterns that must match somewhere. `tool`
    is a glob that must match the name of an offered tool.
    """

    operation: str | None = None
    model_id: re.Pattern[str] | None = None
    prompt: str | Pattern | None = None
    last_user_message: str | Pattern | None = None
    turn: int | None = None
    tool: re.Pattern[str] | None = None

    @property
    def patterns(self) -> list[Pattern]:
        return [text for text in (self.prompt, self.last_user_message) if isinstance(text, Pattern)]

    @property
    def steps(self) -> int:
        """Return the number of search steps per character of the prompt, in the worst case."""
        texts = [text for text in (self.prompt, self.last_user_message) if text is not None]
        return sum(text.size if isinstance(text, Pattern) else 1 for text in texts)

    def matches(self, asked: RuleRequest) -> bool:
        return (
            self.operation in (None, asked.operation)
            and (self.model_id is None or _is_called(self.model_id, asked))
            and self.turn in (None, asked.turn)
            and (self.tool is None or any(map(self.tool.match, asked.tools)))
            and _is_in(self.prompt, asked.prompt)
            and _is_in(self.last_user_message, asked.last_user_message)
        )


def _is_called(glob: re.Pattern[str], asked: RuleRequest) -> bool:
    return any(glob.match(name) is not None for name in (asked.model_id, asked.identifier))


def _is_in(wanted: str | Pattern | None, text: str) -> bool:
    if wanted is None:
        return True
    said = text[:MAX_SEARCHED_CHARACTERS]
    return wanted in said if isinstance(wanted, str) else wanted.search(said) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReply:
    """The reply of a rule.

    Texts are used in order; the last one repeats. If `echo`, the prompt is the reply. Each reply
    has the same tool `calls`.
    """

    texts: tuple[str, ...] = ()
    echo: bool = False
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The fault of a rule: either an exception, made from a model id, or a breakage.

    It happens after `after_tokens` tokens, in-stream if the answer is streamed. None means before
    the first byte.
    """

    error: Callable[[str], InvokeError] | None = None
    breakage: Breakage | None = None
    after_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPace:
    """The pace of a reply.

    `first_token` is in seconds. `jitter` is the maximum deviation of each wait, as a share of it.
    `recorded` are a recording's waits in seconds, beginning with the first token's.
    """

    first_token: float = 0.0
    tokens_per_second: float | None = None
    jitter: float = 0.0
    seed: int | None = None
    recorded: tuple[float, ...] = ()

    def waits(self) -> Iterator[float]:
        """Yield the wait before each token, in seconds, without end."""
        between = 1 / self.tokens_per_second if self.tokens_per_second else 0.0
        random = Random(self.seed)  # noqa: S311 - chance, not secrecy
        for wait in chain(self.recorded or [self.first_token], self._later(between)):
            yield wait * (1 + self.jitter * (2 * random.random() - 1))

    def _later(self, between: float) -> Iterator[float]:
        return cycle(self.recorded[1:] or [between])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule.

    It is used at most `times` times, for `seconds` seconds, and with this `probability`. `scope` is
    the access key id of the callers that it applies to; None means all callers.
    """

    document: Mapping[str, Any]
    when: When = field(default_factory=When)
    reply: RuleReply | None = None
    fault: Fault | None = None
    pace: TokenPace | None = None
    times: int | None = None
    seconds: float | None = None
    probability: float = 1.0
    seed: int | None = None
    scope: str | None = None
