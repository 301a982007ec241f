"""Errors of the models of 2025: OpenAI's error document, with an event inside."""

import json


def document(message: str) -> str:
    """Return such a server's error document."""
    error = {"code": "validation_error", "message": message, "param": None}
    return json.dumps({"error": {**error, "type": "invalid_request_error"}}, separators=(",", ":"))


def event(message: str) -> str:
    """Return such a server's event for one of vLLM's error messages."""
    quoted = message.replace('"', '\\"')
    return (
        'ErrorEvent { error: APIError { type: "BadRequestError", code: Some(400), message: '
        f'"{quoted}", param: None }} }}'
    )


def streamed(message: str) -> str:
    """Return the message inside a stream. `{request_id}` stands for the answer's request id."""
    return f"Mantle streaming error for requestId {{request_id}}: {event(message)}"
