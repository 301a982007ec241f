"""Errors of imported models for bodies. The messages are other models'; none is recorded."""

from typing import Any

from tests.fidelity.case import GUESS, Case, invalid
from tests.fidelity.identifiers import HERE
from tests.fidelity.imported_answers import MESSAGES, PROMPT

IMPORTED = f"{HERE}:imported-model/imported1234"
URL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
OTHERS = "the words of models whose bodies Bedrock checks itself"


def malformed(name: str, violation: str, why: str = OTHERS, **body: Any) -> Case:
    """Return a row with a body that its form's schema refuses."""
    message = f"Malformed input request: {violation}, please reformat your input and try again."
    return refused(name, message, why, **body)


def refused(name: str, message: str, why: str, **body: Any) -> Case:
    return invalid(name, message, GUESS, why=why, model=IMPORTED, body=body, remote=False)


TABLE = [
    malformed("a body of no form", "#: required key [prompt] not found", max_gen_len=5),
    malformed(
        "max_gen_len and max_tokens",
        "#: extraneous key [max_tokens] is not permitted",
        prompt=PROMPT,
        max_gen_len=5,
        max_tokens=5,
    ),
    malformed(
        "messages and a prompt",
        "#: extraneous key [prompt] is not permitted",
        prompt=PROMPT,
        messages=MESSAGES,
    ),
    malformed(
        "a parameter of another model's",
        "#: extraneous key [max_tokens_to_sample] is not permitted",
        "the User Guide said until 2025 that such a parameter is ignored; here none is",
        prompt=PROMPT,
        max_tokens_to_sample=5,
    ),
    malformed(
        "tools",
        "#: extraneous key [tools] is not permitted",
        "the User Guide has them for GPT-OSS only",
        messages=MESSAGES,
        tools=[],
    ),
    malformed(
        "two constraints of the answer",
        "#/structured_outputs: maximum size: [1], found: [2]",
        prompt=PROMPT,
        max_tokens=5,
        structured_outputs={"regex": "a+", "choice": ["a"]},
    ),
    malformed(
        "two formats for the answer",
        '#: subject must not be valid against schema {"required":["response_format",'
        '"structured_outputs"]}',
        prompt=PROMPT,
        max_tokens=5,
        structured_outputs={"json": {}},
        response_format={"type": "text"},
    ),
    refused(
        "four images",
        "A request may have 3 images, and no more.",
        "the User Guide has the number",
        messages=[{"role": "user", "content": [URL] * 4}],
    ),
]
