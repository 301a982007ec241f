"""A cache of the tokens of rules' texts. Long texts are encoded in a thread, once for all calls."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from engine.tokenization.tokenizer import Tokenizer

MAX_INLINE_CHARACTERS = 4_096  # encoded on the event loop, within a millisecond
MAX_CACHED_CHARACTERS = 4_000_000  # of all texts; each token takes 8 bytes

Key = tuple[Tokenizer, str, bool]


class TokenCache:
    """A cache of the tokens of recently used long texts. Thread-safe; one thread encodes.

    `most` limits the characters of the cached texts. Calls that need a text while it is being
    encoded wait for the same result.
    """

    def __init__(self, most: int = MAX_CACHED_CHARACTERS) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Key, Sequence[int]] = OrderedDict()
        self._reading: dict[Key, Future[Sequence[int]]] = {}
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rules")

    async def encode(self, tokenizer: Tokenizer, text: str, *, spelled: bool) -> Sequence[int]:
        """Return the result of the function `encode`, from the cache if possible."""
        key = (tokenizer, text, spelled)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            if key not in self._reading:
                self._reading[key] = self._thread.submit(self._read, key)
            reading = self._reading[key]
        # Cancelling one call must not cancel the encoding, because other calls may wait for it.
        return await asyncio.shield(asyncio.wrap_future(reading))

    def _read(self, key: Key) -> Sequence[int]:
        tokenizer, text, spelled = key
        try:
            tokens = encode(tokenizer, text, spelled=spelled)
        except BaseException:
            with self._lock:
                del self._reading[key]
            raise
        with self._lock:
            del self._reading[key]
            self._keep(key, tokens)
        return tokens

    def _keep(self, key: Key, tokens: Sequence[int]) -> None:
        self._kept[key] = tokens
        self._size += len(key[1])
        while self._size > self._most:
            (_, text, _), _ = self._kept.popitem(last=False)
            self._size -= len(text)


def encode(tokenizer: Tokenizer, text: str, *, spelled: bool) -> Sequence[int]:
    """Return the tokens of a text, with `Tokenizer.encode_spelled` if `spelled`."""
    return tokenizer.encode_spelled(text) if spelled else tokenizer.encode_text(text)


TOKEN_CACHE = TokenCache()
