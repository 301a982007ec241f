"""InvokeModel and InvokeModelWithResponseStream."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects import BodyWriter
from invoke_api.dialects.model_servers import ModelServer
from invoke_api.dialects.openai_body import check_target
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.guardrails.session import GuardrailSession
from invoke_api.models.registry import Model
from invoke_api.pipeline.admission import ECHOED_HEADERS, SERVICE_TIER, admit, check_tier
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import GUARDRAIL_CONFIG_KEY, GuardedWriter, guard_invoke
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.offload import estimate_size
from invoke_api.wire.errors import JSON_CONTENT_TYPE
from invoke_api.wire.events import encode_chunks
from invoke_api.wire.headers import EVENT_STREAM


@dataclass(slots=True, kw_only=True)
class InvokeModelRequest:
    """A checked InvokeModel request. `body` is in the model's own dialect, with its defaults."""

    model: Model
    body: dict[str, Any]
    request_id: str
    options: Mapping[str, str]
    guarding: GuardrailSession | None
    size: int
    streams: bool
    prefix: str = ""
    stream_type: ClassVar[str] = EVENT_STREAM

    @property
    def server(self) -> ModelServer:
        return self.model.server

    @property
    def stream_headers(self) -> Mapping[str, str]:
        # No recording of ConverseStream has this header.
        return {"X-Amzn-Bedrock-Content-Type": JSON_CONTENT_TYPE, **self.options}

    def headers(self, metrics: InvocationMetrics) -> Mapping[str, str]:
        return {**metrics.to_headers(), **self.options}

    def question(self) -> Question:
        return self.model.dialect.to_question(self.body)

    def generation(self, tokenizer: Tokenizer) -> GenerationRequest:
        return self.model.dialect.to_request(
            self.body, tokenizer, self.model.context_length, self.request_id
        )

    def writer(self, tokenizer: Tokenizer) -> "InvokeModelWriter":
        dialect, guarding = self.model.dialect, self.guarding
        own = dialect.writer(self.body, tokenizer, self.request_id)
        if guarding is None:
            return InvokeModelWriter(own, own.reply)
        told = guarding.read_by(dialect.reader(self.body, tokenizer))
        shown = dialect.writer(self.body, tokenizer, self.request_id, told)
        return InvokeModelWriter(GuardedWriter(shown, guarding), own.reply)


class InvokeModelWriter:
    """A writer of the model's own answer, whole or in chunks."""

    def __init__(self, inner: BodyWriter, native: Callable[[str, Finish], bytes]) -> None:
        self._inner = inner
        self.native = native

    def whole(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics,
        logprobs: Sequence[Logprobs] | None,
    ) -> bytes:
        return self._inner.reply(text, finish, metrics, logprobs)

    def frames(self, deltas: Sequence[Delta], metrics: InvocationMetrics | None) -> bytes:
        chunk = self._inner.chunk
        return encode_chunks([chunk(delta, metrics if delta.finish else None) for delta in deltas])


def check_invoke(call: Call, operation: ModelOperation) -> InvokeModelRequest:
    """Check the headers and then the body, as Bedrock does. Raises `InvokeError`s."""
    _, model = admit(call, "x-amzn-bedrock-accept" if operation.streams else "accept")
    guarding = call.guarding
    body = _read_guarded(model, guarding, call.body) if guarding else model.parse_body(call.body)
    check_target(body, (model.id, call.model_id), streams=operation.streams)
    check_tier(body.get("service_tier"), model)
    if tier := call.options.get(ECHOED_HEADERS[SERVICE_TIER]):
        body["service_tier"] = tier
    return InvokeModelRequest(
        model=model,
        body=body,
        request_id=call.request_id,
        options=call.options,
        guarding=guarding,
        streams=operation.streams,
        size=estimate_size(call.body),
    )


def _read_guarded(model: Model, guarding: GuardrailSession, raw: bytes) -> dict[str, Any]:
    """Return the body as the guardrail has anonymized it. Raises `ValidationException`."""
    value = model.schema.read(raw)
    config = value.pop(GUARDRAIL_CONFIG_KEY, None) if isinstance(value, dict) else None
    body = model.fill_body(value)
    guard_invoke(guarding, model.dialect, body, config)
    return body


INVOKE_MODEL = ModelOperation(name="InvokeModel", streams=False, check=check_invoke)
INVOKE_MODEL_WITH_RESPONSE_STREAM = ModelOperation(
    name="InvokeModelWithResponseStream", streams=True, check=check_invoke
)
