"""Imported models' answers by the forms of their bodies, whole and in chunks.

They are exact except for ids, times and texts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.fidelity.case import GUESS

INVOKE = "User Guide, invoke-imported-model"
FEATURES = "User Guide, custom-model-import-advanced-features"
TOKENS = 5
PROMPT_TOKENS = 8
DIFFERENT = (
    ('"id":"(cmpl|chatcmpl)-[0-9a-f]{32}"', r'"id":"\1-HEX"'),
    (r'"created":\d{10}\b', '"created":CREATED'),
    ('"(generation|content|text)":"[^"]*"', r'"\1":"TEXT"'),
    ('Metrics":{[^}]*}', 'Metrics":METRICS'),
    (r'{"\d+":0.0}', "{LIKELY}"),
    (r'"token":"[^"]*","logprob":0.0,"bytes":\[[^]]*\]', "LIKELY"),
)

BEDROCK = (
    '{"generation":"TEXT","prompt_token_count":IN,"generation_token_count":OUT,'
    '"stop_reason":"length","logprobs":null}'
)
COMPLETION = (
    '{"id":"cmpl-HEX","object":"text_completion","created":CREATED,"choices":[{"index":0,'
    '"text":"TEXT","finish_reason":"length"}],"usage":{"prompt_tokens":IN,"total_tokens":ALL,'
    '"completion_tokens":OUT}}'
)
CHAT = (
    '{"id":"chatcmpl-HEX","object":"chat.completion","created":CREATED,"choices":[{"index":0,'
    '"message":{"role":"assistant","content":"TEXT"},"finish_reason":"length"}],"usage":'
    '{"prompt_tokens":IN,"completion_tokens":OUT,"total_tokens":ALL}}'
)
MORE = ',"amazon-bedrock-invocationMetrics":METRICS}'
BEDROCK_CHUNKS = (
    '{"generation":"TEXT","prompt_token_count":null,"generation_token_count":OUT,'
    '"stop_reason":null,"logprobs":null}'
)
COMPLETION_CHUNKS = (
    '{"id":"cmpl-HEX","object":"text_completion","created":CREATED,"choices":[{"index":0,'
    '"text":"TEXT","finish_reason":null}]}'
)
CHAT_CHUNKS = (
    '{"id":"chatcmpl-HEX","object":"chat.completion.chunk","created":CREATED,"choices":'
    '[{"index":0,"delta":{"content":"TEXT"},"finish_reason":null}]}'
)
CHAT_LAST = CHAT.replace("completion", "completion.chunk", 1).replace(
    '"message":{"role":"assistant",', '"delta":{'
)

BEDROCK_LIKELY = BEDROCK.replace("null", f"[{','.join(['{LIKELY}'] * TOKENS)}]")
CHAT_LIKELY = CHAT.replace(
    '},"finish',
    '},"logprobs":{"content":['
    + ",".join(['{LIKELY,"top_logprobs":[{LIKELY}]}'] * TOKENS)
    + ']},"finish',
)

PROMPT = "How is the rainbow formed?"
MESSAGES = [{"role": "user", "content": PROMPT}]


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A body, and InvokeModel's answer, whole or in chunks.

    Words in capitals stand for values that differ between calls.
    """

    name: str
    seen: str
    why: str = ""
    body: Mapping[str, Any]
    chunks: tuple[str, ...]  # the first, the others, and the last; a whole answer is one

    @property
    def is_streamed(self) -> bool:
        return len(self.chunks) > 1

    def expected(self) -> list[str]:
        """Return the chunks of an answer of `TOKENS` tokens, one per token."""
        if not self.is_streamed:
            return [_counted(self.chunks[0], self.prompt_tokens, TOKENS)]
        first, other, last = self.chunks
        forms = [first, *[other] * (TOKENS - 2), last]
        return [_counted(form, self.prompt_tokens, now) for now, form in enumerate(forms, 1)]

    @property
    def prompt_tokens(self) -> int:
        """Return the count of tokenizer v3, with the BOS. The template adds two tokens."""
        return PROMPT_TOKENS + 2 * ("messages" in self.body)


def _counted(form: str, prompt_tokens: int, now: int) -> str:
    counts = {"IN": prompt_tokens, "OUT": now, "ALL": prompt_tokens + now}
    return re.sub(r"\b(IN|OUT|ALL)\b", lambda word: str(counts[word[0]]), form)


def hide(chunk: str) -> str:
    """Return the chunk with words in place of values that differ between calls."""
    for pattern, word in DIFFERENT:
        chunk = re.sub(pattern, word, chunk)
    return chunk


def whole(name: str, seen: str, answer: str, why: str = "", **body: Any) -> Answered:
    return Answered(name=name, seen=seen, why=why, body=body, chunks=(answer,))


def streamed(name: str, why: str, *chunks: str, **body: Any) -> Answered:
    return Answered(name=name, seen=GUESS, why=why, body=body, chunks=chunks)


TABLE = [
    whole("a prompt with max_gen_len", INVOKE, BEDROCK, prompt=PROMPT, max_gen_len=TOKENS),
    whole("a prompt with max_tokens", INVOKE, COMPLETION, prompt=PROMPT, max_tokens=TOKENS),
    whole("messages", INVOKE, CHAT, messages=MESSAGES, max_tokens=TOKENS),
    whole(
        "a prompt with return_logprobs",
        FEATURES,
        BEDROCK_LIKELY,
        prompt=PROMPT,
        max_gen_len=TOKENS,
        return_logprobs=True,
    ),
    whole(
        "messages with logprobs",
        FEATURES,
        CHAT_LIKELY,
        messages=MESSAGES,
        max_tokens=TOKENS,
        logprobs=True,
        top_logprobs=1,
    ),
    whole(
        "messages with LiteLLM's key model",
        GUESS,
        CHAT,
        "LiteLLM sends it to imported models; no report of the answer is known",
        model="arn:aws:bedrock:us-east-1:123456789012:imported-model/imported1234",
        messages=MESSAGES,
        max_tokens=TOKENS,
    ),
    streamed(
        "a prompt with max_gen_len, streamed",
        "a Llama's chunks have the members of its whole answer; the count of the prompt's tokens,"
        " which Llama sends first, comes last",
        BEDROCK_CHUNKS,
        BEDROCK_CHUNKS,
        BEDROCK[:-1] + MORE,
        prompt=PROMPT,
        max_gen_len=TOKENS,
    ),
    streamed(
        "a prompt with max_tokens, streamed",
        "OpenAI's chunks, with the members of the whole answer",
        COMPLETION_CHUNKS,
        COMPLETION_CHUNKS,
        COMPLETION[:-1] + MORE,
        prompt=PROMPT,
        max_tokens=TOKENS,
    ),
    streamed(
        "messages, streamed",
        "OpenAI's chunks, with the members of the whole answer",
        CHAT_CHUNKS.replace('"content"', '"role":"assistant","content"'),
        CHAT_CHUNKS,
        CHAT_LAST[:-1] + MORE,
        messages=MESSAGES,
        max_tokens=TOKENS,
    ),
]
