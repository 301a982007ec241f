"""Patterns for those of Bedrock's types of personal data that have a fixed format.

Bedrock finds personal data with a model. Types without a format, such as names, addresses and ages,
are not found here; loading a guardrail with such a type logs a warning.
"""

import re
from collections.abc import Callable

from invoke_api.guardrails.search import FormatMatcher, TailMatcher
from invoke_api.regex import compile_pattern

# Patterns match normalized text, in which all digits are ASCII. Each pattern includes the character
# before the match, because a search in linear time has no look-behind. `FormatMatcher` checks for
# letters beyond ASCII.
_BEFORE = "[^A-Za-z0-9_.-]"
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"


def _form(
    pattern: str,
    longest: int,
    *,
    is_number: bool = True,
    check: Callable[[str], bool] = bool,
    trim: Callable[[str], int] = lambda _: 0,
    end: str = r"\b",
) -> FormatMatcher:
    return FormatMatcher(
        compile_pattern(f"{_BEFORE}(?:{pattern}){end}"),
        longest=longest,
        is_number=is_number,
        not_before="-" if is_number else "",
        check=check,
        trim=trim,
    )


def _not_of_name(match: str) -> int:
    """Return the length of non-ASCII punctuation in front of an e-mail address."""
    name = match.partition("@")[0]
    others = (place for place, each in enumerate(name) if not (each.isalnum() or each in "_.%+-"))
    return max(others, default=-1) + 1


def _is_mixed(match: str) -> bool:
    """Tell whether the match has both capital letters and digits."""
    return bool(re.search("[A-Z]", match) and re.search(r"\d", match))


def _is_social(match: str) -> bool:
    """Tell whether the number is possible: no area 000, 666 or 9xx, group 00 or number 0000."""
    area, group, number = match.split("-")
    return not (area in {"000", "666"} or area[0] == "9" or group == "00" or number == "0000")


PII: dict[str, FormatMatcher] = {
    "AWS_ACCESS_KEY": _form(r"(?:AKIA|ASIA)[A-Z0-9]{16}", 20, is_number=False),
    # No match before a word character or an equals sign, because it is a part of a longer text.
    "AWS_SECRET_KEY": TailMatcher(
        compile_pattern(f"{_BEFORE}[A-Za-z0-9/+]{{40,}}"),
        longest=40,
        check=_is_mixed,
        not_before="=",
    ),
    "CREDIT_DEBIT_CARD_NUMBER": _form(
        r"(?:[0-9]{4}[ -]){3}[0-9]{4}|[0-9]{15,16}|3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}", 19
    ),
    "EMAIL": _form(
        r"[A-Za-z0-9_.%+\x{80}-\x{10ffff}-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}",
        601,
        is_number=False,
        check=lambda match: match[:1] != "@",
        trim=_not_of_name,
    ),
    "INTERNATIONAL_BANK_ACCOUNT_NUMBER": _form(
        r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?", 43, is_number=False
    ),
    "IP_ADDRESS": _form(
        rf"(?:(?:{_OCTET}\.){{3}}{_OCTET}|(?:[0-9A-Fa-f]{{1,4}}:){{7}}[0-9A-Fa-f]{{1,4}})", 39
    ),
    "MAC_ADDRESS": _form(r"(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}", 17),
    "PHONE": _form(
        r"(?:\+[0-9]{1,3}[ .-]?)?(?:\([0-9]{2,4}\)|[0-9]{2,4})[ .-][0-9]{3,4}[ .-]?[0-9]{3,4}"
        r"|\+[0-9]{8,15}",
        29,
    ),
    "SWIFT_CODE": _form(
        r"[A-Z]{4}(?:US|GB|DE|FR|CH|IT|ES|NL|AT|BE)[A-Z0-9]{2}(?:[A-Z0-9]{3})?", 11
    ),
    "UK_NATIONAL_INSURANCE_NUMBER": _form(
        r"[A-CEGHJ-PR-TW-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]", 13
    ),
    "URL": _form(r"https?://[^\s<>\"')]*[\w/]", 2_048, is_number=False, end=""),
    "US_SOCIAL_SECURITY_NUMBER": _form(r"[0-9]{3}-[0-9]{2}-[0-9]{4}", 11, check=_is_social),
    "VEHICLE_IDENTIFICATION_NUMBER": _form(r"[A-HJ-NPR-Z0-9]{17}", 17, check=_is_mixed),
}
