"""One invocation: checked, and answered by an engine or a rule."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic
from typing import Generic, NamedTuple, TypeVar

from starlette.requests import Request

from engine.chat import TEXT_ONLY
from engine.errors import ChatRefused, EngineError
from engine.protocol import Deltas, GenerationRequest
from engine.tokenizer import Tokenizer
from invoke_api.authentication.gate import claimed_key
from invoke_api.dialects.invocation import Question
from invoke_api.guardrails.guarding import Guarding
from invoke_api.journal import LONGEST, Entry
from invoke_api.operations.aside import LONG_BODY, aside
from invoke_api.operations.call import Admitted
from invoke_api.operations.client import read_body
from invoke_api.operations.engine_errors import to_invoke_error
from invoke_api.operations.measured import Measured
from invoke_api.operations.replies import request_id
from invoke_api.operations.services import services_of
from invoke_api.rules.book import RuleBook, TooLongSearch, Verdict
from invoke_api.rules.playing import bounded, faulty, paced, refusing, silence, singly, speak
from invoke_api.rules.rule import Asked
from invoke_api.wire.errors import ValidationException

W = TypeVar("W")

# Steps of patterns above which the rules search a prompt in a thread: at worst some 5 ms of work.
LONG_SEARCH = 5_000_000


class Prepared(NamedTuple, Generic[W]):
    """A call that has passed the front door: who asks, and how to go on.

    `question` is for rules, which need not be there. `generation` makes the engine's request, and
    may raise `ChatRefused`; `writer` makes what writes the answer down. `size` is how much there is
    to tokenise, in bytes or characters. `prefix` stands before what the model server refuses.
    `guarding` has looked at what is asked, and is to look at the answer.
    """

    call: Admitted
    question: Callable[[], Question]
    generation: Callable[[Tokenizer], GenerationRequest]
    writer: Callable[[Tokenizer], W]
    size: int
    prefix: str = ""
    guarding: Guarding | None = None


@dataclass(slots=True, kw_only=True)
class Invocation(Measured, Generic[W]):
    """One call on its way through the engine.

    There is no `writer` where a fault leaves nothing to write.
    """

    writer: W | None
    call: Admitted
    guarding: Guarding | None = None

    def guarded_deltas(self) -> Deltas:
        """Return the deltas that a stream may send; a guardrail may have held all of them."""
        return bounded(self.guarding.stream(self.deltas())) if self.guarding else self.deltas()


async def open_invocation(
    request: Request,
    operation: str,
    prepare: Callable[[bytes], Prepared[W]],
    weigh: Callable[[bytes], int],
) -> Invocation[W]:
    """All checks of the front door, which `prepare` makes; then the rules, if any.

    `weigh` says of a body how many bytes its checks will be as long as.

    Raises `InvokeError`s.
    """
    began = monotonic()
    raw = await read_body(request)
    entry = open_entry(request, raw, operation, request.path_params["model_id"])
    prepared = await aside(request, weigh(raw), lambda: prepare(raw))
    rules = services_of(request).rules
    if prepared.guarding and prepared.guarding.is_refused:  # rules are told of what a model is told
        return await to_invocation(request, prepared, None, entry, began)
    verdict = await pick_rules(request, to_asked(prepared, operation)) if rules else None
    refuse_unruled(rules, verdict)
    return await to_invocation(request, prepared, verdict, entry, began)


async def pick_rules(request: Request, asked: Asked) -> Verdict | None:
    """Return the verdict of the rules. Search a long prompt in a thread, not to block other calls.

    Raise `ValidationException` for a prompt that is too long for the patterns of rules, and the
    errors of `aside`.
    """
    rules = services_of(request).rules
    try:
        if rules.is_quick(asked, LONG_SEARCH):
            return rules.pick(asked)
    except TooLongSearch as error:
        raise ValidationException(str(error)) from error
    is_over = Event()
    try:
        matching = await aside(
            request, LONG_BODY + 1, lambda: rules.matching(asked, is_over.is_set)
        )
        return rules.pick(asked, matching)
    finally:
        is_over.set()


def refuse_unruled(rules: RuleBook, verdict: Verdict | None) -> None:
    """Raises `ValidationException` for what no rule matches, if that is how it shall be."""
    if verdict is None and rules.strict:
        raise ValidationException("No rule matches this request, and --strict refuses the rest.")


async def to_invocation(
    request: Request, prepared: Prepared[W], verdict: Verdict | None, entry: Entry, began: float
) -> Invocation[W]:
    """The call with what answers it: an engine, a rule, or both. Raises `InvokeError`s."""
    call = prepared.call
    entry.access_key_id, entry.region = call.caller.access_key_id, call.caller.region
    entry.model_id = call.model.id
    services = services_of(request)
    engines = services.engines
    entry.rule_id = verdict.rule_id if verdict else None
    entry.engine = "rule" if verdict and verdict.answers else engines.of(call.model).name
    writer: W | None = None
    if verdict and verdict.fault and verdict.fault.after_tokens is None:
        # Before the tokenizer is asked for: an engine that is not ready has faults, too.
        source = faulty(silence(), verdict.fault, call.model.id)
    else:
        # The first prompt of a model may have to wait for its tokenizer to be loaded.
        # Converse over a model of prompts has a template, too.
        warm = (call.model.id, entry.operation.startswith("Converse"))
        size = max(prepared.size, 0 if warm in engines.warm else LONG_BODY + 1)
        opened = await open_source(request, prepared, verdict, size)
        source, writer = opened
        engines.warm.add(warm)
    return Invocation(
        source=source,
        writer=writer,
        call=call,
        entry=entry,
        began=began,
        calls=services.calls,
        server=call.model.server,
        prefix=prepared.prefix,
        guarding=prepared.guarding,
        is_held=prepared.guarding is not None and not prepared.guarding.is_async,
    )


def open_entry(request: Request, raw: bytes, operation: str, model_id: str) -> Entry:
    """The journal's entry of a call of which nothing is known yet but who says to be calling."""
    headers = tuple(request.scope["headers"])
    authorization = next((value for name, value in headers if name == b"authorization"), b"")
    entry = Entry(
        request_id=request_id(request),
        operation=operation,
        model_id=model_id,
        headers=headers,
        body=raw[:LONGEST],
        access_key_id=claimed_key(authorization.decode("latin-1")),
    )
    services_of(request).journal.add(entry)
    request.scope["entry"] = entry
    return entry


def to_asked(prepared: Prepared[W], operation: str) -> Asked:
    question, call = prepared.question(), prepared.call
    return Asked(
        operation=operation,
        model_id=call.model.id,
        prompt=question.prompt,
        last_user_message=question.last_user_message,
        turn=question.turn,
        tools=question.tools,
        access_key_id=call.caller.access_key_id,
        identifier=call.identifier,
    )


async def open_source(
    request: Request, prepared: Prepared[W], verdict: Verdict | None, size: int
) -> tuple[Deltas, W | None]:
    """Return the deltas of one call, from the engine or a rule, and the writer of the answer.

    `size` estimates the cost of reading the prompt, in bytes. Raise `InvokeError`s.
    """
    try:
        tokenizer, generation = await aside(request, size, lambda: read_prompt(request, prepared))
    except EngineError as error:
        told = to_invoke_error(error, prepared.call.model.server)
        if told.in_stream:  # the model server's word
            return refusing(error), None
        raise told from error
    writer = prepared.writer(tokenizer)
    if generation is None:
        assert prepared.guarding, "a guardrail has refused it"
        return prepared.guarding.refuse(), writer
    return start_source(request, prepared.call, verdict, tokenizer, generation), writer


def read_prompt(
    request: Request, prepared: Prepared[W]
) -> tuple[Tokenizer, GenerationRequest | None]:
    """Return the tokenizer and the engine's request, which is None if a guardrail has refused it.

    Take nothing from a quota. Raise `EngineError`s, `ChatRefused` among them.
    """
    model = prepared.call.model
    tokenizer = services_of(request).engines.tokenizer(model)
    if prepared.guarding and prepared.guarding.is_refused:
        return tokenizer, None
    generation = prepared.generation(tokenizer)
    if adapter := services_of(request).engines.adapter(model):
        generation = replace(generation, adapter=adapter)
    listing = model.listing
    if (generation.images and not listing.sees) or (generation.audio and not listing.hears):
        raise ChatRefused(TEXT_ONLY)
    return tokenizer, generation


def start_source(
    request: Request,
    call: Admitted,
    verdict: Verdict | None,
    tokenizer: Tokenizer,
    generation: GenerationRequest,
) -> Deltas:
    """Take the call's share of the quota and return its deltas. Raise `ThrottlingException`.

    Runs on the event loop, unlike `read_prompt`: work in a thread goes on when its call is
    cancelled, and a share that it took after that would never be given back.
    """
    services = services_of(request)
    model, caller = call.model, call.caller
    tokens = len(generation.prompt) + generation.max_tokens
    share = services.quotas.take(model, caller.region, caller.access_key_id, tokens)
    if verdict and verdict.answers:
        source = speak(verdict, tokenizer, generation, model.context_length)
    else:
        source = services.engines.of(model).generate(generation)
    request.scope["prompt_tokens"] = len(generation.prompt)  # for the metrics of what breaks off
    if share:
        request.scope["share"] = share
        source = share.metered(source, len(generation.prompt))
    return _play(source, verdict, model.id)


def _play(source: Deltas, verdict: Verdict | None, model_id: str) -> Deltas:
    """The deltas with the faults and at the pace of a rule."""
    if verdict and (verdict.fault or verdict.pace):
        source = singly(source)
    if verdict and verdict.fault:
        source = faulty(source, verdict.fault, model_id)
    if verdict and verdict.pace:
        source = paced(source, verdict.pace)
    return source
