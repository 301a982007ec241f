"""What is asked in one turn, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """`users` share the prompts, and ask at once, each one after the other.

    An answer has so many `tokens`; a request that takes longer than `timeout` seconds has failed.
    """

    users: int
    tokens: int
    timeout: float
    prompts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One request, in seconds since it began: when tokens arrived, and when the answer was whole.

    Tokens that arrived together are one arrival; an answer that is not streamed has none.
    """

    arrivals: list[float]
    took: float
    prompt_tokens: int = 0
    tokens: int = 0
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Drive:
    """All requests of a batch, and the seconds they took together.

    `own` is the CPU time of the process that asked, in seconds.
    """

    samples: list[Sample]
    seconds: float
    own: float


Driver = Callable[[Batch], Drive]


@dataclass(frozen=True, slots=True)
class Server:
    """`pid` is the process that clients talk to; `drive` puts a batch to it."""

    name: str
    pid: int
    drive: Driver
