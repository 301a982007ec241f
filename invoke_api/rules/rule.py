"""Rules and their effects. `parse_rules` makes them from documents."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, cycle
from random import Random
from typing import Any, Literal, NamedTuple, get_args

from engine.tokenization.tool_calls import ToolCall
from invoke_api.rules.conditions import When
from invoke_api.wire.errors import InvokeError

Breakage = Literal["cut", "torn_frame", "hang"]
BREAKS: tuple[Breakage, ...] = get_args(Breakage)


class ReplyTurn(NamedTuple):
    """One reply: a text, or the prompt itself if `text` is None, and the tool calls after it."""

    text: str | None = ""
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleReply:
    """The replies of a rule. They are used in order; the last one repeats."""

    turns: tuple[ReplyTurn, ...]

    def turn(self, number: int) -> ReplyTurn:
        """Return the reply to the call with this number, from 1."""
        return self.turns[min(number, len(self.turns)) - 1]


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
