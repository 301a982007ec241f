"""Conversion of aimock's fixture files into rules.

The format is that of aimock's documentation: the page "Fixtures" and the skill "write-fixtures" in
the repository CopilotKit/aimock, read in its version 1.43.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from invoke_api.conversion.converted import Converted, Document, Note

# Conditions: the key of `when` for each, and the value there.
CONDITIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "userMessage": ("last_user_message", lambda text: text),
    "systemMessage": ("system", lambda texts: texts),
    "toolName": ("tool", lambda name: name),
    "toolResultContains": ("tool_result", lambda text: text),
    "hasToolResult": ("has_tool_result", lambda has: has),
    # aimock counts the answers so far, a rule the calls.
    "turnIndex": ("step", lambda index: index + 1),
}
# Conditions with a meaning that is not one of `when`.
OTHER_CONDITIONS = ("endpoint", "sequenceIndex")
# Conditions and responses of other APIs than chat, or of code. Their fixtures are not converted.
FOREIGN_CONDITIONS = ("inputText", "context", "predicate")
CHAT_ENDPOINT = "chat"
ANSWERS = ("content", "toolCalls", "blocks", "error")
REMARKABLE = {
    "reasoning": "models of Mistral on Bedrock return no reasoning of a rule",
    "webSearches": "there are no web searches",
    "usage": "tokens are counted",
    "finishReason": "the answer decides its stop reason",
}
# Bedrock's exception for a status. Guess for statuses that Bedrock does not send: the nearest one.
EXCEPTIONS = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
DEFAULT_STATUS = 500  # aimock's, for an error without one
# The fault that each rate of `chaos` causes.
CHAOS = {
    "dropRate": "InternalServerException",
    "malformedRate": "torn_frame",
    "disconnectRate": "cut",
}


def is_aimock(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("fixtures"), list)


def convert_aimock(document: Mapping[str, Any], models: Sequence[str]) -> Converted:
    """Return rules for fixtures. `models` are the ids of models that a rule can name.

    aimock uses the first fixture that matches, and the last rule is used first, so the order is
    reversed.
    """
    notes: list[str] = []
    rules: list[Document] = []
    asked: Counter[str] = Counter()
    for number, fixture in enumerate(document["fixtures"], start=1):
        note = Note(f"fixture {number}", notes)
        match = fixture.get("match", {})
        rest = json.dumps({key: match[key] for key in match if key != "sequenceIndex"})
        if match.get("sequenceIndex", asked[rest]) != asked[rest]:
            note.add("sequenceIndex became the order in the file")
        asked[rest] += 1
        rules += _to_rules(fixture, models, note)
    return Converted(rules[::-1], notes)


def _to_rules(fixture: Mapping[str, Any], models: Sequence[str], note: Note) -> Iterator[Document]:
    match, response = fixture.get("match", {}), fixture.get("response", {})
    if foreign := [key for key in FOREIGN_CONDITIONS if key in match]:
        note.add(f"not converted: no rule has a condition like {foreign[0]}")
        return
    if match.get("endpoint", CHAT_ENDPOINT) != CHAT_ENDPOINT or not any(
        key in response for key in ANSWERS
    ):
        note.add("not converted: it answers no chat")
        return
    when = _to_when(match, models, note)
    once = {"times": 1} if "sequenceIndex" in match else {}
    for rate, fault in CHAOS.items():
        if share := fixture.get("chaos", {}).get(rate):
            yield {**when, "fault": fault, "probability": share}
    yield {**when, **_to_effects(fixture, response, note), **once}


def _to_when(match: Mapping[str, Any], models: Sequence[str], note: Note) -> Document:
    when: Document = {}
    for key, value in match.items():
        if key in CONDITIONS:
            name, convert = CONDITIONS[key]
            when[name] = convert(value)
        elif key == "toolCallId":
            when["has_tool_result"] = True
            note.add("toolCallId became has_tool_result, because the ids of calls are made anew")
        elif key == "model" and value in models:
            when["model_id"] = value
        elif key == "model":
            note.add(f"the model {value!r} is left out, because it is not served")
        elif key not in OTHER_CONDITIONS:
            note.add(f"the condition {key} is left out, so the rule answers more calls")
    return {"when": when} if when else {}


def _to_effects(fixture: Mapping[str, Any], response: Mapping[str, Any], note: Note) -> Document:
    for key in (key for key in REMARKABLE if key in response):
        note.add(f"{key} is left out: {REMARKABLE[key]}")
    if "error" in response:
        return {"fault": _to_fault(response)}
    effects: Document = {"reply": _to_reply(response, note)}
    if pace := _to_pace(fixture):
        effects["pace"] = pace
    if "truncateAfterChunks" in fixture:
        effects["fault"] = {"break": "cut", "after_tokens": fixture["truncateAfterChunks"]}
        note.add("truncateAfterChunks became as many tokens")
    if "disconnectAfterMs" in fixture:
        note.add("disconnectAfterMs is left out: a fault happens after tokens")
    return effects


def _to_fault(response: Mapping[str, Any]) -> Document:
    status = response.get("status", response["error"].get("status", DEFAULT_STATUS))
    nearest = min(EXCEPTIONS, key=lambda known: (abs(known - status), known))
    fault = {"exception": EXCEPTIONS[nearest]}
    return fault | ({"message": message} if (message := response["error"].get("message")) else {})


def _to_reply(response: Mapping[str, Any], note: Note) -> Any:  # noqa: ANN401 - a rule's reply
    text, calls = _to_text(response.get("content", "")), response.get("toolCalls", [])
    if blocks := response.get("blocks"):
        kinds = [block["type"] for block in blocks]
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        calls = [block for block in blocks if block["type"] == "toolCall"]
        if kinds != sorted(kinds, key=lambda kind: kind != "text"):
            note.add("the text comes before the tool calls, as Mistral's models write it")
    if not calls:
        return text
    return {**({"text": text} if text else {}), "tool_calls": list(map(_to_call, calls))}


def _to_text(content: object) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _to_call(call: Mapping[str, Any]) -> Document:
    arguments = call.get("arguments", {})
    parsed = json.loads(arguments) if isinstance(arguments, str) else arguments
    return {"name": call["name"], "arguments": parsed}


def _to_pace(fixture: Mapping[str, Any]) -> Document:
    """Return the pace. aimock's times are milliseconds, between chunks instead of tokens."""
    if profile := fixture.get("streamingProfile"):
        names = {"tps": "tokens_per_second", "jitter": "jitter"}
        pace = {names[key]: value for key, value in profile.items() if key in names}
        return pace | ({"first_token": profile["ttft"] / 1000} if "ttft" in profile else {})
    latency = fixture.get("latency")
    return {"tokens_per_second": round(1000 / latency, 3)} if latency else {}
