"""One rule: when it speaks, and what it says or breaks. Made from a document by `parse_rules`."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, cycle
from random import Random
from typing import Any, Literal, get_args

from engine.tokenization.tool_calls import ToolCall
from invoke_api.regex import Pattern
from invoke_api.wire.errors import InvokeError

MAX_SEARCHED = 1_000_000  # characters of a prompt that rules search

Breakage = Literal["cut", "torn_frame", "hang"]
BREAKS: tuple[Breakage, ...] = get_args(Breakage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a rule may look at of one call. `last_user_message` is the end of a conversation.

    `identifier` is what the client called the model, which may be an ARN.
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
    """Conditions of a rule. Each that is not None must hold.

    `model_id` is a glob that the registry's id or what the client called the model must match.

    `prompt` and `last_user_message` are substrings, or patterns that must match somewhere. `tool`
    is a glob that the name of one of the offered tools must match.
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
        """The number of steps per character of the prompt, in the worst case."""
        texts = [text for text in (self.prompt, self.last_user_message) if text is not None]
        return sum(text.size if isinstance(text, Pattern) else 1 for text in texts)

    def matches(self, asked: Asked) -> bool:
        return (
            self.operation in (None, asked.operation)
            and (self.model_id is None or _is_called(self.model_id, asked))
            and self.turn in (None, asked.turn)
            and (self.tool is None or any(map(self.tool.match, asked.tools)))
            and _is_in(self.prompt, asked.prompt)
            and _is_in(self.last_user_message, asked.last_user_message)
        )


def _is_called(glob: re.Pattern[str], asked: Asked) -> bool:
    return any(glob.match(name) is not None for name in (asked.model_id, asked.identifier))


def _is_in(wanted: str | Pattern | None, text: str) -> bool:
    if wanted is None:
        return True
    said = text[:MAX_SEARCHED]
    return wanted in said if isinstance(wanted, str) else wanted.search(said) is not None


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
