"""InvokeModel's whole answers of models that take `messages`, exact except for ids and times."""

from dataclasses import dataclass

from tests.fidelity.case import GUESS
from tests.support.servers import (
    LARGE_3,
    LARGE_2407,
    MINISTRAL_3B,
    PIXTRAL,
    VOXTRAL_MINI,
    VOXTRAL_SMALL,
)

LAGO = "getlago/lago-agent-sdk-python's recordings, eu-west-1, 2026-04-28"
OF_2025 = (
    '{"choices":[{"finish_reason":"stop","index":0,"logprobs":null,"message":{"content":"TEXT",'
    '"refusal":null,"role":"assistant"}}],"created":CREATED,"id":"chatcmpl-ID","model":"MODEL",'
    '"object":"chat.completion","service_tier":"default","usage":{"completion_tokens":OUT,'
    '"prompt_tokens":IN,"total_tokens":ALL}}'
)
OF_PIXTRAL = (
    '{"id":"ID","object":"chat.completion","created":CREATED,"model":"pixtral-large-2502",'
    '"choices":[{"index":0,"message":{"role":"assistant","tool_calls":null,"index":null,'
    '"tool_call_id":null,"content":"TEXT","audio":null,"metadata":null},"finish_reason":"stop",'
    '"logprobs":null,"context_logits":null,"generation_logits":null}],"usage":{"prompt_tokens":IN,'
    '"total_tokens":ALL,"completion_tokens":OUT,"request_count":null}}'
)
OF_2407 = (
    '{"id":"ID","object":"chat.completion","created":CREATED,"model":"mistral-large-2407",'
    '"choices":[{"index":0,"message":{"role":"assistant","tool_calls":null,"index":null,'
    '"tool_call_id":null,"content":"TEXT"},"stop_reason":"stop"}],"usage":{"prompt_tokens":IN,'
    '"total_tokens":ALL,"completion_tokens":OUT}}'
)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A body and its answer. Words in capitals stand for values that differ between calls."""

    name: str
    model: str
    answer: str
    seen: str = LAGO
    why: str = ""


TABLE = [
    *(
        Whole(name=name, model=model, answer=OF_2025)
        for name, model in (
            ("Ministral 3B", MINISTRAL_3B),
            ("Ministral 8B", "mistral.ministral-3-8b-instruct"),
            ("Ministral 14B", "mistral.ministral-3-14b-instruct"),
            ("Magistral", "mistral.magistral-small-2509"),
            ("Devstral", "mistral.devstral-2-123b"),
            ("Voxtral Mini", VOXTRAL_MINI),
            ("Voxtral Small", VOXTRAL_SMALL),
        )
    ),
    Whole(
        name="Large 3",
        model=LARGE_3,
        answer=OF_2025,
        seen=GUESS,
        why="recorded of the other models of that time",
    ),
    Whole(name="Pixtral", model=PIXTRAL, answer=OF_PIXTRAL),
    Whole(
        name="Large 2407",
        model=LARGE_2407,
        answer=OF_2407,
        seen=GUESS,
        why="chunks seen in 2024-11 have these members, and Pixtral's order",
    ),
]
