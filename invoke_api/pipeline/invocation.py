"""The steps of a model call: admit, check, guard, apply rules, take quota, generate, write."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from engine.detokenizer import Detokenizer
from engine.errors import ChatRefused, EngineError
from engine.generation_task import FINISHED
from engine.protocol import GenerationRequest
from engine.tokenization.chat_template import TEXT_ONLY
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.observability.trace_context import passed_on
from invoke_api.pipeline.answer import Answer, Collector, Stream
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.choices import ChoiceRequests, Choices, Source
from invoke_api.pipeline.engine_errors import to_invoke_error
from invoke_api.pipeline.model_request import (
    AnswerWriter,
    ChoicesWriter,
    ModelOperation,
    ModelRequest,
)
from invoke_api.pipeline.offload import IN_THREAD, offload
from invoke_api.pipeline.responses import HttpResponse, json_response, stream_headers
from invoke_api.pipeline.rule_choice import check_offered, choose_rules, to_asked
from invoke_api.pipeline.trace_calls import request_attributes
from invoke_api.rules.playback import play_verdict
from invoke_api.rules.rule_book import Verdict
from invoke_api.wire.errors import ValidationException

# Writing a delta of an answer with choices takes as long as checking so many bytes of a body.
BYTES_PER_DELTA = 16


class Prompt(NamedTuple):
    """A tokenised request. `generation` is None if a guardrail has refused the input.

    `tokenizer` is the prompt's, and `answers` that of the engine's tokens.
    """

    tokenizer: Tokenizer
    answers: Tokenizer
    generation: GenerationRequest | ChoiceRequests | None
    writer: AnswerWriter | ChoicesWriter


async def call_model(call: Call, operation: ModelOperation) -> HttpResponse | None:
    """Answer a call to a model. Return None for a stream, which is already written.

    Raises `InvokeError`s, `ConnectionBreak` and `ClientDisconnected`.
    """
    await call.read_body()
    call.open_entry()
    request = await check_call(call, operation)
    invocation = Invocation(call, operation, request)
    verdict = None if invocation.is_refused else await invocation.rule()
    return await invocation.answer(verdict)


async def check_call(call: Call, operation: ModelOperation) -> ModelRequest:
    """Admit the caller, find the model, and check the body, also with the guardrail.

    Raises `InvokeError`s.
    """
    check = partial(operation.check, call, operation)
    return await offload(call, operation.weigh(call.body), check)


class Invocation:
    """A model call whose request has passed its checks."""

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
        # A guardrail has refused the input, which no rule or engine gets then.
        self.is_refused = call.guarding is not None and call.guarding.is_refused
        self._adapter = call.services.engines.adapter(call.model)

    async def rule(self) -> Verdict | None:
        """Return the rules' verdict. Raises the errors of `choose_rules`."""
        if not self._services.rules.is_asked:
            return None
        question = self._request.question()
        asked = to_asked(self._call, question, self._operation.name, self._model.id)
        return await choose_rules(self._call, asked)

    async def answer(self, verdict: Verdict | None) -> HttpResponse | None:
        """Tokenise the prompt, take the quota, generate the answer and write it.

        Raises `InvokeError`s, `ConnectionBreak` and `ClientDisconnected`.
        """
        self._note(verdict)
        if verdict and verdict.fails_at_once:
            # Without the tokenizer, which is not loaded if the engine is not ready.
            return await self._write(None, verdict, lambda answer: answer.begin(lambda _: FINISHED))
        if verdict and verdict.calls:
            check_offered(verdict, self._request.question().tools)
        try:
            prompt = await self._read_prompt()
        except EngineError as error:
            refusal = to_invoke_error(error, self._request.server)
            if not refusal.in_stream:
                raise refusal from error
            return await self._write_refusal(error, verdict)
        except ValidationException as error:
            if not error.in_stream:
                raise
            return await self._write_refusal(error, verdict)
        if prompt.generation is None:
            return await self._write(prompt.writer, verdict, self._refuse)
        self._take_quota(prompt.generation)
        generate = partial(self._generate, prompt, prompt.generation, verdict)
        return await self._write(prompt.writer, verdict, generate)

    def _note(self, verdict: Verdict | None) -> None:
        """Note the caller, the model and the source of the answer in the journal."""
        entry = self._entry
        entry.access_key_id, entry.region = self._caller.access_key_id, self._caller.region
        entry.model_id = self._model.id
        entry.rule_id = verdict.rule_id if verdict else None
        entry.engine = "rule" if verdict and verdict.answers else self._engine.name

    async def _read_prompt(self) -> Prompt:
        """Tokenise the prompt. Raises `EngineError`s and the errors of `offload`."""
        warm = self._services.engines.warm
        # The first prompt of a model goes to a thread, because it may load the tokenizer. So does
        # the first Converse call, because it may load a chat template.
        key = (self._model.id, self._operation.name.startswith("Converse"))
        size = max(self._request.size, 0 if key in warm else IN_THREAD)
        prompt = await offload(self._call, size, self._to_prompt)
        warm.add(key)
        return prompt

    def _to_prompt(self) -> Prompt:
        request = self._request
        tokenizer, answers = self._services.engines.tokenizers(self._model)
        writer = request.writer(tokenizer)
        if self.is_refused:
            return Prompt(tokenizer, answers, None, writer)
        generation = request.generation(tokenizer)
        if isinstance(generation, ChoiceRequests):
            several = generation.with_adapter(self._adapter) if self._adapter else generation
            return Prompt(tokenizer, answers, several, writer)
        if self._adapter:
            generation = replace(generation, adapter=self._adapter)
        listing = self._model.listing
        if (generation.images and not listing.sees) or (generation.audio and not listing.hears):
            raise ChatRefused(TEXT_ONLY)
        return Prompt(tokenizer, answers, generation, writer)

    def _take_quota(self, generation: GenerationRequest | ChoiceRequests) -> None:
        """Take the call's share of the quota. Raises `ThrottlingException`.

        Runs on the event loop, unlike `_to_prompt`: work in a thread continues after its call is
        cancelled, and would take a share that nobody returns.
        """
        if isinstance(generation, ChoiceRequests):
            tokens = generation.prompt_tokens
        else:
            tokens = len(generation.prompt)
        self._call.prompt_tokens = tokens
        self._call.share = self._services.quotas.take(
            self._model,
            self._caller.region,
            self._caller.access_key_id,
            input_tokens=tokens,
            max_tokens=generation.max_tokens,
        )

    def _generate(
        self,
        prompt: Prompt,
        generation: GenerationRequest | ChoiceRequests,
        verdict: Verdict | None,
        answer: Answer,
    ) -> None:
        """Start the engine, or the rule that answers in its place."""
        call = self._call
        if call.trace:
            name = self._entry.engine or self._engine.name
            headers: Mapping[str, str] | None = call.trace.begin_engine(
                name, request_attributes(generation)
            )
        else:
            headers = passed_on(call.header_text)
        source: Source = self._engine.generate
        tokenizer = prompt.answers
        if verdict and verdict.answers:
            tokenizer = prompt.tokenizer
            source = partial(play_verdict, verdict, tokenizer, self._model.context_length)
        if isinstance(generation, ChoiceRequests):
            if headers:
                generation = generation.with_trace(headers)
            choices = Choices(generation, source, tokenizer, answer)
            answer.begin(lambda _: choices.start())
        else:
            if headers:
                generation = replace(generation, trace_headers=headers)
            answer.begin(partial(source, generation), Detokenizer(tokenizer, generation))

    def _refuse(self, answer: Answer) -> None:
        """Answer with the guardrail's message for refused input."""
        assert self._call.guarding, "a guardrail has refused it"
        answer.feed([self._call.guarding.refusal()])

    async def _write_refusal(
        self, error: Exception, verdict: Verdict | None
    ) -> HttpResponse | None:
        """Write an error of the model server as the answer."""
        return await self._write(None, verdict, lambda answer: answer.end(error))

    async def _write(
        self,
        writer: AnswerWriter | ChoicesWriter | None,
        verdict: Verdict | None,
        begin: Callable[[Answer], None],
    ) -> HttpResponse | None:
        """Write the answer, whole or in frames. `begin` starts the source of its tokens.

        `writer` is None for an answer that fails before its first token.
        """
        call, request, streams = self._call, self._request, self._request.streams
        server = request.server
        sink: Collector | Stream
        if streams:
            headers = stream_headers(call, request.stream_headers, request.stream_type)
            sink = Stream(call, headers, writer.frames if writer else lambda *_: b"")
        else:
            sink = Collector()
        answer = Answer(call, self._entry, sink, server, prefix=request.prefix, verdict=verdict)
        if call.guarding and writer and not isinstance(writer, ChoicesWriter):
            holds = not streams or not call.guarding.is_async
            answer.guard(holds=holds, native=None if streams else writer.native)
        begin(answer)
        await answer.wait()
        if isinstance(sink, Stream):
            return None
        assert writer, "an answer that ends has a writer"
        assert sink.metrics, "an answer that ends has been measured"
        if isinstance(writer, ChoicesWriter):
            write = partial(writer.choices, sink.parts, sink.metrics)
            body = await offload(call, len(sink.parts) * BYTES_PER_DELTA, write)
        else:
            body = writer.whole(sink.text, sink.finish, sink.metrics, sink.logprobs)
        return json_response(call, body, more=request.headers(sink.metrics))
