"""Requests and tokens a minute, by model, region and access key: Bedrock's account quotas.

Source: General Reference, Amazon Bedrock quotas; User Guide, quotas-token-burndown: a request
takes its input tokens and `max_tokens` at once, and unused tokens are returned when it ends.
Guess: a call that ends before its first token costs no tokens; the guide mentions answers only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from invoke_api.models.registry import Model
from invoke_api.wire.errors import ThrottlingException

MANY = 10_000  # buckets; above this number full ones are dropped
TOO_MANY_TOKENS = "Too many tokens, please wait before trying again."


@dataclass(slots=True)
class _Bucket:
    """Full at first, and filled evenly: `rate` a minute, and never more than that."""

    rate: float
    level: float
    filled: float

    def fill(self, now: float) -> None:
        self.level = min(self.rate, self.level + (now - self.filled) * self.rate / 60)
        self.filled = now


class Quotas:
    """May be asked from several threads at once."""

    def __init__(self, *, enforced: bool = False, clock: Callable[[], float] = monotonic) -> None:
        self._enforced = enforced
        self._clock = clock
        self._buckets: dict[tuple[str, ...], _Bucket] = {}
        self._many = MANY
        self._lock = Lock()

    def take(
        self, model: Model, region: str, key: str | None, *, input_tokens: int, max_tokens: int
    ) -> "Share | None":
        """Take all these tokens and one request; call `Share.settle` when the call has ended.

        Raises `ThrottlingException`, and then takes nothing.
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
        """Return the number of buckets that are kept."""
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
        """Drop full buckets once there are many; a new bucket is full, too.

        A bucket is full again after a minute, so the table holds only keys of the last minute.
        """
        if len(self._buckets) < self._many:
            return
        for bucket in self._buckets.values():
            bucket.fill(now)
        kept = {name: each for name, each in self._buckets.items() if each.level < each.rate}
        self._buckets = kept
        self._many = max(MANY, 2 * len(kept))


@dataclass(slots=True)
class Share:
    """Tokens of a bucket that one call holds until they are settled."""

    pool: _Bucket
    tokens: int
    input_tokens: int
    lock: Lock
    used: int = 0
    is_settled: bool = False

    def count(self, tokens: int) -> None:
        """Use so many tokens of the answer; the first ones use those of the prompt as well."""
        self.used = (self.used or self.input_tokens) + tokens

    def settle(self) -> None:
        """Return the unused tokens to the bucket; all of them if no token was generated."""
        with self.lock:
            if not self.is_settled:
                self.is_settled = True
                level = self.pool.level + self.tokens - self.used
                self.pool.level = min(self.pool.rate, level)
