"""Generations that may have to wait until their engine is loaded."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import EngineNotReady
from engine.lifecycle.swap_policy import PooledEngine, WaitingCall
from engine.protocol import Finish, Generation, GenerationRequest, Receiver, Row

if TYPE_CHECKING:
    from engine.lifecycle.lru_pool import LruPool


class QueuedGeneration:
    """The caller's handle of a generation, and the receiver of the engine's generation.

    It counts as a call of the `LruPool` until it is over, however it ends.
    """

    def __init__(
        self, pool: "LruPool", pooled: PooledEngine, request: GenerationRequest, receiver: Receiver
    ) -> None:
        self._pool = pool
        self._pooled = pooled
        self._request = request
        self._receiver = receiver
        self._waiting: WaitingCall | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._generation: Generation | None = None
        self._is_paused = False
        self._is_over = False

    def enter(self) -> None:
        """Begin, or wait in the queue. Raises what `LruPool.enter` and the engine raise."""
        self._waiting = self._pool.enter(self._pooled)
        if self._waiting is None:
            self._begin()
            return
        self._waiting.add_done_callback(self._stop_waiting)
        seconds = self._pooled.limits.load_seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_out)

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Row] = ()
    ) -> None:
        if finish:
            self._leave()
        self._receiver.push(tokens, finish, rows)

    def end(self, error: Exception) -> None:
        self._leave()
        self._receiver.end(error)

    def cancel(self) -> None:
        if self._is_over:
            return
        if self._generation:
            self._generation.cancel()
        self._leave()

    def pause(self) -> None:
        self._is_paused = True
        if self._generation:
            self._generation.pause()

    def resume(self) -> None:
        self._is_paused = False
        if self._generation:
            self._generation.resume()
        elif not (self._waiting or self._is_over):
            self._begin_late()

    def _begin(self) -> None:
        try:
            self._generation = self._pooled.engine.generate(self._request, self)
        except Exception:
            self._leave()
            raise

    def _begin_late(self) -> None:
        if self._is_paused:  # an engine could push tokens before it can be paused
            return
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - the receiver gets it
            self._receiver.end(error)

    def _stop_waiting(self, call: WaitingCall) -> None:
        if self._is_over:
            return
        assert self._timer
        self._timer.cancel()
        self._waiting = None
        if problem := call.result():
            self._is_over = True
            self._receiver.end(problem)
        else:
            self._begin_late()

    def _time_out(self) -> None:
        assert self._waiting
        if not self._waiting.done():
            self._is_over = True
            # An engine that is not loaded keeps its ticket, so that it is loaded when the client
            # retries. A loaded one gives it back, so that other engines need not wait behind it.
            keeps_ticket = not self._pooled.is_ready
            self._pool.give_up(self._pooled, self._waiting, keeps_ticket=keeps_ticket)
            self._receiver.end(EngineNotReady(f"{self._pooled.name} was not loaded in time"))

    def _leave(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._waiting:
            assert self._timer
            self._timer.cancel()
            self._pool.give_up(self._pooled, self._waiting)
        else:
            self._pool.leave(self._pooled)
