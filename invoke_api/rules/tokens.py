"""The tokens of what rules say: long texts are read in a thread, once for all calls."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from engine.tokenizer import Tokenizer

LONG_TEXT = 4_096  # characters; reading fewer takes less than a millisecond
MAX_KEPT = 4_000_000  # characters of all texts that are kept; a token of theirs takes 8 bytes

Key = tuple[Tokenizer, str, bool]


class TokenCache:
    """The tokens of the long texts used last. Used from any thread; one thread reads.

    `most` bounds the characters of the texts that are kept. Calls that ask for a text while it is
    being read wait for the same reading.
    """

    def __init__(self, most: int = MAX_KEPT) -> None:
        self._most = most
        self._size = 0
        self._kept: OrderedDict[Key, Sequence[int]] = OrderedDict()
        self._reading: dict[Key, Future[Sequence[int]]] = {}
        self._lock = Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rules")

    async def encode(self, tokenizer: Tokenizer, text: str, *, spelled: bool) -> Sequence[int]:
        """The tokens of a rule's text, `spelled` as `Tokenizer.encode_spelled` reads it."""
        if len(text) <= LONG_TEXT:
            return _encode(tokenizer, text, spelled)
        key = (tokenizer, text, spelled)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            if key not in self._reading:
                self._reading[key] = self._thread.submit(self._read, key)
            reading = self._reading[key]
        # A call that ends does not end the reading, for which others may wait.
        return await asyncio.shield(asyncio.wrap_future(reading))

    def _read(self, key: Key) -> Sequence[int]:
        try:
            tokens = _encode(*key)
        finally:
            with self._lock:
                del self._reading[key]
        with self._lock:
            self._keep(key, tokens)
        return tokens

    def _keep(self, key: Key, tokens: Sequence[int]) -> None:
        self._kept[key] = tokens
        self._size += len(key[1])
        while self._size > self._most:
            (_, text, _), _ = self._kept.popitem(last=False)
            self._size -= len(text)


def _encode(tokenizer: Tokenizer, text: str, spelled: bool) -> Sequence[int]:  # noqa: FBT001 - of a key
    return tokenizer.encode_spelled(text) if spelled else tokenizer.encode_text(text)


KEPT = TokenCache()
