"""ApplyGuardrail: check texts with a guardrail, without a model."""

from collections.abc import Sequence
from typing import Any

from invoke_api.authentication.gate import Caller
from invoke_api.guardrails.guardrail import Guardrail
from invoke_api.guardrails.scanner import TEXT_UNIT_CHARACTERS, Assessment, TextBlock
from invoke_api.guardrails.session import GuardrailSession
from invoke_api.guardrails.trace import to_coverage, to_usage
from invoke_api.operations.request_checks import coral_schema
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.guardrail_check import is_to_guard
from invoke_api.pipeline.offload import offload
from invoke_api.pipeline.responses import HttpResponse, json_response
from invoke_api.wire.errors import ThrottlingException, ValidationException
from invoke_api.wire.events import encode_sorted

MAX_TEXT_UNITS = 1_000
TOO_MANY_TEXT_UNITS = (
    "Input text size ({units} text units) exceeds the maximum allowed (1000 text units)"
    " for the content filter policy (Classic tier)."
)
NO_IMAGES = "This guardrail has no policy that looks at images."  # guess


async def apply_guardrail(call: Call) -> HttpResponse:
    await call.read_body()
    return json_response(call, await offload(call, len(call.body), lambda: _apply(call)))


def _apply(call: Call) -> bytes:
    """Return the body of the response. Raises `InvokeError`s."""
    caller = admit_caller(call)
    guarding = _open(call, caller)
    asked = coral_schema("apply_guardrail.json").parse(call.body)
    parts = [_to_part(block) for block in asked["content"]]
    if not parts:  # reported: that it is refused; guess: the words
        raise ValidationException("The content field is empty. Add a content block to it.")
    if asked.get("outputScope") == "FULL":
        guarding.trace = "enabled_full"
    _check_size(guarding.guardrail, parts)
    return encode_sorted(_to_answer(guarding, guarding.assess(asked["source"], parts)))


def _open(call: Call, caller: Caller) -> GuardrailSession:
    path = call.labels
    guardrail = call.services.guardrails.find(
        path["guardrailIdentifier"], path["guardrailVersion"], caller.region
    )
    return GuardrailSession(guardrail=guardrail, region=caller.region, account=caller.account_id)


def _to_part(block: dict[str, Any]) -> TextBlock:
    if "text" not in block:
        raise ValidationException(NO_IMAGES)
    return TextBlock(block["text"]["text"], is_to_guard(block["text"]))


def _check_size(guardrail: Guardrail, parts: Sequence[TextBlock]) -> None:
    units = -(-sum(len(part.text) for part in parts if part.is_guarded) // TEXT_UNIT_CHARACTERS)
    if guardrail.content_filters and units > MAX_TEXT_UNITS:
        raise ThrottlingException(TOO_MANY_TEXT_UNITS.format(units=units))


def _to_answer(guarding: GuardrailSession, assessment: Assessment) -> dict[str, Any]:
    return {
        "usage": to_usage(assessment),
        "action": "GUARDRAIL_INTERVENED" if assessment.intervened else "NONE",
        "actionReason": assessment.reason,
        "outputs": [{"text": text} for text in assessment.outputs],
        "assessments": [guarding.report(assessment)],
        "guardrailCoverage": to_coverage(assessment),
    }
