"""A generation that may have to wait until its engine is loaded."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import EngineNotReady
from engine.lifecycle.swap_policy import Call, Guest
from engine.protocol import Finish, Generation, GenerationRequest, Receiver, Row

if TYPE_CHECKING:
    from engine.lifecycle.lru_pool import Places


class QueuedGeneration:
    """The generation as its caller has it, and the receiver of the one that the engine begins.

    It takes part in `Places` until it is over, however it ends.
    """

    def __init__(
        self, places: "Places", guest: Guest, request: GenerationRequest, receiver: Receiver
    ) -> None:
        self._places = places
        self._guest = guest
        self._request = request
        self._receiver = receiver
        self._waiting: Call | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._generation: Generation | None = None
        self._is_paused = False
        self._is_over = False

    def enter(self) -> None:
        """Begin, or wait for that. Raises what `Places.enter` and the engine raise."""
        self._waiting = self._places.enter(self._guest)
        if self._waiting is None:
            self._begin()
            return
        self._waiting.add_done_callback(self._hear)
        seconds = self._guest.limits.load_seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wait_no_longer)

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
            self._generation = self._guest.engine.generate(self._request, self)
        except Exception:
            self._leave()
            raise

    def _begin_late(self) -> None:
        if self._is_paused:  # an engine may push before it can be paused
            return
        try:
            self._begin()
        except Exception as error:  # noqa: BLE001 - the receiver raises it where it is awaited
            self._receiver.end(error)

    def _hear(self, call: Call) -> None:
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

    def _wait_no_longer(self) -> None:
        assert self._waiting
        if not self._waiting.done():
            self._is_over = True
            # One that is away stays wanted, so that it is there when the client comes again. For
            # one that is awake nobody waits any more, and others need not wait behind it.
            is_wanted = not self._guest.is_ready
            self._places.give_up(self._guest, self._waiting, is_wanted=is_wanted)
            self._receiver.end(EngineNotReady(f"{self._guest.name} did not wake in time"))

    def _leave(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._waiting:
            assert self._timer
            self._timer.cancel()
            self._places.give_up(self._guest, self._waiting)
        else:
            self._places.leave(self._guest)
