"""One rule: when it speaks, and what it says or breaks. Made from a document by `parse_rules`."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import chain, cycle
from random import Random
from typing import Any, Literal, get_args

from engine.tool_calls import ToolCall
from invoke_api.wire.errors import InvokeError

Breakage = Literal["cut", "torn_frame", "hang"]
BREAKS: tuple[Breakage, ...] = get_args(Breakage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a rule may look at of one call. `last_user_message` is the end of a conversation."""

    operation: str
    model_id: str
    prompt: str
    last_user_message: str
    turn: int
    tools: tuple[str, ...] = ()
    access_key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Every condition that is not None must hold; `model_id` is a glob, texts are patterns.

    `tool` is a glob that the name of one of the tools offered must match.
    """

    operation: str | None = None
    model_id: str | None = None
    prompt: re.Pattern[str] | None = None
    last_user_message: re.Pattern[str] | None = None
    turn: int | None = None
    tool: str | None = None

    def matches(self, asked: Asked) -> bool:
        return (
            self.operation in (None, asked.operation)
            and (self.model_id is None or fnmatchcase(asked.model_id, self.model_id))
            and (self.prompt is None or self.prompt.search(asked.prompt) is not None)
            and (
                self.last_user_message is None
                or self.last_user_message.search(asked.last_user_message) is not None
            )
            and self.turn in (None, asked.turn)
            and (self.tool is None or any(fnmatchcase(name, self.tool) for name in asked.tools))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Texts are taken in turn, the last one again and again; `echo` says the prompt back.

    `calls` of tools follow on each of them.
    """

    texts: tuple[str, ...] = ()
    echo: bool = False
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Either an exception, made for a model id, or a breakage.

    Without `after_tokens` it comes before the first byte, else after so many tokens: inside the
    stream where there is one.
    """

    error: Callable[[str], InvokeError] | None = None
    breakage: Breakage | None = None
    after_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """`first_token` in seconds; `jitter` is the share by which each wait may be off.

    `recorded` are waits in seconds that once were, the first token's at their head.
    """

    first_token: float = 0.0
    tokens_per_second: float | None = None
    jitter: float = 0.0
    seed: int | None = None
    recorded: tuple[float, ...] = ()

    def waits(self) -> Iterator[float]:
        """Seconds to wait before each token, without end."""
        between = 1 / self.tokens_per_second if self.tokens_per_second else 0.0
        random = Random(self.seed)  # noqa: S311 - chance, not secrecy
        for wait in chain(self.recorded or [self.first_token], self._later(between)):
            yield wait * (1 + self.jitter * (2 * random.random() - 1))

    def _later(self, between: float) -> Iterator[float]:
        return cycle(self.recorded[1:] or [between])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`scope` is the access key id of those it is for, None for everybody.

    It speaks `times` times, for `seconds` seconds, and then with this `probability`.
    """

    document: Mapping[str, Any]
    when: When = field(default_factory=When)
    reply: Reply | None = None
    fault: Fault | None = None
    pace: Pace | None = None
    times: int | None = None
    seconds: float | None = None
    probability: float = 1.0
    seed: int | None = None
    scope: str | None = None
