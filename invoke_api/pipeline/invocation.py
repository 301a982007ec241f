"""The way of a call to a model: admit, find, check, guard, rule, quota, generate, write."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from threading import Event
from typing import NamedTuple

from engine.detokenizer import Detokenizer
from engine.errors import ChatRefused, EngineError
from engine.generation_task import OVER
from engine.protocol import GenerationRequest
from engine.tokenization.chat_template import TEXT_ONLY
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.pipeline.answer import Answer, Collector, Stream
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.engine_errors import to_invoke_error
from invoke_api.pipeline.model_request import AnswerWriter, ModelOperation, ModelRequest
from invoke_api.pipeline.offload import LONG_BODY, aside
from invoke_api.pipeline.responses import Reply, json_reply, stream_headers
from invoke_api.rules.playback import speak
from invoke_api.rules.rule import Asked
from invoke_api.rules.rule_book import RuleBook, TooLongSearch, Verdict
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
    await call.read_body()
    call.open_entry()
    request = await check(call, operation)
    invocation = Invocation(call, operation, request)
    verdict = None if invocation.is_refused else await invocation.rule()
    return await invocation.answer(verdict)


async def check(call: Call, operation: ModelOperation) -> ModelRequest:
    """Admit the caller, find the model, check the body, and show it to the guardrail.

    Raises `InvokeError`s.
    """
    return await aside(call, operation.weigh(call.body), lambda: operation.check(call, operation))


class Invocation:
    """A call to a model whose request has passed its checks."""

    def __init__(self, call: Call, operation: ModelOperation, request: ModelRequest) -> None:
        assert call.caller, "a call that has been checked has been admitted"
        assert call.model, "its model has been found"
        assert call.entry, "its body has come"
        self._call = call
        self._operation = operation
        self._request = request
        self._caller = call.caller
        self._model = call.model
        self._entry = call.entry
        self._services = call.services
        self._engine = call.services.engines.of(call.model)
        self._adapter = call.services.engines.adapter(call.model)

    @property
    def is_refused(self) -> bool:
        """Tell whether a guardrail has refused the input: no rule and no engine hears of it."""
        return self._call.guarding is not None and self._call.guarding.is_refused

    async def rule(self) -> Verdict | None:
        """Return what the rules say. Raises `ValidationException` if `strict` rules say nothing."""
        rules = self._services.rules
        verdict = await pick_rules(self._call, self._to_asked()) if rules else None
        refuse_unruled(rules, verdict)
        return verdict

    async def answer(self, verdict: Verdict | None) -> Reply | None:
        """Tokenise the prompt, take the quota, generate the answer and write it.

        Raises `InvokeError`s, `Broken` and `ClientLeft`.
        """
        self._note(verdict)
        if verdict and verdict.fails_at_once:
            # Before the tokenizer is asked for: an engine that is not ready has faults, too.
            return await self._write(None, verdict, lambda answer: answer.begin(lambda _: OVER))
        try:
            prompt = await self._read_prompt()
        except EngineError as error:
            return await self._write_refusal(error, verdict)
        if prompt.generation is None:
            return await self._write(prompt.writer, verdict, self._refuse)
        self._take_quota(prompt.generation)
        generate = partial(self._generate, prompt.tokenizer, prompt.generation, verdict)
        return await self._write(prompt.writer, verdict, generate)

    def _to_asked(self) -> Asked:
        question = self._request.question()
        return Asked(
            operation=self._operation.name,
            model_id=self._model.id,
            prompt=question.prompt,
            last_user_message=question.last_user_message,
            turn=question.turn,
            tools=question.tools,
            access_key_id=self._caller.access_key_id,
            identifier=self._call.model_id,
        )

    def _note(self, verdict: Verdict | None) -> None:
        """Tell the journal who has called which model, and who answers."""
        entry = self._entry
        entry.access_key_id, entry.region = self._caller.access_key_id, self._caller.region
        entry.model_id = self._model.id
        entry.rule_id = verdict.rule_id if verdict else None
        entry.engine = "rule" if verdict and verdict.answers else self._engine.name

    async def _read_prompt(self) -> Prompt:
        """Raises `EngineError`s, `ChatRefused` among them, and the errors of `aside`."""
        warm = self._services.engines.warm
        # The first prompt of a model may have to wait for its tokenizer to be loaded. Converse over
        # a model of prompts has a template, too.
        key = (self._model.id, self._operation.name.startswith("Converse"))
        size = max(self._request.size, 0 if key in warm else LONG_BODY + 1)
        prompt = await aside(self._call, size, self._to_prompt)
        warm.add(key)
        return prompt

    def _to_prompt(self) -> Prompt:
        is_refused, request = self.is_refused, self._request
        tokenizer = self._services.engines.tokenizer(self._model)
        writer = request.writer(tokenizer)
        if is_refused:
            return Prompt(tokenizer, None, writer)
        generation = request.generation(tokenizer)
        if self._adapter:
            generation = replace(generation, adapter=self._adapter)
        listing = self._model.listing
        if (generation.images and not listing.sees) or (generation.audio and not listing.hears):
            raise ChatRefused(TEXT_ONLY)
        return Prompt(tokenizer, generation, writer)

    def _take_quota(self, generation: GenerationRequest) -> None:
        """Take the call's share of the quota. Raises `ThrottlingException`.

        Runs on the event loop, unlike `_to_prompt`: work in a thread goes on when its call is
        cancelled, and a share that it took after that would never be given back.
        """
        tokens = self._call.prompt_tokens = len(generation.prompt)
        self._call.share = self._services.quotas.take(
            self._model,
            self._caller.region,
            self._caller.access_key_id,
            input_tokens=tokens,
            max_tokens=generation.max_tokens,
        )

    def _generate(
        self,
        tokenizer: Tokenizer,
        generation: GenerationRequest,
        verdict: Verdict | None,
        answer: Answer,
    ) -> None:
        """Have the engine or a rule push the answer."""
        if verdict and verdict.answers:
            length = self._model.context_length
            answer.begin(
                partial(speak, verdict, tokenizer, generation, length),
                partial(Detokenizer, tokenizer, generation),
            )
        else:
            answer.begin(
                partial(self._engine.generate, generation),
                lambda: Detokenizer(self._engine.tokenizer(), generation),
            )

    def _refuse(self, answer: Answer) -> None:
        """Have the guardrail say what it says in place of an answer."""
        assert self._call.guarding, "a guardrail has refused it"
        answer.feed([self._call.guarding.refusal()])

    async def _write_refusal(self, error: EngineError, verdict: Verdict | None) -> Reply | None:
        """Write what the model server says of a prompt; raise what Bedrock itself says."""
        told = to_invoke_error(error, self._model.server)
        if not told.in_stream:
            raise told from error
        return await self._write(None, verdict, lambda answer: answer.end(error))

    async def _write(
        self, writer: AnswerWriter | None, verdict: Verdict | None, begin: Callable[[Answer], None]
    ) -> Reply | None:
        """Write the answer, whole or in frames, as its tokens come. `begin` has them pushed.

        There is no `writer` for an answer that fails before its first token.
        """
        call, request, streams = self._call, self._request, self._operation.streams
        collector = Collector()
        sink: Collector | Stream = collector
        if streams:
            headers = stream_headers(call, request.stream_headers)
            sink = Stream(call, headers, writer.frames if writer else lambda *_: b"")
        answer = Answer(
            call, self._entry, sink, self._model.server, prefix=request.prefix, verdict=verdict
        )
        if call.guarding and writer:
            holds = not streams or not call.guarding.is_async
            answer.guard(holds=holds, native=None if streams else writer.native)
        begin(answer)
        await answer.wait()
        if streams:
            return None
        assert writer, "an answer that ends has a writer"
        assert collector.metrics, "an answer that ends has been measured"
        body = writer.whole(collector.text, collector.finish, collector.metrics, collector.logprobs)
        return json_reply(call, body, more=request.headers(collector.metrics))


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
