"""Guardrails of model calls: find the named one, check the input, add the trace to the response."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from engine.protocol import Delta, Finish, Logprobs
from invoke_api.authentication.gate import Caller
from invoke_api.dialects import BodyWriter, Dialect
from invoke_api.dialects.model_servers import envelope
from invoke_api.dialects.question import InvocationMetrics
from invoke_api.guardrails.guardrail import MALFORMED_INPUT
from invoke_api.guardrails.scanner import TextBlock
from invoke_api.guardrails.session import GuardrailSession, Trace
from invoke_api.pipeline.call import Call
from invoke_api.wire.errors import ValidationException

GUARDRAIL_CONFIG_KEY = "amazon-bedrock-guardrailConfig"
GUARDRAIL_ACTION_KEY = "amazon-bedrock-guardrailAction"
INVOCATION_METRICS_KEY = "amazon-bedrock-invocationMetrics"
TRACES: dict[str, Trace] = {each.upper(): each for each in ("disabled", "enabled", "enabled_full")}
STOP_REASON_KEYS = ("stop_reason", "finish_reason")
GUARDED_QUALIFIERS = {"guard_content"}  # the other qualifiers of a block are for grounding


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailReference:
    """The guardrail that a request names. A member that the request leaves out is empty."""

    identifier: str
    version: str
    trace: Trace = "disabled"
    is_async: bool = False


def guardrail_in_headers(headers: Mapping[str, str]) -> GuardrailReference | None:
    """Read the reference from headers with lower-case names. Return None if there is none."""
    identifier = headers.get("x-amzn-bedrock-guardrailidentifier", "")
    version = headers.get("x-amzn-bedrock-guardrailversion", "")
    if not identifier and not version:
        return None
    return GuardrailReference(
        identifier=identifier,
        version=version,
        trace=TRACES[headers.get("x-amzn-bedrock-trace", "DISABLED")],
    )


def guardrail_in_converse(asked: Mapping[str, Any]) -> GuardrailReference | None:
    """Read the reference from a Converse body. Return None if there is none."""
    config = asked.get("guardrailConfig", {})
    if not config.get("guardrailIdentifier") and not config.get("guardrailVersion"):
        return None
    return GuardrailReference(
        identifier=config.get("guardrailIdentifier", ""),
        version=config.get("guardrailVersion", ""),
        trace=config.get("trace", "disabled"),
        is_async=config.get("streamProcessingMode") == "async",
    )


def open_guarding(
    call: Call, caller: Caller, named: GuardrailReference | None
) -> GuardrailSession | None:
    """Return this call's guardrail session, or None if the call names no guardrail.

    Raises `ValidationException` for an incomplete reference or an unknown guardrail.
    """
    if named is None:
        return None
    if not named.identifier or not named.version:  # guess
        raise ValidationException(MALFORMED_INPUT)
    guardrail = call.services.guardrails.find(named.identifier, named.version, caller.region)
    return GuardrailSession(
        guardrail=guardrail,
        region=caller.region,
        account=caller.account_id,
        trace=named.trace,
        is_async=named.is_async,
    )


def guard_invoke(
    guarding: GuardrailSession,
    dialect: Dialect,
    body: dict[str, Any],
    config: Any,  # noqa: ANN401 - any JSON
) -> None:
    """Check the texts of an InvokeModel body, anonymize them in place, and remove the tags.

    Raises `ValidationException` for an invalid `config`, and for `logprobs`, which would show the
    words that the guardrail removes. Guess: the words of both.
    """
    if body.get("logprobs"):
        raise ValidationException(envelope("'logprobs' is not supported with a guardrail"))
    config = {} if config is None else config
    if not isinstance(config, dict):
        raise ValidationException(f"The value at {GUARDRAIL_CONFIG_KEY} must be a JSON object.")
    guarding.is_async = config.get("streamProcessingMode") == "ASYNCHRONOUS"
    tags = _tags(config.get("tagSuffix"))
    holders = dialect.texts(body)
    split = [tags(holder[key]) for holder, key in holders]
    if not any(part.is_guarded for parts in split for part in parts):  # no tags: check all
        split = [[TextBlock(part.text) for part in parts] for parts in split]
    read = iter(guarding.check_input([part for parts in split for part in parts]))
    for (holder, key), parts in zip(holders, split, strict=True):
        holder[key] = "".join(next(read) for _ in parts)


def _tags(suffix: object) -> Callable[[str], list[TextBlock]]:
    """Return a function that splits a text at its guardContent tags (see the User Guide)."""
    if suffix is None:
        return lambda text: [TextBlock(text, is_guarded=False)]
    if not isinstance(suffix, str) or not re.fullmatch("[A-Za-z0-9]{1,20}", suffix):
        raise ValidationException(
            f"The value at {GUARDRAIL_CONFIG_KEY}.tagSuffix must be 1 to 20 letters and digits."
        )
    tag = f"amazon-bedrock-guardrails-guardContent_{suffix}>"
    return lambda text: [
        TextBlock(piece, is_guarded=place % 2 == 1)
        for place, piece in enumerate(split_tags(text, f"<{tag}", f"</{tag}"))
    ]


def split_tags(text: str, opening: str, closing: str) -> Iterator[str]:
    """Yield the text outside and inside tags in turn, beginning outside, in linear time."""
    at = 0
    while (start := text.find(opening, at)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:  # so later opening tags have none, either
            break
        yield text[at:start]
        yield text[start + len(opening) : end]
        at = end + len(closing)
    yield text[at:]


def guard_converse(guarding: GuardrailSession, asked: dict[str, Any]) -> None:
    """Check the texts of a conversation and anonymize them in place.

    If there are guardContent blocks, only these are checked (API reference, guardrailConfig).
    """
    found = list(_texts(asked))
    has_marked = any(is_marked for _, is_marked in found)
    parts = [
        TextBlock(holder["text"], is_to_guard(holder) if is_marked else not has_marked)
        for holder, is_marked in found
    ]
    for (holder, _), text in zip(found, guarding.check_input(parts), strict=True):
        holder["text"] = text


def _texts(asked: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the dict that holds each text, and whether it is a guardContent block."""
    for block in asked.get("system", ()):
        if "text" in block.get("guardContent", {}):
            yield block["guardContent"]["text"], True
    for message in asked.get("messages", ()):
        for block in message["content"]:
            if "text" in block:
                yield block, False
            elif "text" in block.get("guardContent", {}):
                yield block["guardContent"]["text"], True


def is_to_guard(block: Mapping[str, Any]) -> bool:
    """Tell whether a text block is checked. Blocks that are only for grounding are not."""
    qualifiers = block.get("qualifiers", ())
    return not qualifiers or not GUARDED_QUALIFIERS.isdisjoint(qualifiers)


class GuardedWriter:
    """A writer that adds the guardrail's members to InvokeModel's answer, in the recorded order.

    Guess, from recordings of other vendors' models: if the guardrail refused the input, there is no
    stop reason, because the model was not called.
    """

    def __init__(self, inner: BodyWriter, guarding: GuardrailSession) -> None:
        self._inner = inner
        self._guarding = guarding

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: InvocationMetrics | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        document = self._own(self._inner.reply(text, finish, metrics, logprobs))
        document |= self._guarding.to_invoke()
        document[GUARDRAIL_ACTION_KEY] = self._action()
        return orjson.dumps(document)

    def chunk(self, delta: Delta, metrics: InvocationMetrics | None) -> bytes:
        document = self._own(self._inner.chunk(delta, None))
        document[GUARDRAIL_ACTION_KEY] = self._action()
        if metrics:
            document |= self._guarding.to_invoke()
        if metrics and not self._guarding.is_refused:
            document[INVOCATION_METRICS_KEY] = metrics.to_json()
        return orjson.dumps(document)

    def _own(self, written: bytes) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(written)
        if self._guarding.is_refused:
            for entry in (*document.get("outputs", ()), *document.get("choices", ())):
                for reason in STOP_REASON_KEYS:
                    entry.pop(reason, None)
        return document

    def _action(self) -> Literal["INTERVENED", "NONE"]:
        return "INTERVENED" if self._guarding.intervened else "NONE"
