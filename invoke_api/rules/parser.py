"""Parsing of rules from JSON or YAML documents. Every error message names the place."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from engine.tokenization.tool_calls import ToolCall
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.cassettes.reader import load_waits
from invoke_api.regex import PatternError
from invoke_api.rules.conditions import KINDS, TEXT, to_glob, to_pattern, to_when
from invoke_api.rules.mistakes import place_of, say_mistake, say_unknown
from invoke_api.rules.rule import BREAKS, Fault, ReplyTurn, Rule, RuleReply, TokenPace
from invoke_api.validation.schema import Validator
from invoke_api.wire import errors
from invoke_api.wire.errors import InvokeError
from invoke_api.yaml_files import (
    MAX_MISTAKES,
    ConfigError,
    load_schema,
    read_config,
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

MAX_WAIT_SECONDS = 3_600.0  # in a recorded pace; schemas/rules.json has the same for `first_token`

NO_RECORDINGS = NamedRecordings()
WaitsOf = Callable[[str], tuple[float, ...]]
# The ids and names by which calls can name a model; None if they may name any model.
ModelNames = Collection[str] | None
# Endpoints of SageMaker may be created after the rules.
ENDPOINT_OPERATIONS = ("InvokeEndpoint", "EndpointChat")

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


def load_rules(path: Path, models: ModelNames = None) -> list[Rule]:
    """Load a file. Raises `ConfigError` or `RuleError` with every mistake and its line."""
    document, source = read_config(path)
    found = Validator(load_schema("rules.json")).iter_errors(document)
    mistakes = [
        f"{source.where([*error.absolute_path])}: {say_mistake(error)}"
        for error in islice(found, MAX_MISTAKES)
    ]
    if mistakes := [*source.repeated, *mistakes]:
        raise RuleError("\n".join(mistakes))
    return _to_rules(
        document["rules"],
        lambda index: f"{source.where(['rules', index])}: {place_of(['rules', index])}",
        lambda name: load_waits(path.parent / name),
        models,
    )


def parse_rules(
    document: Any,  # noqa: ANN401 - any JSON
    waits_of: WaitsOf = NO_RECORDINGS.waits,
    models: ModelNames = None,
) -> list[Rule]:
    """Parse one rule, a list of rules, or `{"rules": [...]}`. Raises `RuleError`.

    `waits_of` returns the waits of a named recording in seconds, or raises `ConfigError`.
    """
    if isinstance(document, dict) and "rules" not in document:
        document = [document]
    if isinstance(document, list):
        document = {"rules": document}
    found = Validator(load_schema("rules.json")).iter_errors(document)
    if mistakes := [say_mistake(error) for error in islice(found, MAX_MISTAKES)]:
        raise RuleError("; ".join(mistakes))
    return _to_rules(document["rules"], lambda index: place_of(["rules", index]), waits_of, models)


def _to_rules(
    entries: Sequence[Mapping[str, Any]],
    where: Callable[[int], str],
    waits_of: WaitsOf,
    models: ModelNames,
) -> list[Rule]:
    problems = [
        f"{where(index)}: {problem}"
        for index, entry in enumerate(entries)
        for problem in [*_problems(entry), *_model_problems(entry.get("when", {}), models)]
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


def _problems(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the mistakes that the schema can't find."""
    said = [key for key in ("reply", "fault", "state") if key in entry]
    if len(said) > 1 and set(said) != {"reply", "fault"}:
        yield f"{' and '.join(said)} exclude each other"
    if not said and "pace" not in entry:
        yield "it has no effect; add a reply, fault, state or pace"
    if "recording" in entry.get("pace", {}) and entry["pace"].keys() & RECORDED_KEYS:
        yield f"a pace with a recording can't have {' or '.join(RECORDED_KEYS)}"
    yield from _reply_problems(entry.get("reply"))
    yield from _fault_problems(entry)
    yield from _text_problems(entry.get("when", {}))
    try:
        json.dumps(entry)
    except TypeError:  # YAML has dates, sets and bytes
        yield "it has a value that JSON lacks, such as a date; put it in quotes"


def _reply_problems(reply: Any) -> Iterator[str]:  # noqa: ANN401 - str, list or dict
    for number, turn in enumerate(reply if isinstance(reply, list) else [reply]):
        if isinstance(turn, dict) and len(turn.keys() & REPLY_KEYS) > 1:
            place = f"reply {number + 1}" if isinstance(reply, list) else "a reply"
            yield f"{place} has only one of {', '.join(REPLY_KEYS)}"


def _text_problems(when: Mapping[str, Any]) -> Iterator[str]:
    for key in when:
        wanted = when[key] if isinstance(when[key], list) else [when[key]]
        for text in wanted if KINDS[key][0] is TEXT else ():
            try:
                to_pattern(text)
            except PatternError as error:
                yield f"{key} {error}"


def _model_problems(when: Mapping[str, Any], models: ModelNames) -> Iterator[str]:
    """Yield a sentence if no call can name a model that matches `model_id`."""
    wanted, operation = when.get("model_id"), when.get("operation", "")
    if wanted is None or models is None or wanted.startswith("arn:"):
        return
    if operation.startswith(ENDPOINT_OPERATIONS):
        return
    glob = to_glob(wanted)
    if not any(map(glob.match, models)):
        yield f"when, model_id: {say_unknown('model', wanted, sorted(models))}"


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
        yield f"fault: {say_unknown('exception', name, [*EXCEPTIONS, *BREAKS])}"


def _spell_out(fault: str | dict[str, Any]) -> dict[str, Any]:
    """Return the long form of a fault that may be given by its name alone."""
    if isinstance(fault, dict):
        return fault
    return {"break" if fault in BREAKS else "exception": fault}


def _to_rule(entry: Mapping[str, Any], waits_of: WaitsOf) -> Rule:
    return Rule(
        document=entry,
        when=to_when(entry.get("when", {})),
        reply=_to_reply(entry.get("reply")),
        fault=_to_fault(entry),
        pace=_to_pace(entry["pace"], waits_of) if "pace" in entry else None,
        times=entry.get("times"),
        seconds=entry.get("seconds"),
        probability=entry.get("probability", 1.0),
        seed=entry.get("seed"),
        scope=entry.get("scope"),
    )


def _to_reply(reply: Any) -> RuleReply | None:  # noqa: ANN401 - str, list or dict
    if reply is None:
        return None
    if isinstance(reply, list):
        return RuleReply(tuple(map(_to_turn, reply)))
    if isinstance(reply, dict) and "texts" in reply:
        calls = _to_turn(reply).calls
        return RuleReply(tuple(ReplyTurn(text, calls) for text in reply["texts"]))
    return RuleReply((_to_turn(reply),))


def _to_turn(turn: str | Mapping[str, Any]) -> ReplyTurn:
    if isinstance(turn, str):
        return ReplyTurn(turn)
    calls = (
        ToolCall(each["name"], each.get("arguments", {})) for each in turn.get("tool_calls", ())
    )
    return ReplyTurn(None if "echo" in turn else turn.get("text", ""), tuple(calls))


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
