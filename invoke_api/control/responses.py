"""Responses of the emulator's own routes: JSON, and `{"error": "message"}` for errors."""

import json

from starlette.responses import Response


def json_answer(document: object, *, status: int = 200) -> Response:
    """Return a document as compact JSON with a line feed."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    body = f"{text}\n".encode(errors="backslashreplace")
    return Response(body, status, media_type="application/json")


def error_answer(sentence: str, *, status: int = 400) -> Response:
    return json_answer({"error": sentence}, status=status)
