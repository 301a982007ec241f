"""Requests and tokens a minute, by model, region and access key: Bedrock's account quotas.

Source: General Reference, Amazon Bedrock quotas; User Guide, quotas-token-burndown: a request
takes its input tokens and `max_tokens` at once, and what it did not need comes back at its end.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from threading import Lock
from time import monotonic

from engine.protocol import Deltas
from invoke_api.registry import Model
from invoke_api.wire.errors import ThrottlingException

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
        self._lock = Lock()

    def take(self, model: Model, region: str, key: str | None, tokens: int) -> "Share | None":
        """So many tokens and one request. Raises `ThrottlingException`, and then takes nothing."""
        if not self._enforced:
            return None
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
        return Share(pool, tokens, self._lock) if pool else None

    def _bucket(
        self, kind: str, model: Model, region: str, key: str | None, rate: int | None
    ) -> _Bucket | None:
        if rate is None:
            return None
        now = self._clock()
        name = (kind, model.id, region, key or "")
        bucket = self._buckets.setdefault(name, _Bucket(rate, rate, now))
        bucket.fill(now)
        return bucket


@dataclass(frozen=True, slots=True)
class Share:
    """What one request holds of a pool of tokens."""

    pool: _Bucket
    tokens: int
    lock: Lock

    async def metered(self, deltas: Deltas, input_tokens: int) -> Deltas:
        """The same deltas; the tokens that they did not need go back at their end."""
        used = input_tokens
        try:
            async with aclosing(deltas):
                async for batch in deltas:
                    used += len(batch)
                    yield batch
        finally:
            with self.lock:
                self.pool.level = min(self.pool.rate, self.pool.level + self.tokens - used)
