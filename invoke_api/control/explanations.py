"""`/_emulator/explain`: why rules applied to a call, or did not."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from invoke_api.control.responses import error_answer, json_answer
from invoke_api.observability.journal import Entry
from invoke_api.pipeline.services import services_of
from invoke_api.rules.explanation import write_report

MAX_EXPLAINED_CALLS = 20  # in one report
# The explanation of a call for which no rule was tried.
NOTHING_TRIED: dict[str, Any] = {
    "applied": [],
    "rules": [],
    "rules_of_other_scopes": 0,
    "nearest": None,
    "shortened": False,
}


async def explain_call(request: Request, _: bytes) -> Response:
    """Explain one call, by its request id."""
    request_id = request.url.path.rpartition("/")[2]
    journal = services_of(request).journal
    found = journal.found(request_id=request_id)
    if not found:
        sentence = f"The journal has no call {request_id[:100]!r}; it keeps the last calls only."
        return error_answer(sentence, status=404)
    # In a thread, because it searches the texts of the call again.
    return json_answer(await asyncio.to_thread(_explain, found[-1]))


async def explain_calls(request: Request, _: bytes) -> Response:
    """Explain the last calls, or with `?scope=` those of one access key, in lines of text."""
    found = services_of(request).journal.found(scope=request.query_params.get("scope"))
    last = found[-MAX_EXPLAINED_CALLS:]
    explained = await asyncio.to_thread(lambda: [_explain(entry)["report"] for entry in last])
    left_out = len(found) - len(last)
    head = [f"{left_out:,} earlier calls are left out"] if left_out else []
    return json_answer({"report": [*head, *(line for lines in explained for line in lines)]})


def _explain(entry: Entry) -> dict[str, Any]:
    call = entry.to_json()
    explained = entry.explain() if entry.explain else NOTHING_TRIED
    said = {key: call[key] for key in ("request_id", "operation", "model_id", "engine")}
    return {**said, **explained, "report": write_report(call, explained)}
