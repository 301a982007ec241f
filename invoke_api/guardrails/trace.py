"""Assessments as JSON, in the order of the service model. Converse's writer sorts the keys.

Recorded, in 2025 and 2026: a policy without findings is left out. So is the list of PII beside a
list of regexes, although the service model requires it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from invoke_api.guardrails.guardrail import Filter
from invoke_api.guardrails.scanner import TEXT_UNIT_CHARACTERS, Assessment, Finding

Entry = dict[str, Any]


def _topic(name: str, _: str) -> Entry:
    return {"name": name, "type": "DENY"}


def _word(_: str, match: str) -> Entry:
    return {"match": match}


def _pii(name: str, match: str) -> Entry:
    return {"match": match, "type": name}


def _regex(name: str, _: str) -> Entry:
    return {"name": name}


# Kind of filter: policy, list in the policy, and the entry without `action` and `detected`.
POLICY_ENTRIES: dict[str, tuple[str, str, Callable[[str, str], Entry]]] = {
    "topic": ("topicPolicy", "topics", _topic),
    "word": ("wordPolicy", "customWords", _word),
    "pii": ("sensitiveInformationPolicy", "piiEntities", _pii),
    "regex": ("sensitiveInformationPolicy", "regexes", _regex),
}
POLICIES = ("topicPolicy", "contentPolicy", "wordPolicy", "sensitiveInformationPolicy")
FULLY_SHOWN = ("topic", "pii")  # words and regexes are shown only if they are found


def to_assessment(
    assessment: Assessment, region: str, account: str, *, full: bool = False
) -> Entry:
    """Return a GuardrailAssessment. If `full`, it includes filters without findings."""
    found: dict[str, Any] = {}
    for finding in assessment.findings:
        _add(found, finding.filter, _to_entry(finding))
    if full:
        for absent in _absent(assessment):
            _add(found, absent, _undetected(absent))
        if filters := list(_harmless(assessment)):
            found["contentPolicy"] = {"filters": filters}
    guardrail = assessment.guardrail
    return {
        **{policy: found[policy] for policy in POLICIES if policy in found},
        "invocationMetrics": {
            "guardrailProcessingLatency": assessment.latency,
            "usage": to_usage(assessment),
            "guardrailCoverage": to_coverage(assessment),
        },
        "appliedGuardrailDetails": {
            "guardrailId": guardrail.id,
            "guardrailVersion": guardrail.version,
            "guardrailArn": guardrail.to_arn(region, account),
            "guardrailOrigin": ["REQUEST"],
            "guardrailOwnership": "SELF",
        },
    }


def to_coverage(assessment: Assessment) -> Entry:
    return {"textCharacters": {"guarded": assessment.guarded, "total": assessment.total}}


def to_usage(assessment: Assessment) -> dict[str, int]:
    """Return the text units of each policy that is enabled in this direction, rounded up."""
    guardrail, source = assessment.guardrail, assessment.source
    units = -(-assessment.guarded // TEXT_UNIT_CHARACTERS)
    on = {each.kind for each in guardrail.filters if source in each.enabled}
    free = any(each.kind == "regex" and source in each.actions for each in guardrail.filters)
    content = any(each.strengths[source] != "NONE" for each in guardrail.content_filters)
    grounded = guardrail.is_grounded and source == "OUTPUT"
    return {
        "topicPolicyUnits": units * ("topic" in on),
        "contentPolicyUnits": units * content,
        "wordPolicyUnits": units * ("word" in on),
        "automatedReasoningPolicyUnits": 0,
        "automatedReasoningPolicies": 0,
        "sensitiveInformationPolicyUnits": units * ("pii" in on),
        "sensitiveInformationPolicyFreeUnits": units * free,
        "contextualGroundingPolicyUnits": units * grounded,
        "contentPolicyImageUnits": 0,
    }


def _add(found: dict[str, Any], wanted: Filter, entry: Entry) -> None:
    policy, entries, _ = POLICY_ENTRIES[wanted.kind]
    found.setdefault(policy, {}).setdefault(entries, []).append(entry)


def _to_entry(finding: Finding) -> Entry:
    wanted = finding.filter
    entry = POLICY_ENTRIES[wanted.kind][2](wanted.name, finding.match)
    if wanted.kind == "regex":
        entry |= {"regex": wanted.regex, "match": finding.match}
    return {**entry, "action": finding.action, "detected": True}


def _undetected(absent: Filter) -> Entry:
    entry = POLICY_ENTRIES[absent.kind][2](absent.name, "")
    return {**entry, "action": "NONE", "detected": False}


def _absent(assessment: Assessment) -> Iterator[Filter]:
    found = {id(finding.filter) for finding in assessment.findings}
    for each in assessment.guardrail.filters:
        is_on = assessment.source in each.actions and each.kind in FULLY_SHOWN
        if is_on and id(each) not in found:
            yield each


def _harmless(assessment: Assessment) -> Iterator[Entry]:
    for each in assessment.guardrail.content_filters:
        strength = each.strengths[assessment.source]
        if strength != "NONE":
            yield {
                "type": each.type,
                "confidence": "NONE",
                "filterStrength": strength,
                "action": "NONE",
                "detected": False,
            }
