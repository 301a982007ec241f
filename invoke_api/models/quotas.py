"""Quotas of requests and tokens per minute, by model, region and access key.

Source: General Reference, Amazon Bedrock quotas, and User Guide, quotas-token-burndown: a request
takes its input tokens and `max_tokens` at once, and unused tokens are returned when it ends.
Guess: a call that ends before its first token costs no tokens. The guide does not mention it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from invoke_api.models.registry import Model
from invoke_api.wire.errors import ThrottlingException

BUCKETS_BEFORE_PRUNING = 10_000  # from this number on, full buckets are deleted
TOO_MANY_TOKENS = "Too many tokens, please wait before trying again."


@dataclass(slots=True)
class _Bucket:
    """A token bucket. It starts full, gets `rate` tokens per minute, and holds at most `rate`."""

    rate: float
    level: float
    filled: float

    def fill(self, now: float) -> None:
        self.level = min(self.rate, self.level + (now - self.filled) * self.rate / 60)
        self.filled = now


class Quotas:
    """The token buckets of all callers. Thread-safe."""

    def __init__(self, *, enforced: bool = False, clock: Callable[[], float] = monotonic) -> None:
        self._enforced = enforced
        self._clock = clock
        self._buckets: dict[tuple[str, ...], _Bucket] = {}
        self._prune_above = BUCKETS_BEFORE_PRUNING
        self._lock = Lock()

    def take(
        self, model: Model, region: str, key: str | None, *, input_tokens: int, max_tokens: int
    ) -> "Share | None":
        """Take these tokens and one request. Call `Share.settle` when the call has ended.

        Returns None without a token quota. Raises `ThrottlingException`, and then takes nothing.
        """
        if not self._enforced:
            return None
        tokens = input_tokens + max_tokens
        with self._lock:
            requests = self._bucket("requests", model, region, key, model.requests_per_minute)
            pool = self._bucket("tokens", model, region, key, model.tokens_per_minute)
            if requests and requests.level < 1:
                raise ThrottlingException
            if pool and pool.level < tokens:
                raise ThrottlingException(TOO_MANY_TOKENS)
            if requests:
                requests.level -= 1
            if pool:
                pool.level -= tokens
        return Share(pool, tokens, input_tokens, self._lock) if pool else None

    def count(self) -> int:
        """Return the number of buckets in memory."""
        return len(self._buckets)

    def _bucket(
        self, kind: str, model: Model, region: str, key: str | None, rate: int | None
    ) -> _Bucket | None:
        if rate is None:
            return None
        now = self._clock()
        name = (kind, model.id, region, key or "")
        if name not in self._buckets:
            self._forget_full(now)
        bucket = self._buckets.setdefault(name, _Bucket(rate, rate, now))
        bucket.fill(now)
        return bucket

    def _forget_full(self, now: float) -> None:
        """Delete full buckets if there are many. They are equal to new ones.

        A bucket is full again after a minute, so only keys of the last minute remain.
        """
        if len(self._buckets) < self._prune_above:
            return
        for bucket in self._buckets.values():
            bucket.fill(now)
        kept = {name: each for name, each in self._buckets.items() if each.level < each.rate}
        self._buckets = kept
        self._prune_above = max(BUCKETS_BEFORE_PRUNING, 2 * len(kept))


@dataclass(slots=True)
class Share:
    """Tokens that one call has taken from a bucket, until `settle` returns the unused ones."""

    pool: _Bucket
    tokens: int
    input_tokens: int
    lock: Lock
    used: int = 0
    is_settled: bool = False

    def count(self, tokens: int) -> None:
        """Count tokens of the answer as used. The first call also counts those of the prompt."""
        self.used = (self.used or self.input_tokens) + tokens

    def settle(self) -> None:
        """Return the unused tokens to the bucket, all of them if no token was generated."""
        with self.lock:
            if not self.is_settled:
                self.is_settled = True
                level = self.pool.level + self.tokens - self.used
                self.pool.level = min(self.pool.rate, level)
