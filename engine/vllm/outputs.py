"""Tokens from vLLM's engine core to their receivers, without what only text needs.

For each token of each request vLLM (0.32) makes two objects, keeps a count for a text that is not
asked for here, and merges them again when nobody has fetched the last: a fifth of a front end's
time. Here the ids are handed on as they are, and vLLM's own processor sees of each request the
first step, for its bookkeeping, and the last, to forget it.
`tests/engine/vllm/test_reliance.py` says what of vLLM this rests on.
"""

import asyncio
import logging
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Any

from engine.errors import EngineDead, EngineTimeout
from engine.generation_task import BATCH
from engine.protocol import Finish, Receiver, Row

log = logging.getLogger(__name__)

FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


class Answer:
    """The generation of one request, from vLLM's output handler to the receiver.

    `adding` adds the request to vLLM, which gives it a `request_id` then. `on_end` is called once,
    when the generation is over; unless vLLM `is_done` with the request, it is to be aborted.
    """

    __slots__ = (
        "_error",
        "_finish",
        "_is_flushing",
        "_is_over",
        "_is_paused",
        "_loop",
        "_on_end",
        "_receiver",
        "_rows",
        "_tokens",
        "adding",
        "heard",
        "is_done",
        "request_id",
    )

    def __init__(self, receiver: Receiver, on_end: Callable[["Answer"], None]) -> None:
        self.request_id: str | None = None
        self.adding: asyncio.Task[None] | None = None
        self.is_done = False
        self.heard = monotonic()  # when something came last
        self._receiver = receiver
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._is_paused = False
        self._is_flushing = False
        self._is_over = False
        # Kept until the receiver may hear of it: the tokens first.
        self._tokens: list[int] = []
        self._rows: list[Row] = []
        self._finish: Finish | None = None
        self._error: Exception | None = None

    def cancel(self) -> None:
        if not self._is_over:
            self._end()

    def pause(self) -> None:
        self._is_paused = True

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.heard = monotonic()  # while it was paused, it was not silent
            self._flush_soon()

    def push(self, output: Any, now: float) -> None:  # noqa: ANN401 - vLLM's EngineCoreOutput
        self.heard = now
        self._tokens += output.new_token_ids
        if output.new_logprobs is not None:
            self._rows += _to_rows(output.new_logprobs)
        if output.finish_reason is not None:
            self.is_done = True
            reason = str(output.finish_reason)
            self._finish = FINISHES.get(reason)
            if self._finish is None:
                self._error = EngineDead(f"vLLM has ended the answer: {reason}")
        self._flush_now()

    def fail(self, error: Exception) -> None:
        if self._finish is None:
            self._error = self._error or error
            self._flush_now()

    def is_silent(self, since: float) -> bool:
        return self.heard < since and not self._is_paused

    def _flush_now(self) -> None:
        if not (self._is_paused or self._is_flushing):
            self._flush()

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush_on)

    def _flush_on(self) -> None:
        self._is_flushing = False
        self._flush_now()

    def _flush(self) -> None:
        """Tell the receiver what there is, in batches if there is much."""
        if self._is_over:
            return
        tokens, rows = self._tokens, self._rows
        self._tokens, self._rows = tokens[BATCH:], rows[BATCH:]
        if self._tokens:
            self._receiver.push(tokens[:BATCH], None, rows[:BATCH])
            self._flush_soon()
            return
        if self._finish:
            self._end()
        if tokens or self._finish:
            self._receiver.push(tokens, self._finish, rows)
        if self._error and not (self._is_over or self._is_paused):  # by what it has just heard
            self._end()
            self._receiver.end(self._error)

    def _end(self) -> None:
        self._is_over = True
        if self.adding:
            self.adding.cancel()
        self._on_end(self)


# The answer to the request that this task adds to vLLM: `AsyncLLM` hands nothing of ours on.
ADDED: ContextVar[Answer] = ContextVar("ADDED")


class TokenOutputs:
    """Stands before vLLM's `OutputProcessor`, in its place in an `AsyncLLM`."""

    def __init__(self, processor: Any) -> None:  # noqa: ANN401 - vLLM's
        self._processor = processor
        self._answers: dict[str, Answer] = {}  # by vLLM's own ids

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else vLLM asks it
        return getattr(self._processor, name)

    def add_request(self, request: Any, *more: Any, **named: Any) -> None:  # noqa: ANN401 - vLLM's, as all of these
        self._processor.add_request(request, *more, **named)
        answer = ADDED.get()
        answer.request_id = request.request_id
        self._answers[request.request_id] = answer

    def process_outputs(
        self,
        engine_core_outputs: list[Any],
        engine_core_timestamp: float | None = None,
        iteration_stats: Any = None,  # noqa: ANN401
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """With `iteration_stats` vLLM's processor sees every step, for it counts them."""
        rest, now = [], monotonic()
        for output in engine_core_outputs:
            is_over = output.finish_reason is not None
            take = self._answers.pop if is_over else self._answers.get
            answer = take(output.request_id, None)
            if answer is None:  # of a request that was given up
                continue
            try:
                answer.push(output, now)
            except Exception:  # else vLLM takes its engine core for dead, and ends all requests
                log.exception("a receiver of tokens has failed")
                answer.cancel()
            if is_over or iteration_stats or output.prefill_stats:
                rest.append(output)
        return self._processor.process_outputs(rest, engine_core_timestamp, iteration_stats, **more)

    def abort_requests(self, request_ids: list[str], internal: bool) -> list[str]:  # noqa: FBT001 - vLLM's
        aborted: list[str] = self._processor.abort_requests(request_ids, internal)
        for request_id in aborted:
            if answer := self._answers.pop(request_id, None):
                answer.is_done = True
                answer.fail(EngineDead("vLLM has aborted the request"))
        return aborted

    def end_silent(self, since: float) -> None:
        """Fail the answers that have heard nothing since then, unless they are paused."""
        for answer in list(self._answers.values()):
            if answer.is_silent(since):
                answer.fail(EngineTimeout("no token came in time"))

    def propagate_error(self, error: Exception) -> None:
        """Fail all answers: the engine core is lost, or vLLM's output handler."""
        for answer in list(self._answers.values()):  # which may give up requests at once
            answer.is_done = True
            answer.fail(EngineDead(str(error)))


def _to_rows(logprobs: Any) -> list[Row]:  # noqa: ANN401 - vLLM's
    ids, values = logprobs.logprob_token_ids.tolist(), logprobs.logprobs.tolist()
    return [list(zip(*row, strict=True)) for row in zip(ids, values, strict=True)]
