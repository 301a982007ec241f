"""Conversion of mocked responses of Step Functions into rules.

MiniStack has no fixtures of Bedrock's own, but reads this file (`SFN_MOCK_CONFIG`), and so does
LocalStack. The format is that of AWS's Step Functions Local: `MockedResponses` has for each name
the results of the attempts, by their numbers from 0, such as `0` or `1-2`. A result is a `Return`
or a `Throw`. Guess: the members of a `Return` are those of Step Functions' integrations of Bedrock.
"""

import json
from collections.abc import Mapping
from typing import Any

from invoke_api.conversion.converted import Converted, Document, Note
from invoke_api.rules.parser import EXCEPTIONS


def is_step_functions(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("MockedResponses"), dict)


def convert_step_functions(document: Mapping[str, Any]) -> Converted:
    """Return rules for the responses of Bedrock, those of the first attempt last."""
    notes: list[str] = []
    rules: list[Document] = []
    for name, attempts in document["MockedResponses"].items():
        note = Note(f"response {name}", notes)
        found = [_to_rule(numbers, attempts[numbers]) for numbers in sorted(attempts, key=_first)]
        kept = [rule for rule in found if rule]
        if kept:
            note.add("add a `when`: the file does not say which calls it answers")
        if len(kept) < len(found):
            note.add(f"not converted: {len(found) - len(kept)} results that are none of Bedrock's")
        rules += kept
    return Converted(rules[::-1], notes)


def _first(numbers: str) -> int:
    return int(numbers.partition("-")[0])


def _to_rule(numbers: str, result: Mapping[str, Any]) -> Document | None:
    """Return the rule for some attempts, or None if the result is none of Bedrock's."""
    first, _, last = numbers.partition("-")
    effect = _to_fault(result["Throw"]) if "Throw" in result else _to_reply(result["Return"])
    return {**effect, "times": int(last or first) - int(first) + 1} if effect else None


def _to_fault(thrown: Mapping[str, str]) -> Document | None:
    name = thrown["Error"].rpartition(".")[2]
    if name not in EXCEPTIONS:
        return None
    message = {"message": thrown["Cause"]} if thrown.get("Cause") else {}
    return {"fault": {"exception": name, **message}}


def _to_reply(returned: Mapping[str, Any]) -> Document | None:
    if "Output" in returned:
        blocks = returned["Output"]["Message"]["Content"]
        text = "".join(block.get("Text", "") for block in blocks)
        uses = [block["ToolUse"] for block in blocks if "ToolUse" in block]
        return _reply(text, [{"name": use["Name"], "arguments": use["Input"]} for use in uses])
    body = returned.get("Body")
    answer = json.loads(body) if isinstance(body, str) else body
    if isinstance(answer, dict) and "outputs" in answer:
        return _reply(answer["outputs"][0]["text"], [])
    if isinstance(answer, dict) and "choices" in answer:
        message = answer["choices"][0]["message"]
        called = [call["function"] for call in message.get("tool_calls") or ()]
        calls = [{**call, "arguments": json.loads(call["arguments"])} for call in called]
        return _reply(message.get("content") or "", calls)
    return None


def _reply(text: str, calls: list[Document]) -> Document:
    reply = {**({"text": text} if text else {}), "tool_calls": calls} if calls else text
    return {"reply": reply}
