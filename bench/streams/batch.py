"""The requests of one turn, and their results."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """The requests of one turn: concurrent `users` take the prompts one after the other.

    An answer has `tokens` tokens. A request fails after `timeout` seconds.
    """

    users: int
    tokens: int
    timeout: float
    prompts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """The times of one request, in seconds since it began: arrivals of tokens, and its end.

    Tokens that arrived together are one arrival; an answer that is not streamed has none.
    """

    arrivals: list[float]
    took: float
    prompt_tokens: int = 0
    tokens: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Drive:
    """The samples of a batch, and the seconds that it took.

    `own` is the CPU time of the load process, in seconds.
    """

    samples: list[Sample]
    seconds: float
    own: float


Driver = Callable[[Batch], Drive]


@dataclass(frozen=True, slots=True)
class Server:
    """A server. Clients connect to the process `pid`; `drive` sends a batch to it."""

    name: str
    pid: int
    drive: Driver
