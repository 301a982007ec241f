"""Attributes of a call's span, after OpenTelemetry's conventions for generative AI.

They are those of https://github.com/open-telemetry/semantic-conventions-genai, version 0.1: the
pages on client inference and AWS Bedrock.
"""

from engine.protocol import FINISHES, GenerationRequest
from invoke_api.observability.tracing import Attributes, Outcome
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.choices import ChoiceRequests
from invoke_api.pipeline.count_calls import FinishedCall

PROVIDER = "aws.bedrock"
MAX_CHARACTERS = 256  # of a text that the client chooses
# `gen_ai.operation.name` by our names of operations. InvokeModel's depends on the model's dialect.
CHAT, TEXT = "chat", "text_completion"
GEN_AI_OPERATIONS = {
    "Converse": CHAT,
    "ConverseStream": CHAT,
    "ChatCompletions": CHAT,
    "Completions": TEXT,
    "InvokeEndpoint": TEXT,
    "InvokeEndpointWithResponseStream": TEXT,
}
SAID_BY_BODY = {"ChatCompletions", "Completions"}  # whether the answer is a stream
INVOKE_MODEL = {"InvokeModel", "InvokeModelWithResponseStream"}
DEFAULT_PORTS = {"http": 80, "https": 443}


def request_attributes(request: GenerationRequest | ChoiceRequests) -> Attributes:
    """Return the sampling parameters of a call, as the engine gets them."""
    if isinstance(request, ChoiceRequests):
        first, count = request.requests[0], len(request.requests)
    else:
        first, count = request, 1
    return {
        "gen_ai.request.max_tokens": first.max_tokens,
        "gen_ai.request.temperature": first.temperature,
        "gen_ai.request.top_p": first.top_p,
        **({"gen_ai.request.top_k": first.top_k} if first.top_k else {}),
        **({"gen_ai.request.seed": first.seed} if first.seed is not None else {}),
        **({"gen_ai.request.stop_sequences": [*first.stop]} if first.stop else {}),
        **({"gen_ai.request.choice.count": count} if count > 1 else {}),
    }


def to_outcome(call: Call, finished: FinishedCall) -> Outcome:
    """Return the outcome of a call for its span."""
    entry, (end, _, tokens) = call.entry, finished
    operation = _gen_ai_operation(call)
    model = call.model_id[:MAX_CHARACTERS]
    streams = call.operation.endswith("Stream")
    is_told = None if call.operation in SAID_BY_BODY else streams
    failed = end.error or (end.outcome if end.outcome in ("cancelled", "cut") else "")
    address, port = _server(call)
    known: dict[str, str | bool | int | float | list[str] | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": PROVIDER,
        "gen_ai.request.model": model,
        "gen_ai.request.stream": is_told if operation else None,
        "gen_ai.response.model": call.model.id if call.model else None,
        "gen_ai.response.id": call.request_id if tokens else None,
        "gen_ai.usage.input_tokens": tokens.input_tokens if tokens else None,
        "gen_ai.usage.output_tokens": tokens.output_tokens if tokens else None,
        "gen_ai.response.time_to_first_chunk": tokens.first if tokens and streams else None,
        "aws.bedrock.guardrail.id": call.guarding.guardrail.id if call.guarding else None,
        "aws.request_id": call.request_id,
        "rpc.method": call.operation,
        "server.address": address,
        "server.port": port,
        "http.response.status_code": int(end.status) if end.status else None,
        "error.type": failed,
    }
    if entry and entry.ended and entry.ended in FINISHES:
        known["gen_ai.response.finish_reasons"] = [entry.ended]
    return Outcome(
        name=" ".join(filter(None, (operation or call.operation or "unknown operation", model))),
        attributes={name: value for name, value in known.items() if value not in (None, "")},
        first_token=entry.first_token if entry else None,
        is_error=bool(failed),
    )


def _gen_ai_operation(call: Call) -> str:
    """Return the conventions' name of the operation; empty if it generates nothing."""
    if call.operation in INVOKE_MODEL:
        is_text = call.model and call.model.dialect_name == "mistral-text"
        return TEXT if is_text else CHAT
    return GEN_AI_OPERATIONS.get(call.operation, "")


def _server(call: Call) -> tuple[str | None, int | None]:
    """Return the host and the port by which the client called, from the header Host."""
    host = call.header_text.get("host", "")[:MAX_CHARACTERS]
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and len(port) <= len("65535"):
        return name.strip("[]"), int(port)
    scheme = call.scope.get("scheme", "http")
    return (host.strip("[]"), DEFAULT_PORTS.get(scheme)) if host else (None, None)
