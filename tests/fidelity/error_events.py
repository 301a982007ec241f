"""How the servers of the models of 2025 say no: OpenAI's error document, with an event inside."""

import json


def document(message: str) -> str:
    """Return what such a server answers with in place of an answer or of a stream."""
    error = {"code": "validation_error", "message": message, "param": None}
    return json.dumps({"error": {**error, "type": "invalid_request_error"}}, separators=(",", ":"))


def event(message: str) -> str:
    """Return the event that such a server makes of a refusal of vLLM's."""
    quoted = message.replace('"', '\\"')
    return (
        'ErrorEvent { error: APIError { type: "BadRequestError", code: Some(400), message: '
        f'"{quoted}", param: None }} }}'
    )


def streamed(message: str) -> str:
    """Return the same inside a stream; a row's `{request_id}` is that of its answer."""
    return f"Mantle streaming error for requestId {{request_id}}: {event(message)}"
