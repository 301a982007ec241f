"""One invocation: checked, and answered by an engine or a rule."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

from starlette.requests import Request

from engine.errors import EngineError
from engine.protocol import Deltas
from invoke_api.authentication.gate import claimed_key
from invoke_api.dialects import Writer
from invoke_api.engines import Engines
from invoke_api.journal import LONGEST, Entry, Journal
from invoke_api.operations.call import Admitted, Operation, admit
from invoke_api.operations.client import read_body
from invoke_api.operations.engine_errors import to_invoke_error
from invoke_api.operations.measured import Measured
from invoke_api.operations.replies import request_id
from invoke_api.quotas import Quotas
from invoke_api.rules.book import RuleBook, Verdict
from invoke_api.rules.playing import faulty, paced, silence, speak
from invoke_api.rules.rule import Asked
from invoke_api.wire.errors import ValidationException

T = TypeVar("T")

# Bodies above this many bytes are checked and tokenised in a thread: about 1 ms of work.
LONG_BODY = 8_192


@dataclass(slots=True, kw_only=True)
class Invocation(Measured):
    """One call on its way through the engine; `repeated` are headers that the answer repeats.

    There is no `writer` where a fault leaves nothing to write.
    """

    writer: Writer | None
    repeated: dict[str, str]


async def open_invocation(request: Request, operation: Operation) -> Invocation:
    """All checks of the front door, the body's last, as on Bedrock; then the rules, if any.

    Raises `InvokeError`s.
    """
    began = monotonic()
    raw = await read_body(request)
    entry = open_entry(request, raw, operation.name, request.path_params["model_id"])

    def check() -> tuple[Admitted, dict[str, Any]]:
        call = admit(request, raw, operation)
        return call, call.model.schema.parse(raw)

    call, body = await aside(len(raw), check)
    rules: RuleBook = request.state.rules
    verdict = rules.pick(to_asked(call, operation, body)) if rules else None
    refuse_unruled(rules, verdict)
    return await to_invocation(request, Opened(call, body, entry, began), verdict)


def refuse_unruled(rules: RuleBook, verdict: Verdict | None) -> None:
    """Raises `ValidationException` for what no rule matches, if that is how it shall be."""
    if verdict is None and rules.strict:
        raise ValidationException("No rule matches this request, and --strict refuses the rest.")


@dataclass(frozen=True, slots=True)
class Opened:
    """A call that has passed the front door; `body` has its defaults filled in."""

    call: Admitted
    body: dict[str, Any]
    entry: Entry
    began: float


async def to_invocation(request: Request, opened: Opened, verdict: Verdict | None) -> Invocation:
    """The call with what answers it: an engine, a rule, or both. Raises `InvokeError`s."""
    call, entry = opened.call, opened.entry
    entry.access_key_id, entry.region = call.caller.access_key_id, call.caller.region
    entry.model_id = call.model.id
    engines: Engines = request.state.engines
    engine = engines.of(call.model)
    entry.rule_id = verdict.rule_id if verdict else None
    entry.engine = "rule" if verdict and verdict.answers else engine.name
    if verdict and verdict.fault and verdict.fault.after_tokens is None:
        # Before the tokenizer is asked for: an engine that is not ready has faults, too.
        source, writer = faulty(silence(), verdict.fault, call.model.id), None
    else:
        # The first prompt of a model may have to wait for its tokenizer to be loaded.
        size = len(entry.body) if call.model.id in engines.warm else LONG_BODY + 1
        source, writer = await aside(size, lambda: open_source(request, opened, verdict))
    return Invocation(
        source=source,
        writer=writer,
        entry=entry,
        repeated=call.repeated,
        began=opened.began,
        calls=request.state.calls,
    )


def open_entry(request: Request, raw: bytes, operation: str, model_id: str) -> Entry:
    """The journal's entry of a call of which nothing is known yet but who says to be calling."""
    entry = Entry(
        request_id=request_id(request),
        operation=operation,
        model_id=model_id,
        headers=tuple(request.scope["headers"]),
        body=raw[:LONGEST],
        access_key_id=claimed_key(request.headers.get("Authorization", "")),
    )
    journal: Journal = request.state.journal
    journal.add(entry)
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
        tools=question.tools,
        access_key_id=call.caller.access_key_id,
    )


def open_source(request: Request, opened: Opened, verdict: Verdict | None) -> tuple[Deltas, Writer]:
    """The deltas of one call, the engine's or what a rule makes of it, and who writes them down.

    Raises `InvokeError`s.
    """
    engines: Engines = request.state.engines
    model, engine = opened.call.model, engines.of(opened.call.model)
    try:
        tokenizer = engines.tokenizer(model)
        generation = model.dialect.to_request(
            opened.body, tokenizer, model.context_length, request_id(request)
        )
    except EngineError as error:
        raise to_invoke_error(error) from error
    engines.warm.add(model.id)
    writer = model.dialect.writer(opened.body, tokenizer, request_id(request))
    tokens = len(generation.prompt) + generation.max_tokens
    quotas: Quotas = request.state.quotas
    caller = opened.call.caller
    share = quotas.take(model, caller.region, caller.access_key_id, tokens)
    if verdict and verdict.answers:
        source = speak(verdict, tokenizer, generation, model.context_length)
    else:
        source = engine.generate(generation)
    if share:
        source = share.metered(source, len(generation.prompt))
    if verdict and verdict.fault:
        source = faulty(source, verdict.fault, model.id)
    return paced(source, verdict.pace) if verdict and verdict.pace else source, writer
