"""Patterns of personal data: those of Bedrock's types that have a form of their own.

Bedrock finds them by a model, and names, addresses and ages can be found no other way: a guardrail
with these types finds none here, and is told so when it is loaded.
"""

import re

# Not inside a longer word or number.
_B, _E = r"(?<![\w.-])", r"(?![\w-]|\.\d)"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"

PII: dict[str, re.Pattern[str]] = {
    name: re.compile(f"{_B}(?:{pattern}){_E}")
    for name, pattern in {
        "AWS_ACCESS_KEY": r"(?:AKIA|ASIA)[A-Z0-9]{16}",
        "AWS_SECRET_KEY": (
            r"(?=[A-Za-z0-9/+]{0,39}[A-Z])(?=[A-Za-z0-9/+]{0,39}\d)[A-Za-z0-9/+]{40}(?![/+=])"
        ),
        "CREDIT_DEBIT_CARD_NUMBER": (
            r"(?:\d{4}[ -]){3}\d{4}|\d{15,16}|3[47]\d{2}[ -]?\d{6}[ -]?\d{5}"
        ),
        "EMAIL": r"[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}",
        "INTERNATIONAL_BANK_ACCOUNT_NUMBER": (
            r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?"
        ),
        "IP_ADDRESS": (
            rf"(?:(?:{_OCTET}\.){{3}}{_OCTET}|(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}})"
        ),
        "MAC_ADDRESS": r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}",
        "PHONE": r"(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)|\d{2,4})[ .-]\d{3,4}[ .-]?\d{3,4}|\+\d{8,15}",
        "SWIFT_CODE": r"[A-Z]{4}(?:US|GB|DE|FR|CH|IT|ES|NL|AT|BE)[A-Z0-9]{2}(?:[A-Z0-9]{3})?",
        "UK_NATIONAL_INSURANCE_NUMBER": r"[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]",
        "URL": r"https?://[^\s<>\"')]*[\w/]",
        "US_SOCIAL_SECURITY_NUMBER": r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}",
        "VEHICLE_IDENTIFICATION_NUMBER": r"(?=[A-Z0-9]*\d)(?=[A-Z0-9]*[A-Z])[A-HJ-NPR-Z0-9]{17}",
    }.items()
}
