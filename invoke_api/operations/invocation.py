"""One invocation: checked, answered by an engine or a rule, measured, noted in the journal."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request

from engine.errors import EngineError
from engine.protocol import Delta, Deltas, Usage
from invoke_api.authentication.gate import claimed_key
from invoke_api.dialects import Dialect
from invoke_api.dialects.invocation import Metrics
from invoke_api.journal import LONGEST, Entry
from invoke_api.operations.call import Admitted, Operation, admit
from invoke_api.operations.client import Calls, read_body
from invoke_api.operations.engine_errors import to_invoke_error
from invoke_api.operations.replies import request_id
from invoke_api.operations.services import services_of
from invoke_api.rules.book import Verdict
from invoke_api.rules.playing import Broken, faulty, paced, silence, singly, speak
from invoke_api.rules.rule import Asked
from invoke_api.wire.errors import (
    InternalServerException,
    InvokeError,
    ServiceUnavailableException,
    ValidationException,
)

T = TypeVar("T")

log = logging.getLogger(__name__)

# Bodies above this many bytes are checked and tokenised in a thread: about 1 ms of work.
LONG_BODY = 8_192


@dataclass(slots=True)
class Invocation:
    """One call on its way through the engine, and what is measured of it."""

    source: Deltas
    dialect: Dialect
    entry: Entry
    repeated: dict[str, str]
    began: float
    calls: Calls
    first_delta: float | None = None
    usage: Usage = field(default=Usage(0, 0))

    async def deltas(self) -> Deltas:
        """The engine's deltas, its errors in Bedrock's words; the journal learns how it ends."""
        try:
            async with aclosing(self.source) as deltas:
                async for batch in deltas:
                    self.first_delta = self.first_delta or monotonic()
                    self.entry.texts += [delta.text for delta in batch]
                    if batch[-1].finish:
                        self._end(batch[-1])
                    yield batch
                    if batch[-1].finish:
                        return
            _miss_the_end()
        except GeneratorExit:
            self.entry.end("cancelled")
            raise
        except BaseException as error:
            told = self._tell(error)
            if told is error:
                raise
            raise told from error

    def _end(self, delta: Delta) -> None:
        assert delta.finish, "the last delta has a finish"
        self.usage = delta.usage or self.usage
        metrics = self.metrics()
        self.entry.input_tokens = metrics.input_tokens
        self.entry.output_tokens = metrics.output_tokens
        self.entry.latency = metrics.latency
        self.entry.first_byte_latency = metrics.first_byte_latency
        self.entry.end(delta.finish)

    def _tell(self, error: BaseException) -> BaseException:
        """What to raise for this error: an `InvokeError`, unless nobody is there to read it."""
        if isinstance(error, Broken):
            self.entry.end("cut")
            return error
        if isinstance(error, asyncio.CancelledError) and not self.calls.ending:
            self.entry.end("cancelled")
            return error
        told = _to_invoke_error(error)
        if isinstance(told, InternalServerException) and told is not error:  # not a rule's
            log.error("request %s failed", self.entry.request_id, exc_info=error)
        self.entry.fail(told, in_stream=told.in_stream or bool(self.entry.texts))
        return told

    def metrics(self) -> Metrics:
        now = monotonic()
        return Metrics(
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            latency=round(1000 * (now - self.began)),
            first_byte_latency=round(1000 * ((self.first_delta or now) - self.began)),
        )


def _miss_the_end() -> NoReturn:
    raise RuntimeError("the engine stopped without a finish")


def _to_invoke_error(error: BaseException) -> InvokeError:
    if isinstance(error, InvokeError):  # a rule's
        return error
    if isinstance(error, asyncio.CancelledError):  # the service ends
        return ServiceUnavailableException()
    return to_invoke_error(error) if isinstance(error, EngineError) else InternalServerException()


async def open_invocation(request: Request, operation: Operation) -> Invocation:
    """All checks of the front door, the body's last, as on Bedrock; then the rules, if any.

    Raises `InvokeError`s.
    """
    began = monotonic()
    raw = await read_body(request)
    entry = open_entry(request, raw, operation)

    def check() -> tuple[Admitted, dict[str, Any]]:
        call = admit(request, raw, operation)
        return call, call.model.schema.parse(raw)

    call, body = await aside(len(raw), check)
    entry.access_key_id, entry.region = call.caller.access_key_id, call.caller.region
    entry.model_id = call.model.id
    services = services_of(request)
    rules, engines = services.rules, services.engines
    verdict = rules.pick(to_asked(call, operation, body)) if rules else None
    if verdict is None and rules.strict:
        raise ValidationException("No rule matches this request, and --strict refuses the rest.")
    entry.rule_id = verdict.rule_id if verdict else None
    by_rule = verdict is not None and verdict.text is not None
    entry.engine = "rule" if by_rule else engines.of(call.model).name
    source = await aside(len(raw), lambda: open_source(request, call, body, verdict))
    return Invocation(source, call.model.dialect, entry, call.repeated, began, services.calls)


def open_entry(request: Request, raw: bytes, operation: Operation) -> Entry:
    """The journal's entry of a call of which nothing is known yet but who says to be calling."""
    entry = Entry(
        request_id=request_id(request),
        operation=operation.name,
        model_id=request.path_params["model_id"],
        headers=tuple(request.scope["headers"]),
        body=raw[:LONGEST],
        access_key_id=claimed_key(request.headers.get("Authorization", "")),
    )
    services_of(request).journal.add(entry)
    request.scope["entry"] = entry
    return entry


async def aside(size: int, work: Callable[[], T]) -> T:
    """The result of work on a body of so many bytes, in a thread if it may take long."""
    return await asyncio.to_thread(work) if size > LONG_BODY else work()


def to_asked(call: Admitted, operation: Operation, body: dict[str, Any]) -> Asked:
    question = call.model.dialect.to_question(body)
    return Asked(
        operation=operation.name,
        model_id=call.model.id,
        prompt=question.prompt,
        last_user_message=question.last_user_message,
        turn=question.turn,
        access_key_id=call.caller.access_key_id,
    )


def open_source(
    request: Request, call: Admitted, body: dict[str, Any], verdict: Verdict | None
) -> Deltas:
    """The deltas of one call: the engine's, or what a rule makes of it. Raises `InvokeError`s."""
    if verdict and verdict.fault and verdict.fault.after_tokens is None:
        # Before the tokenizer is asked for: an engine that is not ready has faults, too.
        return faulty(silence(), verdict.fault, call.model.id)
    services = services_of(request)
    model, engine = call.model, services.engines.of(call.model)
    try:
        tokenizer = engine.tokenizer()
        generation = model.dialect.to_request(
            body, tokenizer, model.context_length, request_id(request)
        )
    except EngineError as error:
        raise to_invoke_error(error) from error
    tokens = len(generation.prompt) + generation.max_tokens
    caller = call.caller
    share = services.quotas.take(model, caller.region, caller.access_key_id, tokens)
    if verdict is None or verdict.text is None:
        source = engine.generate(generation)
    else:
        source = speak(verdict.text, tokenizer, generation, model.context_length)
    if verdict and (verdict.fault or verdict.pace):
        source = singly(source)
    if share:
        source = share.metered(source, len(generation.prompt))
    if verdict and verdict.fault:
        source = faulty(source, verdict.fault, model.id)
    return paced(source, verdict.pace) if verdict and verdict.pace else source
