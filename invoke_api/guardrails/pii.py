"""Patterns of personal data: those of Bedrock's types that have a form of their own.

Bedrock finds them by a model, and names, addresses and ages can be found no other way: a guardrail
with these types finds none here, and is told so when it is loaded.
"""

import re
from collections.abc import Callable

from invoke_api.guardrails.searching import Form, Tail
from invoke_api.patterns import compile_pattern

_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"


def _form(
    pattern: str,
    longest: int,
    *,
    is_number: bool = True,
    check: Callable[[str], bool] = bool,
    end: str = r"\b",
) -> Form:
    # The character before is found with it: linear time knows no look-behind.
    compiled = compile_pattern(rf"[^\w.-](?:{pattern}){end}")
    not_before = "-" if is_number else ""
    return Form(compiled, longest=longest, is_number=is_number, not_before=not_before, check=check)


def _is_mixed(match: str) -> bool:
    """Whether capitals and digits are both in it."""
    return bool(re.search("[A-Z]", match) and re.search(r"\d", match))


def _is_social(match: str) -> bool:
    """Never given: area 000, 666 and 900 to 999, group 00 and number 0000."""
    area, group, number = match.split("-")
    return not (area in {"000", "666"} or area[0] == "9" or group == "00" or number == "0000")


PII: dict[str, Form] = {
    "AWS_ACCESS_KEY": _form(r"(?:AKIA|ASIA)[A-Z0-9]{16}", 20, is_number=False),
    # What follows it, an equals sign too, is part of something longer.
    "AWS_SECRET_KEY": Tail(
        compile_pattern(r"[^\w.-][A-Za-z0-9/+]{40,}"), longest=40, check=_is_mixed, not_before="="
    ),
    "CREDIT_DEBIT_CARD_NUMBER": _form(
        r"(?:\d{4}[ -]){3}\d{4}|\d{15,16}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}", 19
    ),
    "EMAIL": _form(
        r"[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}", 601, is_number=False
    ),
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": _form(
        r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?", 43, is_number=False
    ),
    "IP_ADDRESS": _form(
        rf"(?:(?:{_OCTET}\.){{3}}{_OCTET}|(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}})", 39
    ),
    "MAC_ADDRESS": _form(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", 17),
    "PHONE": _form(
        r"(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)|\d{2,4})[ .-]\d{3,4}[ .-]?\d{3,4}|\+\d{8,15}", 29
    ),
    "SWIFT_CODE": _form(
        r"[A-Z]{4}(?:US|GB|DE|FR|CH|IT|ES|NL|AT|BE)[A-Z0-9]{2}(?:[A-Z0-9]{3})?", 11
    ),
    "UK_NATIONAL_INSURANCE_NUMBER": _form(r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]", 13),
    "URL": _form(r"https?://[^\s<>\"')]*[\w/]", 2_048, is_number=False, end=""),
    "US_SOCIAL_SECURITY_NUMBER": _form(r"\d{3}-\d{2}-\d{4}", 11, check=_is_social),
    "VEHICLE_IDENTIFICATION_NUMBER": _form(r"[A-HJ-NPR-Z0-9]{17}", 17, check=_is_mixed),
}
