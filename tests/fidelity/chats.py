"""InvokeModel's streams and tool calls of models that take `messages`. No recording is known."""

from typing import Any

from tests.fidelity.case import GUESS
from tests.fidelity.recording import Recording
from tests.support.servers import LARGE_2407, MINISTRAL_3B, PIXTRAL

AS_OPENAI = "OpenAI's own, with the members that the whole answer was recorded with"
AS_WHOLE = "the members that the whole answer was recorded with"
AS_SEEN = "chunks seen in 2024-11 have these members, and Pixtral's order"
INVOCATION_METRICS = (
    '"amazon-bedrock-invocationMetrics":{"inputTokenCount":IN,"outputTokenCount":OUT,'
    '"invocationLatency":LATENCY,"firstByteLatency":LATENCY}'
)
USAGE_2407 = '"usage":{"prompt_tokens":IN,"total_tokens":ALL,"completion_tokens":OUT}'
CALL = r'"function":{"name":"f","arguments":"{\"a\":1}"}'

OF_2025 = (
    '{"choices":[{"delta":{"content":"SAID","role":"assistant"},"finish_reason":ENDS,"index":0,'
    '"logprobs":null}],"created":CREATED,"id":"chatcmpl-ID","model":"MODEL",'
    '"object":"chat.completion.chunk","service_tier":"default"}'
)
USAGE_2025 = '"usage":{"completion_tokens":OUT,"prompt_tokens":IN,"total_tokens":ALL}'
CALLED_2025 = (
    '{"choices":[{"finish_reason":"tool_calls","index":0,"logprobs":null,"message":{"content":null,'
    r'"refusal":null,"role":"assistant","tool_calls":[{"function":{"arguments":"{\"a\":1}",'
    '"name":"f"},"id":"CALLED","type":"function"}]}}],"created":CREATED,"id":"chatcmpl-ID",'
    f'"model":"MODEL","object":"chat.completion","service_tier":"default",{USAGE_2025}}}'
)

CHUNK_HEAD = (
    '{"id":"ID","object":"chat.completion.chunk","created":CREATED,"model":"%s","choices":['
)
OF_PIXTRAL = (
    f"{CHUNK_HEAD % 'pixtral-large-2502'}"
    '{"index":0,"message":{"role":"assistant","tool_calls":null,"index":null,"tool_call_id":null,'
    '"content":"SAID","audio":null,"metadata":null},"finish_reason":ENDS,"logprobs":null,'
    '"context_logits":null,"generation_logits":null}]}'
)
USAGE_PIXTRAL = USAGE_2407.replace("OUT}", 'OUT,"request_count":null}')
OF_2407 = (
    f"{CHUNK_HEAD % 'mistral-large-2407'}"
    '{"index":0,"message":{"role":"assistant","tool_calls":null,"index":null,"tool_call_id":null,'
    '"content":"SAID"},"stop_reason":ENDS}]}'
)


def called(chunk: str, usage: str) -> str:
    """Return a whole answer that calls a tool, of a server whose chunks have the same members."""
    call = f'"tool_calls":[{{"id":"CALLED","type":"function",{CALL}}}]'
    whole = chunk.replace(".chunk", "").replace('"tool_calls":null', call)
    ended = whole.replace("SAID", "").replace("ENDS", '"tool_calls"')
    return f"{ended[:-1]},{usage}}}"


def stream(chunk: str, usage: str, *texts: str) -> tuple[str, ...]:
    said = [chunk.replace("SAID", text).replace("ENDS", "null") for text in texts]
    end = chunk.replace("SAID", "").replace("ENDS", '"stop"')[:-1]
    return (*said, f"{end},{usage},{INVOCATION_METRICS}}}")


def guess(name: str, model: str, why: str, reply: Any, **more: Any) -> Recording:
    function = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
    tools = {} if isinstance(reply, str) else {"tools": [function]}
    operation = "invoke" if tools else "invoke-with-response-stream"
    return Recording(
        name=name,
        seen=GUESS,
        why=why,
        model=model,
        region="us-west-2",
        reply=reply,
        body={**body, **tools},
        operation=operation,
        **more,
    )


CALLING = {"tool_calls": [{"name": "f", "arguments": {"a": 1}}]}

TABLE = [
    guess(
        "a stream of Ministral 3B",
        MINISTRAL_3B,
        AS_OPENAI,
        "Hi there",
        inputs=4,
        outputs=3,
        chunks=stream(OF_2025, USAGE_2025, "Hi", " there"),
    ),
    guess(
        "a call of Ministral 3B's",
        MINISTRAL_3B,
        AS_OPENAI,
        CALLING,
        inputs=None,
        outputs=10,
        answer=CALLED_2025,
    ),
    *(
        guess(
            f"a stream of {name}",
            model,
            why,
            "Hi there",
            inputs=4,
            outputs=3,
            chunks=stream(chunk, usage, "Hi", " there"),
        )
        for name, model, why, chunk, usage in (
            ("Pixtral", PIXTRAL, AS_WHOLE, OF_PIXTRAL, USAGE_PIXTRAL),
            ("Large 2407", LARGE_2407, AS_SEEN, OF_2407, USAGE_2407),
        )
    ),
    *(
        guess(
            f"a call of {name}'s",
            model,
            why,
            CALLING,
            inputs=None,
            outputs=None,
            answer=called(chunk, usage),
        )
        for name, model, why, chunk, usage in (
            ("Pixtral", PIXTRAL, AS_WHOLE, OF_PIXTRAL, USAGE_PIXTRAL),
            ("Large 2407", LARGE_2407, AS_SEEN, OF_2407, USAGE_2407),
        )
    ),
]
