"""The way of a call to a model: admit, find, check, guard, rule, quota, generate, write."""

from dataclasses import replace
from threading import Event
from typing import NamedTuple

from engine.chat import TEXT_ONLY
from engine.detokenizer import Detokenizer
from engine.errors import ChatRefused, EngineError
from engine.production import OVER
from engine.protocol import GenerationRequest
from engine.tokenizer import Tokenizer
from invoke_api.pipeline.answer import Answer, Collector, Stream
from invoke_api.pipeline.aside import LONG_BODY, aside
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.engine_errors import to_invoke_error
from invoke_api.pipeline.in_flight import read_body
from invoke_api.pipeline.replies import Reply, json_reply, stream_headers
from invoke_api.pipeline.requests import AnswerWriter, ModelOperation, ModelRequest
from invoke_api.rules.book import RuleBook, TooLongSearch, Verdict
from invoke_api.rules.playing import speak
from invoke_api.rules.rule import Asked
from invoke_api.wire.errors import ValidationException

# Steps of patterns above which the rules search a prompt in a thread: at worst some 5 ms of work.
LONG_SEARCH = 5_000_000


class Prompt(NamedTuple):
    """A request as an engine takes it; `generation` is None if a guardrail has refused it."""

    tokenizer: Tokenizer
    generation: GenerationRequest | None
    writer: AnswerWriter


async def call_model(call: Call, operation: ModelOperation) -> Reply | None:
    """Answer a call to a model. Return None for a stream, which is written here.

    Raises `InvokeError`s, `Broken` and `ClientLeft`.
    """
    call.body = await read_body(call.receive)
    call.open_entry()
    request = await aside(
        call, operation.weigh(call.body), lambda: operation.check(call, operation)
    )
    verdict = None if is_refused(call) else await rule(call, request)
    return await answer(call, operation, request, verdict)


def is_refused(call: Call) -> bool:
    """Tell whether a guardrail has refused the input: then no rule and no engine hears of it."""
    return call.guarding is not None and call.guarding.is_refused


async def rule(call: Call, request: ModelRequest) -> Verdict | None:
    """Return what the rules say. Raises `ValidationException` where no rule may be missing."""
    rules = call.services.rules
    verdict = await pick_rules(call, to_asked(call, request)) if rules else None
    refuse_unruled(rules, verdict)
    return verdict


async def pick_rules(call: Call, asked: Asked) -> Verdict | None:
    """Return the verdict of the rules. Search a long prompt in a thread, not to block other calls.

    Raise `ValidationException` for a prompt that is too long for the patterns of rules, and the
    errors of `aside`.
    """
    rules = call.services.rules
    try:
        if rules.is_quick(asked, LONG_SEARCH):
            return rules.pick(asked)
    except TooLongSearch as error:
        raise ValidationException(str(error)) from error
    is_over = Event()
    try:
        matching = await aside(call, LONG_BODY + 1, lambda: rules.matching(asked, is_over.is_set))
        return rules.pick(asked, matching)
    finally:
        is_over.set()


def refuse_unruled(rules: RuleBook, verdict: Verdict | None) -> None:
    """Raise `ValidationException` for what no rule matches, where rules are `strict`."""
    if verdict is None and rules.strict:
        raise ValidationException("No rule matches this request, and --strict refuses the rest.")


def to_asked(call: Call, request: ModelRequest) -> Asked:
    """Return what rules look at."""
    question = request.question()
    return Asked(
        operation=call.operation,
        model_id=call.known_model.id,
        prompt=question.prompt,
        last_user_message=question.last_user_message,
        turn=question.turn,
        tools=question.tools,
        access_key_id=call.known_caller.access_key_id,
        identifier=call.model_id,
    )


async def answer(
    call: Call, operation: ModelOperation, request: ModelRequest, verdict: Verdict | None
) -> Reply | None:
    """Tokenise the prompt, take the quota, generate the answer and write it."""
    note(call, verdict)
    if verdict and verdict.fails_at_once:
        # Before the tokenizer is asked for: an engine that is not ready has faults, too.
        return await write(call, operation, request, verdict, None)
    try:
        prompt = await read_prompt(call, request)
    except EngineError as error:
        if not to_invoke_error(error, call.known_model.server).in_stream:
            raise to_invoke_error(error, call.known_model.server) from error
        return await write(call, operation, request, verdict, error)  # the model server's word
    if prompt.generation:
        take_quota(call, prompt.generation)
    return await write(call, operation, request, verdict, prompt)


def note(call: Call, verdict: Verdict | None) -> None:
    """Tell the journal who has called which model, and who answers."""
    entry, caller, model = call.known_entry, call.known_caller, call.known_model
    entry.access_key_id, entry.region = caller.access_key_id, caller.region
    entry.model_id = model.id
    entry.rule_id = verdict.rule_id if verdict else None
    is_ruled = verdict is not None and verdict.answers
    entry.engine = "rule" if is_ruled else call.services.engines.of(model).name


async def read_prompt(call: Call, request: ModelRequest) -> Prompt:
    """Raises `EngineError`s, `ChatRefused` among them, and the errors of `aside`."""
    engines = call.services.engines
    # The first prompt of a model may have to wait for its tokenizer to be loaded. Converse over a
    # model of prompts has a template, too.
    warm = (call.known_model.id, call.operation.startswith("Converse"))
    size = max(request.size, 0 if warm in engines.warm else LONG_BODY + 1)
    prompt = await aside(call, size, lambda: _read_prompt(call, request))
    engines.warm.add(warm)
    return prompt


def _read_prompt(call: Call, request: ModelRequest) -> Prompt:
    engines, model = call.services.engines, call.known_model
    tokenizer = engines.tokenizer(model)
    writer = request.writer(tokenizer)
    if is_refused(call):
        return Prompt(tokenizer, None, writer)
    generation = request.generation(tokenizer)
    if adapter := engines.adapter(model):
        generation = replace(generation, adapter=adapter)
    listing = model.listing
    if (generation.images and not listing.sees) or (generation.audio and not listing.hears):
        raise ChatRefused(TEXT_ONLY)
    return Prompt(tokenizer, generation, writer)


def take_quota(call: Call, generation: GenerationRequest) -> None:
    """Take the call's share of the quota. Raises `ThrottlingException`.

    Runs on the event loop, unlike `read_prompt`: work in a thread goes on when its call is
    cancelled, and a share that it took after that would never be given back.
    """
    model, caller = call.known_model, call.known_caller
    call.prompt_tokens = len(generation.prompt)
    call.share = call.services.quotas.take(
        model,
        caller.region,
        caller.access_key_id,
        input_tokens=len(generation.prompt),
        max_tokens=generation.max_tokens,
    )


async def write(
    call: Call,
    operation: ModelOperation,
    request: ModelRequest,
    verdict: Verdict | None,
    source: Prompt | Exception | None,
) -> Reply | None:
    """Write the answer, whole or in frames, as its tokens come.

    `source` is the prompt, or what the model server says of it, or None for a fault at once.
    """
    writer = source.writer if isinstance(source, Prompt) else None
    collector = Collector()
    sink: Collector | Stream = collector
    if operation.streams:
        headers = stream_headers(call, request.stream_headers)
        sink = Stream(call, headers, writer.frames if writer else lambda *_: b"")
    answer = Answer(
        call, sink, server=call.known_model.server, prefix=request.prefix, verdict=verdict
    )
    if call.guarding and writer:
        holds = not operation.streams or not call.guarding.is_async
        answer.guard(holds=holds, native=None if operation.streams else writer.native)
    _begin(call, answer, verdict, source)
    await answer.wait()
    if operation.streams:
        return None
    assert writer, "an answer that ends has a writer"
    assert collector.metrics, "an answer that ends has been measured"
    body = writer.whole(collector.text, collector.finish, collector.metrics, collector.logprobs)
    return json_reply(call, body, more=request.headers(collector.metrics))


def _begin(
    call: Call, answer: Answer, verdict: Verdict | None, source: Prompt | Exception | None
) -> None:
    """Have the engine or a rule push the answer."""
    if source is None:
        answer.begin(lambda _: OVER)
    elif isinstance(source, Exception):
        answer.end(source)
    elif source.generation is None:
        assert call.guarding, "a guardrail has refused it"
        answer.feed([call.guarding.refusal()])
    elif verdict and verdict.answers:
        tokenizer, generation = source.tokenizer, source.generation
        context_length = call.known_model.context_length
        answer.begin(
            lambda receiver: speak(verdict, tokenizer, generation, context_length, receiver),
            lambda: Detokenizer(tokenizer, generation),
        )
    else:
        engine, generation = call.services.engines.of(call.known_model), source.generation
        answer.begin(
            lambda receiver: engine.generate(generation, receiver),
            lambda: Detokenizer(engine.tokenizer(), generation),
        )
