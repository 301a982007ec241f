"""Sentences about mistakes in rules: where a mistake is, what is wrong, and what was meant."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from jsonschema import ValidationError

from invoke_api.yaml_files import shown

# The name of one item of each list.
ITEMS = {"rules": "rule", "tool_calls": "tool call", "texts": "text", "reply": "reply"}
TYPES = {
    "string": "a text",
    "array": "a list",
    "object": "an object",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}
MAX_LISTED_NAMES = 12
MAX_QUOTED_CHARACTERS = 100  # of a value in a sentence


def place_of(steps: Iterable[str | int]) -> str:
    """Return the place of a value in words, such as `rule 2, reply, tool call 1, name`."""
    words: list[str] = []
    for step in steps:
        if isinstance(step, int):
            listed = words.pop() if words else "rules"
            words.append(f"{ITEMS.get(listed, listed)} {step + 1}")
        else:
            words.append(step)
    return ", ".join(words)


def say_mistake(error: ValidationError) -> str:
    """Return a violation of the schema with its place."""
    place = place_of(error.absolute_path)
    return f"{place or 'the rules'}: {say_violation(error)}"


def say_violation(error: ValidationError) -> str:
    """Return a violation of the schema in plain words."""
    wanted: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "additionalProperties":
            known = schema["properties"]
            unknown = [str(name) for name in instance if name not in known]
            return "; ".join(say_unknown("key", name, known) for name in unknown)
        case "enum":
            return say_unknown("value", instance, wanted)
        case "type":
            types = [wanted] if isinstance(wanted, str) else wanted
            return f"{_short(instance)} must be {say_any(TYPES[each] for each in types)}"
        case "required":
            missing = [name for name in wanted if name not in instance]
            return f"the key {missing[0]!r} is missing"
    return shown(error)


def say_unknown(kind: str, name: object, known: Iterable[str], *, lists: bool = True) -> str:
    """Return a sentence about an unknown name, with the known one that was probably meant.

    Without a similar one it `lists` what is known.
    """
    names = list(dict.fromkeys(known))
    sentence = f"there is no {kind} {_short(name)}"
    if close := find_meant(name, names):
        return f"{sentence}; did you mean {close}?"
    if not lists or not names:
        return sentence
    more = len(names) - MAX_LISTED_NAMES
    listed = ", ".join(names[:MAX_LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")
    return f"{sentence}; known: {listed}"


def find_meant(name: object, known: Sequence[str]) -> str | None:
    """Return the known name that is most similar, whatever its case, or None."""
    if not isinstance(name, str):
        return None
    lower = {each.lower(): each for each in known}
    close = get_close_matches(name[:MAX_QUOTED_CHARACTERS].lower(), lower, n=1)
    return lower[close[0]] if close else None


def say_any(names: Iterable[str]) -> str:
    """Return names as a list with `or` before the last one."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_QUOTED_CHARACTERS else f"{text[:MAX_QUOTED_CHARACTERS]}…"
