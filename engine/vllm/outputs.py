"""Delivery of tokens from vLLM's engine core to their receivers, without vLLM's detokenizer.

For each token of each request vLLM (0.32) creates two objects, counts tokens for a text that is not
requested here, and merges outputs that nobody has fetched: a fifth of a front end's time. Here the
ids go directly to the receiver. vLLM's own processor gets only the first step of a request, for its
bookkeeping, and the last one, to forget it.
`tests/engine/vllm/test_reliance.py` tests the assumptions about vLLM.
"""

import asyncio
import logging
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from typing import Any

from engine.errors import EngineDead, EngineTimeout
from engine.generation_task import BATCH_TOKENS
from engine.protocol import FINISHES, Finish, Receiver, Row

log = logging.getLogger(__name__)


class VllmGeneration:
    """The generation of one request, from vLLM's output handler to the receiver.

    The task `adding` adds the request to vLLM, which assigns its `request_id`. `on_end` is called
    once, when the generation is over; it must abort the request unless vLLM `is_done` with it.
    """

    __slots__ = (
        "_error",
        "_finish",
        "_is_flushing",
        "_is_over",
        "_is_paused",
        "_loop",
        "_on_end",
        "_prompt_rows",
        "_receiver",
        "_rows",
        "_tokens",
        "adding",
        "is_done",
        "last_output_at",
        "request_id",
    )

    def __init__(self, receiver: Receiver, on_end: Callable[["VllmGeneration"], None]) -> None:
        self.request_id: str | None = None
        self.adding: asyncio.Task[None] | None = None
        self.is_done = False
        self.last_output_at = monotonic()
        self._receiver = receiver
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._is_paused = False
        self._is_flushing = False
        self._is_over = False
        # Buffered while paused or flushing: the tokens first, then the finish or the error.
        self._tokens: list[int] = []
        self._rows: list[Row] = []
        self._prompt_rows: list[Row] = []  # only before the first push
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
            self.last_output_at = monotonic()  # a pause does not count as a stall
            self._flush_soon()

    def push(self, output: Any, now: float) -> None:  # noqa: ANN401 - vLLM's EngineCoreOutput
        self.last_output_at = now
        if output.new_prompt_logprobs_tensors is not None:  # with the first token
            self._prompt_rows = _to_prompt_rows(output.new_prompt_logprobs_tensors)
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
        return self.last_output_at < since and not self._is_paused

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
        """Push the buffered tokens in batches, then the finish or the error."""
        if self._is_over:
            return
        tokens, rows = self._tokens, self._rows
        self._tokens, self._rows = tokens[BATCH_TOKENS:], rows[BATCH_TOKENS:]
        if prompt_rows := self._prompt_rows:
            self._prompt_rows = []
        if self._tokens:
            self._receiver.push(tokens[:BATCH_TOKENS], None, prompt_rows + rows[:BATCH_TOKENS])
            self._flush_soon()
            return
        if self._finish:
            self._end()
        if tokens or self._finish:
            self._receiver.push(tokens, self._finish, prompt_rows + rows)
        # The push may have cancelled or paused it.
        if self._error and not (self._is_over or self._is_paused):
            self._end()
            self._receiver.end(self._error)

    def _end(self) -> None:
        self._is_over = True
        if self.adding:
            self.adding.cancel()
        self._on_end(self)


# The generation whose request this task adds: `AsyncLLM.add_request` passes no such argument on.
CURRENT_GENERATION: ContextVar[VllmGeneration] = ContextVar("CURRENT_GENERATION")


class TokenOutputs:
    """A wrapper of vLLM's `OutputProcessor`, which it replaces in an `AsyncLLM`."""

    def __init__(self, processor: Any) -> None:  # noqa: ANN401 - vLLM's
        self._processor = processor
        self._generations: dict[str, VllmGeneration] = {}  # by vLLM's own ids

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - vLLM's
        return getattr(self._processor, name)

    def add_request(self, request: Any, *more: Any, **named: Any) -> None:  # noqa: ANN401 - vLLM's
        self._processor.add_request(request, *more, **named)
        generation = CURRENT_GENERATION.get()
        generation.request_id = request.request_id
        self._generations[request.request_id] = generation

    def process_outputs(
        self,
        engine_core_outputs: list[Any],
        engine_core_timestamp: float | None = None,
        iteration_stats: Any = None,  # noqa: ANN401
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Push the tokens of a step.

        With `iteration_stats` vLLM's processor gets every step, because it counts them.
        """
        rest, now = [], monotonic()
        for output in engine_core_outputs:
            is_over = output.finish_reason is not None
            take = self._generations.pop if is_over else self._generations.get
            generation = take(output.request_id, None)
            if generation is None:  # an aborted request
                continue
            try:
                generation.push(output, now)
            except Exception:  # else vLLM marks its core as dead and ends all requests
                log.exception("a receiver of tokens has failed")
                generation.cancel()
            if is_over or iteration_stats or output.prefill_stats:
                rest.append(output)
        return self._processor.process_outputs(rest, engine_core_timestamp, iteration_stats, **more)

    def abort_requests(self, request_ids: list[str], internal: bool) -> list[str]:  # noqa: FBT001 - vLLM's
        aborted: list[str] = self._processor.abort_requests(request_ids, internal)
        for request_id in aborted:
            if generation := self._generations.pop(request_id, None):
                generation.is_done = True
                generation.fail(EngineDead("vLLM has aborted the request"))
        return aborted

    def end_silent(self, since: float) -> None:
        """Fail the generations that had no output since then, unless they are paused."""
        for generation in list(self._generations.values()):
            if generation.is_silent(since):
                generation.fail(EngineTimeout("no token came in time"))

    def propagate_error(self, error: Exception) -> None:
        """Fail all generations: the engine core or vLLM's output handler is lost."""
        for generation in list(self._generations.values()):  # `fail` may change the dict
            generation.is_done = True
            generation.fail(EngineDead(str(error)))


def _to_rows(logprobs: Any) -> list[Row]:  # noqa: ANN401 - vLLM's
    ids, values = logprobs.logprob_token_ids.tolist(), logprobs.logprobs.tolist()
    return [list(zip(*row, strict=True)) for row in zip(ids, values, strict=True)]


def _to_prompt_rows(logprobs: Any) -> list[Row]:  # noqa: ANN401 - vLLM's
    ranks = logprobs.selected_token_ranks.tolist()
    return [
        [(*chosen[:2], rank), *likeliest]
        for (chosen, *likeliest), rank in zip(_to_rows(logprobs), ranks, strict=True)
    ]
