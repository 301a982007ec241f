"""The choice of the rules that apply to a call, and the refusals of calls that no rule fits."""

from collections.abc import Mapping, Sequence
from threading import Event

from invoke_api.dialects.question import Question
from invoke_api.pipeline.admission import METADATA
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.offload import IN_THREAD, offload
from invoke_api.rules.conditions import RuleRequest
from invoke_api.rules.explanation import Trial
from invoke_api.rules.mistakes import say_unknown
from invoke_api.rules.rule_book import TooLongSearch, Verdict
from invoke_api.wire.errors import ValidationException
from invoke_api.wire.json_text import read_json

# Steps of a pattern search that may run on the event loop: about 5 ms at worst.
MAX_INLINE_SEARCH_STEPS = 5_000_000


def to_asked(call: Call, question: Question, operation: str, model_id: str) -> RuleRequest:
    """Return the parts of a call that rules match. Its caller has been admitted."""
    assert call.caller, "rules are for admitted callers"
    return RuleRequest(
        operation=operation,
        model_id=model_id,
        question=question,
        header_metadata=_header_metadata(call),
        access_key_id=call.caller.access_key_id,
        identifier=call.model_id,
    )


def _header_metadata(call: Call) -> Mapping[str, str]:
    """Return InvokeModel's request metadata. Other APIs don't check the header."""
    header = call.header_text.get(METADATA)
    if header is None:
        return {}
    try:
        metadata = read_json(header.encode())
    except ValueError:
        return {}
    found = metadata if isinstance(metadata, dict) else {}
    return {name: value for name, value in found.items() if isinstance(value, str)}


async def choose_rules(call: Call, asked: RuleRequest) -> Verdict | None:
    """Return the rules' verdict. The journal's entry can explain it afterwards.

    Raises `ValidationException` if rules are strict and none matches, or if the prompt is too long
    for the rules' patterns, and the errors of `offload`.
    """
    rules = call.services.rules
    verdict = None
    if rules.has_rules:
        trial = rules.open_trial(asked)
        if call.entry:
            call.entry.explain = trial.to_json
        verdict = await _pick(call, asked, trial)
    if verdict is None and rules.strict:
        raise ValidationException(
            "No rule matches this request, and --strict refuses the rest."
            f" GET /_emulator/explain/{call.request_id} says why."
        )
    return verdict


async def _pick(call: Call, asked: RuleRequest, trial: Trial) -> Verdict | None:
    """Pick rules. A long prompt is searched in a thread."""
    rules = call.services.rules
    try:
        if rules.is_quick(asked, MAX_INLINE_SEARCH_STEPS):
            return rules.pick(asked, trial=trial)
    except TooLongSearch as error:
        raise ValidationException(str(error)) from error
    is_over = Event()
    try:
        matching = await offload(call, IN_THREAD, lambda: rules.matching(asked, is_over.is_set))
        return rules.pick(asked, matching, trial)
    finally:
        is_over.set()


def check_offered(verdict: Verdict, tools: Sequence[str]) -> None:
    """Raise `ValidationException` if the rule calls a tool that the request does not offer."""
    for call in verdict.calls:
        if call.name not in tools:
            unknown = say_unknown("tool", call.name, tools)
            raise ValidationException(
                f"Rule {verdict.rule_id} calls a tool that the request does not offer: {unknown}"
                + ("" if tools else "; the request offers no tools")
            )
