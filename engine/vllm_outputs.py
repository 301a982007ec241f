"""Tokens from vLLM's engine core to who waits for them, without what only text needs.

For each token of each request vLLM (0.32) makes two objects, keeps a count for a text that is not
asked for here, and merges them again when nobody has fetched the last: a fifth of a front end's
time. Here the ids are handed on as they are, and vLLM's own processor sees of each request the
first step, for its bookkeeping, and the last, to forget it.
"""

from collections.abc import Generator
from time import monotonic
from types import coroutine
from typing import Any

from engine.protocol import Row
from engine.waking import Bell, Waking


class Answer(Waking):
    """The tokens of one request, from the output handler to one task that takes them."""

    __slots__ = ("_error", "_is_over", "_rows", "_tokens", "heard")

    def __init__(self) -> None:
        super().__init__()
        self.heard = monotonic()  # when something came last
        self._tokens: list[int] = []
        self._rows: list[Row] = []
        self._is_over = False
        self._error: Exception | None = None

    @property
    def is_over(self) -> bool:
        """Whether the engine core is done with it."""
        return self._is_over

    def push(self, tokens: list[int], now: float, *, is_over: bool) -> None:
        self.heard = now
        self._tokens += tokens
        self._is_over = is_over
        self.ring()

    def note(self, logprobs: Any) -> None:  # noqa: ANN401 - vLLM's
        """Keep the log probabilities of the tokens that are pushed next."""
        ids, values = logprobs.logprob_token_ids.tolist(), logprobs.logprobs.tolist()
        self._rows += [list(zip(*row, strict=True)) for row in zip(ids, values, strict=True)]

    def take_rows(self) -> list[Row]:
        """Return the log probabilities of the tokens that `take` returned last, if any."""
        rows, self._rows = self._rows, []
        return rows

    def fail(self, error: Exception, *, is_over: bool = True) -> None:
        self._error = error
        self._is_over = is_over
        self.ring()

    @coroutine
    def take(self) -> Generator[Bell, None, list[int]]:
        """All that have come since the last call, one at least; none at the end.

        Raises what the engine has failed with, and `TimeoutError` if it is silent.
        """
        while not (self._tokens or self._is_over or self._error):
            yield self.next_ring()
        if self._error and not self._tokens:
            raise self._error
        tokens, self._tokens = self._tokens, []
        return tokens


class TokenOutputs:
    """Stands before vLLM's `OutputProcessor`, in its place in an `AsyncLLM`.

    `AsyncLLM.add_request` returns a queue; here it has an `Answer` at `answer`, which gets what
    the queue does not.
    """

    def __init__(self, processor: Any) -> None:  # noqa: ANN401 - vLLM's
        self._processor = processor
        self._answers: dict[str, Answer] = {}  # by vLLM's own ids

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else vLLM asks it
        return getattr(self._processor, name)

    def add_request(
        self,
        request: Any,  # noqa: ANN401 - vLLM's, as all of these
        prompt: str | None,
        parent_req: Any = None,  # noqa: ANN401
        request_index: int = 0,
        queue: Any = None,  # noqa: ANN401
    ) -> None:
        self._processor.add_request(request, prompt, parent_req, request_index, queue)
        queue.answer = self._answers[request.request_id] = Answer()

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
            answer = self._answers.get(output.request_id)
            is_over = output.finish_reason is not None
            if answer is None:  # of a request that was given up
                continue
            is_plain = not (is_over or iteration_stats or output.prefill_stats)
            if output.new_logprobs is not None:
                answer.note(output.new_logprobs)
            answer.push(output.new_token_ids, now, is_over=is_over)
            if is_over:
                del self._answers[output.request_id]
            if not is_plain:
                rest.append(output)
        return self._processor.process_outputs(rest, engine_core_timestamp, iteration_stats, **more)

    def abort_requests(self, request_ids: list[str], internal: bool) -> list[str]:  # noqa: FBT001 - vLLM's
        aborted: list[str] = self._processor.abort_requests(request_ids, internal)
        for request_id in aborted:
            self._answers.pop(request_id, None)
        return aborted

    def end_silent(self, since: float) -> None:
        """Those that have heard nothing since then fail; the engine core is not done with them."""
        for answer in list(self._answers.values()):
            if answer.heard < since:
                answer.fail(TimeoutError("no token came in time"), is_over=False)

    def propagate_error(self, error: Exception) -> None:
        for answer in list(self._answers.values()):  # which may give up requests at once
            answer.fail(error)
