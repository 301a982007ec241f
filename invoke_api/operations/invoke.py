"""InvokeModel and InvokeModelWithResponseStream."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.protocol import Delta, Finish, GenerationRequest, Logprobs
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects import Writer
from invoke_api.dialects.model_servers import envelope
from invoke_api.dialects.openai_body import check_target
from invoke_api.dialects.question import Metrics, Question
from invoke_api.guardrails.session import Guarding
from invoke_api.models.registry import Model
from invoke_api.pipeline.admission import REPEATED, SERVICE_TIER, admit, check_tier
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import CONFIG, GuardedWriter, guard_invoke
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.offload import UPLOADS
from invoke_api.wire.errors import JSON, ValidationException
from invoke_api.wire.events import encode_chunks

MEDIA = (b"image_url", b"input_audio", b"audio_url")  # the kinds of parts that are uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeModelRequest:
    """A body of the model's own dialect, with its defaults filled in."""

    model: Model
    body: dict[str, Any]
    request_id: str
    options: Mapping[str, str]
    guarding: Guarding | None
    size: int
    prefix: str = ""

    @property
    def stream_headers(self) -> Mapping[str, str]:
        # ConverseStream has no such header in any recording.
        return {"X-Amzn-Bedrock-Content-Type": JSON, **self.options}

    def headers(self, metrics: Metrics) -> Mapping[str, str]:
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
    """Writes the model's own answer, whole or in chunks."""

    def __init__(self, inner: Writer, native: Callable[[str, Finish], bytes]) -> None:
        self._inner = inner
        self.native = native

    def whole(
        self, text: str, finish: Finish, metrics: Metrics, logprobs: Sequence[Logprobs] | None
    ) -> bytes:
        return self._inner.reply(text, finish, metrics, logprobs)

    def frames(self, deltas: Sequence[Delta], metrics: Metrics | None) -> bytes:
        chunk = self._inner.chunk
        return encode_chunks([chunk(delta, metrics if delta.finish else None) for delta in deltas])


def check_invoke(call: Call, operation: ModelOperation) -> InvokeModelRequest:
    """Check the front door's part, then the body. Raises `InvokeError`s."""
    _, model = admit(call, "x-amzn-bedrock-accept" if operation.streams else "accept")
    guarding = call.guarding
    body = _read_guarded(model, guarding, call.body) if guarding else model.parse_body(call.body)
    check_target(body, (model.id, call.model_id), streams=operation.streams)
    check_tier(body.get("service_tier"), model)
    if guarding and body.get("logprobs"):  # the words that it takes out would stand there
        raise ValidationException(envelope("'logprobs' is not supported with a guardrail"))
    if tier := call.options.get(REPEATED[SERVICE_TIER]):
        body["service_tier"] = tier
    return InvokeModelRequest(
        model=model,
        body=body,
        request_id=call.request_id,
        options=call.options,
        guarding=guarding,
        size=UPLOADS if any(kind in call.body for kind in MEDIA) else len(call.body),
    )


def _read_guarded(model: Model, guarding: Guarding, raw: bytes) -> dict[str, Any]:
    """Return the body as the guardrail leaves it. Raises `ValidationException`."""
    value = model.schema.read(raw)
    config = value.pop(CONFIG, None) if isinstance(value, dict) else None
    body = model.fill_body(value)
    guard_invoke(guarding, model.dialect, body, config)
    return body


INVOKE_MODEL = ModelOperation(name="InvokeModel", streams=False, check=check_invoke)
INVOKE_MODEL_WITH_RESPONSE_STREAM = ModelOperation(
    name="InvokeModelWithResponseStream", streams=True, check=check_invoke
)
