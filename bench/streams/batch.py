"""What is asked in one turn, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass

# Requests of a turn, so that few users ask for some seconds, too; and of long prompts, which two
# cores read for most of a second each.
LEAST, LEAST_LONG, LONG = 16, 4, 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """`users` ask at once, each so many `times`, one after the other.

    `words` is the length of a prompt and `tokens` that of an answer, both in tokens; a request that
    takes longer than `timeout` seconds has failed. `first` numbers the first prompt.
    """

    users: int
    words: int
    tokens: int
    timeout: float
    first: int = 0

    @property
    def times(self) -> int:
        return -(-(LEAST if self.words < LONG else LEAST_LONG) // self.users)

    @property
    def requests(self) -> int:
        return self.users * self.times

    def numbers(self, user: int) -> range:
        """Of the prompts that this user asks."""
        start = self.first + user * self.times
        return range(start, start + self.times)


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
