"""Answers of the emulator's own routes: JSON, and for a mistake `{"error": "a sentence"}`."""

import json

from starlette.responses import Response


def json_answer(document: object, *, status: int = 200) -> Response:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    body = f"{text}\n".encode(errors="backslashreplace")
    return Response(body, status, media_type="application/json")


def refusal(sentence: str, *, status: int = 400) -> Response:
    return json_answer({"error": sentence}, status=status)
