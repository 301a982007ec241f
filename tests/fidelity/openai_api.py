"""The OpenAI API: below `/openai/v1` as bedrock-runtime has it, below `/v1` as bedrock-mantle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fidelity.case import GUESS
from tests.fidelity.routes import UNKNOWN
from tests.support.servers import BASE_WEIGHTS, LARGE_3, MINISTRAL_3B, SEVEN_B

RUNTIME, MANTLE = "/openai/v1/chat/completions", "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RUNTIME_HOST = "bedrock-runtime.us-east-1.amazonaws.com"
USER = {"role": "user", "content": "Hi"}
RUBY = "crmne/ruby_llm's recordings, 2026-08-19"
NOTEBOOKS = "notebooks that AWS runs, mid-2026"
SCRIPT = "a script with its answers, of gpt-oss, 2025-08"
NO_MODEL = (
    '{"error":{"message":"The model doesn\'t exist or doesn\'t support this API. Retry your request'
    ' with a different model ID.","type":"not_found_error","param":null,"code":"model_not_found"}}'
)
WHOLE = (
    '{"choices":[{"finish_reason":"length","index":0,"logprobs":null,"message":{"content":"<TEXT>",'
    '"refusal":null,"role":"assistant"}}],"created":<CREATED>,"id":"chatcmpl-<ID>","model":"<MODEL>",'
    '"object":"chat.completion","service_tier":"default","usage":{"completion_tokens":<OUT>,'
    '"prompt_tokens":<IN>,"total_tokens":<ALL>}}'
)
MANTLE_ERROR = '{"error":{"code":"<CODE>","message":"<MESSAGE>","type":"invalid_request_error"}}'
CHUNK = (
    'data: {"choices":[{"delta":DELTA,"finish_reason":REASON,"index":0,"logprobs":null}],'
    '"created":<CREATED>,"id":"chatcmpl-<ID>","model":"<MODEL>","object":"chat.completion.chunk",'
    '"service_tier":"default"}\n\n'
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request and its answer, in which `<NAMES>` stand for what differs each time."""

    name: str
    seen: str
    why: str = ""
    path: str
    method: str = "POST"
    host: str | None = None
    body: Mapping[str, Any] | None = field(
        default_factory=lambda: {"model": LARGE_3, "messages": [USER], "max_tokens": 2}
    )
    status: int = 200
    answer: str
    headers_back: Mapping[str, str] = field(default_factory=dict)


def wrong(name: str, path: str, seen: str, message: str, *, why: str = "", **body: Any) -> Row:
    """Return the row of a body that is refused, with the message inside its host's shape."""
    if path == MANTLE:
        answer = MANTLE_ERROR.replace("<CODE>", "validation_error").replace("<MESSAGE>", message)
    else:
        escaped = message.replace('"', '\\"')
        inner = (
            f'{{\\"error\\":{{\\"code\\":\\"validation_error\\",\\"message\\":\\"{escaped}\\",'
            '\\"param\\":null,\\"type\\":\\"KIND\\"}}'
        )
        answer = f'{{"error":{{"message":"{inner}","type":"KIND","param":null,"code":"CODE"}}}}'
    return Row(
        name=name,
        seen=seen,
        why=why,
        path=path,
        body={"model": LARGE_3, "messages": [USER], **body},
        status=400,
        answer=answer.replace("KIND", "invalid_request_error").replace("CODE", "validation_error"),
    )


def unserved(path: str, model: str, seen: str, why: str = "") -> Row:
    mantle = MANTLE_ERROR.replace("<CODE>", "not_found_error")
    return Row(
        name=f"{model} by {path}",
        seen=seen,
        why=why,
        path=path,
        body={"model": model, "messages": [USER]},
        status=404,
        answer=mantle.replace("<MESSAGE>", "The model '<MODEL>' does not exist")
        if path == MANTLE
        else NO_MODEL,
    )


VLLM = "vLLM 0.32's own server, which a test runs beside the service"
COMPLETION = (
    '{"id":"cmpl-<HEX>","object":"text_completion","created":<CREATED>,"model":"<MODEL>",'
    '"choices":[{"index":0,"text":"<TEXT>","logprobs":null,"finish_reason":"length",'
    '"stop_reason":null,"token_ids":null,"prompt_logprobs":null,"prompt_token_ids":null,'
    '"routed_experts":null}],"service_tier":null,"system_fingerprint":null,"usage":'
    '{"prompt_tokens":<IN>,"total_tokens":<ALL>,"completion_tokens":<OUT>,'
    '"prompt_tokens_details":null,"completion_tokens_details":null},"kv_transfer_params":null,'
    '"ec_transfer_params":null,"metrics":null}'
)
COMPLETION_CHUNK = (
    'data: {"id":"cmpl-<HEX>","object":"text_completion","created":<CREATED>,"model":"<MODEL>",'
    '"choices":[{"index":0,"text":"<TEXT>","logprobs":null,"finish_reason":REASON,'
    '"stop_reason":null,"prompt_token_ids":null,"token_ids":null}]}\n\n'
)


def completion(name: str, *, answer: str, status: int = 200, **more: Any) -> Row:
    """Return a row of vLLM's completions."""
    body = {"model": BASE_WEIGHTS, "prompt": "My favourite condiment is", "max_tokens": 2, **more}
    return Row(name=name, seen=VLLM, path=COMPLETIONS, body=body, status=status, answer=answer)


def refused(name: str, message: str, parameter: str, **more: Any) -> Row:
    """Return the row of a completion that is refused."""
    error = (
        f'{{"error":{{"message":"{message}","type":"BadRequestError","param":{parameter},'
        '"code":400}}'
    )
    return completion(name, answer=error, status=400, **more)


VLLMS = "vLLM's words, which the same server has on InvokeModel"
TABLE = [
    Row(
        name="a whole answer of bedrock-mantle",
        seen=RUBY,
        path=MANTLE,
        answer=WHOLE,
        headers_back={
            "vary": "origin, access-control-request-method, access-control-request-headers",
            "access-control-allow-origin": "*",
        },
    ),
    Row(
        name="a whole answer of bedrock-runtime",
        seen=GUESS,
        why="that of bedrock-mantle",
        path=RUNTIME,
        answer=WHOLE,
    ),
    *(
        Row(
            name=f"a stream by {path}",
            seen=GUESS,
            why="OpenAI's API reference",
            path=path,
            body={"model": MINISTRAL_3B, "messages": [USER], "max_tokens": 1, "stream": True},
            answer=CHUNK.replace("DELTA", '{"content":"","role":"assistant"}').replace(
                "REASON", "null"
            )
            + CHUNK.replace("DELTA", '{"content":"<TEXT>"}').replace("REASON", "null")
            + CHUNK.replace("DELTA", "{}").replace("REASON", '"length"')
            + "data: [DONE]\n\n",
        )
        for path in (RUNTIME, MANTLE)
    ),
    unserved(RUNTIME, "no.such-model", SCRIPT),
    unserved(RUNTIME, SEVEN_B, "User Guide, models-api-compatibility"),
    unserved(MANTLE, "no.such-model", NOTEBOOKS),
    unserved(MANTLE, SEVEN_B, GUESS, "bedrock-mantle's list of models does not have it"),
    *(
        wrong(f"a temperature of 5 by {path}", path, GUESS, sentence, why=VLLMS, temperature=5)
        for path in (RUNTIME, MANTLE)
        for sentence in ("temperature must be in [0, 2], got 5.",)
    ),
    *(
        Row(
            name=f"{model} by /v1/responses",
            seen=NOTEBOOKS,
            path="/v1/responses",
            body={"model": model, "input": "Hi"},
            status=status,
            answer=MANTLE_ERROR.replace("<CODE>", code).replace("<MESSAGE>", message),
        )
        for model, status, code, message in (
            (
                LARGE_3,
                400,
                "validation_error",
                "The model '<MODEL>' does not support the '/v1/responses' API",
            ),
            ("no.such-model", 404, "not_found_error", "The model '<MODEL>' does not exist"),
        )
    ),
    Row(
        name="/openai/v1/responses",
        seen=GUESS,
        why="User Guide: no model of Mistral's has Responses; the sentence of Chat Completions",
        path="/openai/v1/responses",
        body={"model": LARGE_3, "input": "Hi"},
        status=404,
        answer=NO_MODEL,
    ),
    *(
        Row(
            name=f"{method} {path} of bedrock-runtime",
            seen=seen,
            why=why,
            method=method,
            path=path,
            host=RUNTIME_HOST,
            answer=UNKNOWN.decode(),
        )
        for method, path, seen, why in (
            ("POST", MANTLE, NOTEBOOKS, ""),
            ("POST", "/v1/responses", NOTEBOOKS, ""),
            ("GET", "/v1/models", GUESS, "as any path that is no operation's"),
            ("POST", COMPLETIONS, GUESS, "as any path that is no operation's"),
        )
    ),
    completion("a completion of vLLM's", answer=COMPLETION),
    completion(
        "a streamed completion of vLLM's",
        stream=True,
        answer=COMPLETION_CHUNK.replace("REASON", "null")
        + COMPLETION_CHUNK.replace("REASON", '"length"')
        + "data: [DONE]\n\n",
    ),
    refused(
        "a temperature of 5 by vLLM's completions",
        "temperature must be in [0, 2], got 5.0. (parameter=temperature, value=5.0)",
        '"temperature"',
        temperature=5,
    ),
    refused(
        "min_p of 2 by vLLM's completions", "min_p must be in [0, 1], got 2.0.", "null", min_p=2
    ),
    refused(
        "a suffix by vLLM's completions",
        "suffix is only supported for models with FIM completion rendering",
        '"suffix"',
        suffix="x",
    ),
    refused(
        "no prompt by vLLM's completions",
        "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)",
        '"prompt"',
        prompt="",
    ),
]
