"""Parsing of rules from JSON or YAML documents. Every error message names the place."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import translate
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import ValidationError

from engine.tokenization.tool_calls import ToolCall
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.cassettes.reader import load_waits
from invoke_api.regex import Pattern, PatternError, compile_pattern
from invoke_api.rules.rule import BREAKS, Fault, Rule, RuleReply, TokenPace, When
from invoke_api.validation.schema import Validator
from invoke_api.wire import errors
from invoke_api.wire.errors import InvokeError
from invoke_api.yaml_files import (
    MAX_MISTAKES,
    ConfigError,
    find_mistakes,
    load_schema,
    read_config,
    shown,
)

# A rule can raise any exception of Bedrock's service model, except one of the control plane.
NO_FAULTS = (errors.TooManyTagsException, errors.FrontDoorError)
# SageMaker Runtime's names for Bedrock's exceptions.
SAGEMAKER_NAMES: dict[str, type[InvokeError]] = {
    "ModelError": errors.ModelErrorException,
    "ModelStreamError": errors.ModelStreamErrorException,
    "InternalFailure": errors.InternalServerException,
    "InternalStreamFailure": errors.InternalServerException,
    "ServiceUnavailable": errors.ServiceUnavailableException,
    "ValidationError": errors.ValidationException,
}
EXCEPTIONS: dict[str, type[InvokeError]] = {
    **{kind.__name__: kind for kind in InvokeError.__subclasses__() if kind not in NO_FAULTS},
    **SAGEMAKER_NAMES,
}

MAX_PATTERN_BYTES = 1 << 20  # of memory
MAX_PATTERN_STEPS = 40_000  # per byte of a prompt, in the worst case
MAX_WAIT_SECONDS = 3_600.0  # in a recorded pace; schemas/rules.json has the same for `first_token`

NO_RECORDINGS = NamedRecordings()
WaitsOf = Callable[[str], tuple[float, ...]]

EXCEPTION_KEYS = {"message", "members", "retry_after"}
REPLY_KEYS = ("text", "texts", "echo")
RECORDED_KEYS = ("first_token", "tokens_per_second")

# State of a model: the exception that Bedrock raises, and its message.
STATES: dict[str, tuple[type[InvokeError], str | None]] = {
    "not-ready": (errors.ModelNotReadyException, None),
    "access-denied": (errors.AccessDeniedException, None),
    "end-of-life": (errors.ResourceNotFoundException, errors.END_OF_LIFE),
    "on-demand-not-supported": (errors.ValidationException, errors.NOT_ON_DEMAND),
    "unavailable": (errors.ServiceUnavailableException, None),
}


class RuleError(ValueError):
    """The error for invalid rules. Its message lists all mistakes."""


def load_rules(path: Path) -> list[Rule]:
    """Load a file. Raises `ConfigError` or `RuleError` with every mistake and its line."""
    document, source = read_config(path)
    if mistakes := list(find_mistakes(document, source, "rules.json")):
        raise RuleError("\n".join(mistakes))
    return _to_rules(
        document["rules"],
        lambda index: source.where(["rules", index]),
        lambda name: load_waits(path.parent / name),
    )


def parse_rules(
    document: Any,  # noqa: ANN401 - any JSON
    waits_of: WaitsOf = NO_RECORDINGS.waits,
) -> list[Rule]:
    """Parse one rule, a list of rules, or `{"rules": [...]}`. Raises `RuleError`.

    `waits_of` returns the waits of a named recording in seconds, or raises `ConfigError`.
    """
    if isinstance(document, dict) and "rules" not in document:
        document = [document]
    if isinstance(document, list):
        document = {"rules": document}
    schema_errors = Validator(load_schema("rules.json")).iter_errors(document)
    if mistakes := [_sentence(error) for error in islice(schema_errors, MAX_MISTAKES)]:
        raise RuleError("; ".join(mistakes))
    return _to_rules(document["rules"], lambda index: f"rule {index + 1}", waits_of)


def _to_rules(
    entries: Sequence[Mapping[str, Any]], where: Callable[[int], str], waits_of: WaitsOf
) -> list[Rule]:
    problems = [
        f"{where(index)}: {problem}"
        for index, entry in enumerate(entries)
        for problem in _problems(entry)
    ]
    if problems:
        raise RuleError("\n".join(problems[:MAX_MISTAKES]))
    rules = []
    for index, entry in enumerate(entries):
        try:
            rules.append(_to_rule(entry, waits_of))
        except ConfigError as error:
            raise RuleError(f"{where(index)}: {error}") from error
    return rules


def _sentence(error: ValidationError) -> str:
    where = " of ".join(
        f"rule {step + 1}" if isinstance(step, int) else str(step)
        for step in reversed(error.absolute_path)
        if step != "rules"
    )
    return f"{where or 'the rules'}: {shown(error)}"


def _problems(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the mistakes that the schema can't find."""
    said = [key for key in ("reply", "fault", "state") if key in entry]
    if len(said) > 1 and set(said) != {"reply", "fault"}:
        yield f"{' and '.join(said)} exclude each other"
    if not said and "pace" not in entry:
        yield "it has no effect; add a reply, fault, state or pace"
    if "recording" in entry.get("pace", {}) and entry["pace"].keys() & RECORDED_KEYS:
        yield f"a pace with a recording can't have {' or '.join(RECORDED_KEYS)}"
    if isinstance(reply := entry.get("reply"), dict) and len(reply.keys() & REPLY_KEYS) > 1:
        yield f"a reply has only one of {', '.join(REPLY_KEYS)}"
    yield from _fault_problems(entry)
    yield from _text_problems(entry.get("when", {}))
    try:
        json.dumps(entry)
    except TypeError:  # YAML has dates, sets and bytes
        yield "it has a value that JSON lacks, such as a date; put it in quotes"


def _text_problems(when: Mapping[str, Any]) -> Iterator[str]:
    for key in ("prompt", "last_user_message"):
        text = when.get(key)
        if isinstance(text, dict):
            try:
                _to_pattern(text)
            except PatternError as error:
                yield f"{key} {error}"


def _fault_problems(entry: Mapping[str, Any]) -> Iterator[str]:
    if "fault" not in entry:
        return
    fault = _spell_out(entry["fault"])
    if ("exception" in fault) == ("break" in fault):
        yield "a fault has either an exception or a break"
    elif "exception" not in fault:
        if useless := fault.keys() & EXCEPTION_KEYS:
            yield f"a break can't have {' or '.join(sorted(useless))}"
    elif (name := fault["exception"]) not in EXCEPTIONS:
        close = get_close_matches(name, [*EXCEPTIONS, *BREAKS], n=1)
        hint = (
            f"; did you mean {close[0]}?" if close else f"; Bedrock's are {', '.join(EXCEPTIONS)}"
        )
        yield f"there is no exception {name!r}{hint}"


def _spell_out(fault: str | dict[str, Any]) -> dict[str, Any]:
    """Return the long form of a fault that may be given by its name alone."""
    if isinstance(fault, dict):
        return fault
    return {"break" if fault in BREAKS else "exception": fault}


def _to_rule(entry: Mapping[str, Any], waits_of: WaitsOf) -> Rule:
    when = entry.get("when", {})
    return Rule(
        document=entry,
        when=When(
            operation=when.get("operation"),
            model_id=_to_glob(when.get("model_id")),
            prompt=_to_pattern(when.get("prompt")),
            last_user_message=_to_pattern(when.get("last_user_message")),
            turn=when.get("turn"),
            tool=_to_glob(when.get("tool")),
        ),
        reply=_to_reply(entry.get("reply")),
        fault=_to_fault(entry),
        pace=_to_pace(entry["pace"], waits_of) if "pace" in entry else None,
        times=entry.get("times"),
        seconds=entry.get("seconds"),
        probability=entry.get("probability", 1.0),
        seed=entry.get("seed"),
        scope=entry.get("scope"),
    )


def _to_pattern(text: str | dict[str, str] | None) -> str | Pattern | None:
    """Compile a text condition. Raises `PatternError`."""
    if text is None or isinstance(text, str):
        return text
    pattern = compile_pattern(text["regex"], dot_matches_newline=True, memory=MAX_PATTERN_BYTES)
    if pattern.size > MAX_PATTERN_STEPS:
        raise PatternError(
            f"may take {pattern.size:,} steps per byte; the maximum is {MAX_PATTERN_STEPS:,}"
        )
    return pattern


def _to_glob(text: str | None) -> re.Pattern[str] | None:
    # `translate` puts each part between two stars into an atomic group: no backtracking.
    return None if text is None else re.compile(translate(text))


def _to_reply(reply: Any) -> RuleReply | None:  # noqa: ANN401 - str, list or dict
    if reply is None:
        return None
    if isinstance(reply, str):
        return RuleReply(texts=(reply,))
    if isinstance(reply, list):
        return RuleReply(texts=tuple(reply))
    calls = tuple(
        ToolCall(call["name"], call.get("arguments", {})) for call in reply.get("tool_calls", ())
    )
    texts = () if "echo" in reply else reply.get("texts", [reply.get("text", "")])
    return RuleReply(texts=tuple(texts), echo="echo" in reply, calls=calls)


def _to_pace(pace: Mapping[str, Any], waits_of: WaitsOf) -> TokenPace:
    """Return a pace. Raises `ConfigError` for a recording that is missing or invalid."""
    given = dict(pace)
    recorded = given.pop("recording", None)
    waits = waits_of(recorded) if recorded else ()
    if any(wait > MAX_WAIT_SECONDS for wait in waits):
        raise ConfigError(f"the recording has a wait of more than {MAX_WAIT_SECONDS:,.0f} seconds")
    return TokenPace(**given, recorded=waits)


def _to_fault(entry: Mapping[str, Any]) -> Fault | None:
    if "state" in entry:
        kind, message = STATES[entry["state"]]
        return Fault(error=lambda model_id: kind(message and message.format(model_id=model_id)))
    fault = entry.get("fault")
    if fault is None:
        return None
    fault = _spell_out(fault)
    after = fault.get("after_tokens")
    if "break" in fault:
        return Fault(breakage=fault["break"], after_tokens=after)
    headers = {}
    if "retry_after" in fault:
        headers["x-amz-retry-after"] = str(fault["retry_after"])
    make = partial(
        EXCEPTIONS[fault["exception"]],
        fault.get("message"),
        members=fault.get("members"),
        headers=headers,
        in_stream=after is not None,
    )
    return Fault(error=lambda _: make(), after_tokens=after)
