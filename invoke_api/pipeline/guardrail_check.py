"""Guardrails around calls of models: which one is named, what it reads, what the answer tells."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from engine.protocol import Delta, Finish, Logprobs
from invoke_api.authentication.gate import Caller
from invoke_api.dialects import Dialect, Writer
from invoke_api.dialects.question import Metrics
from invoke_api.guardrails.guardrail import MALFORMED
from invoke_api.guardrails.scanner import Part
from invoke_api.guardrails.session import Guarding, Trace
from invoke_api.pipeline.call import Call
from invoke_api.wire.errors import ValidationException

CONFIG = "amazon-bedrock-guardrailConfig"  # in the body of an InvokeModel
ACTION = "amazon-bedrock-guardrailAction"
METRICS = "amazon-bedrock-invocationMetrics"
TRACES: dict[str, Trace] = {each.upper(): each for each in ("disabled", "enabled", "enabled_full")}
REASONS = ("stop_reason", "finish_reason")
GUARDED = {"guard_content"}  # of the qualifiers of a block; the others are for grounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A request's name for its guardrail; a member that the request leaves out is empty."""

    identifier: str
    version: str
    trace: Trace = "disabled"
    is_async: bool = False


def named_in_headers(headers: Mapping[str, str]) -> Named:
    """Names of headers are in small letters, as ASGI has them."""
    return Named(
        identifier=headers.get("x-amzn-bedrock-guardrailidentifier", ""),
        version=headers.get("x-amzn-bedrock-guardrailversion", ""),
        trace=TRACES[headers.get("x-amzn-bedrock-trace", "DISABLED")],
    )


def named_in_converse(asked: Mapping[str, Any]) -> Named:
    config = asked.get("guardrailConfig", {})
    return Named(
        identifier=config.get("guardrailIdentifier", ""),
        version=config.get("guardrailVersion", ""),
        trace=config.get("trace", "disabled"),
        is_async=config.get("streamProcessingMode") == "async",
    )


def open_guarding(call: Call, caller: Caller, named: Named) -> Guarding | None:
    """Return the guardrail of this call; None if none is named.

    Raises `ValidationException` for one that can't be had.
    """
    if not named.identifier and not named.version:
        return None
    if not named.identifier or not named.version:  # guess
        raise ValidationException(MALFORMED)
    guardrail = call.services.guardrails.find(named.identifier, named.version, caller.region)
    return Guarding(
        guardrail=guardrail,
        region=caller.region,
        account=caller.account_id,
        trace=named.trace,
        is_async=named.is_async,
    )


def guard_invoke(guarding: Guarding, dialect: Dialect, body: dict[str, Any], config: Any) -> None:  # noqa: ANN401 - any JSON
    """Anonymize the body of an InvokeModel, and remove the tags.

    Raises `ValidationException` for a config that is none. Guess: for its words.
    """
    config = {} if config is None else config
    if not isinstance(config, dict):
        raise ValidationException(f"The value at {CONFIG} must be a JSON object.")
    guarding.is_async = config.get("streamProcessingMode") == "ASYNCHRONOUS"
    tags = _tags(config.get("tagSuffix"))
    holders = dialect.texts(body)
    split = [tags(holder[key]) for holder, key in holders]
    if not any(part.is_guarded for parts in split for part in parts):  # no tags: all of it
        split = [[Part(part.text) for part in parts] for parts in split]
    read = iter(guarding.check_input([part for parts in split for part in parts]))
    for (holder, key), parts in zip(holders, split, strict=True):
        holder[key] = "".join(next(read) for _ in parts)


def _tags(suffix: object) -> Callable[[str], list[Part]]:
    """Return a function that splits a text at its guardContent tags (User Guide)."""
    if suffix is None:
        return lambda text: [Part(text, is_guarded=False)]
    if not isinstance(suffix, str) or not re.fullmatch("[A-Za-z0-9]{1,20}", suffix):
        raise ValidationException(
            f"The value at {CONFIG}.tagSuffix must be 1 to 20 letters and digits."
        )
    tag = f"amazon-bedrock-guardrails-guardContent_{suffix}>"
    return lambda text: [
        Part(piece, is_guarded=place % 2 == 1)
        for place, piece in enumerate(split_tags(text, f"<{tag}", f"</{tag}"))
    ]


def split_tags(text: str, opening: str, closing: str) -> Iterator[str]:
    """Yield the pieces of the text before, between and behind tags in turn, in linear time."""
    at = 0
    while (start := text.find(opening, at)) >= 0:
        end = text.find(closing, start + len(opening))
        if end < 0:  # nor is there one behind any later tag
            break
        yield text[at:start]
        yield text[start + len(opening) : end]
        at = end + len(closing)
    yield text[at:]


def guard_converse(guarding: Guarding, asked: dict[str, Any]) -> None:
    """Anonymize the conversation.

    API reference, guardrailConfig: if there are guardContent blocks, only these are looked at.
    """
    found = list(_texts(asked))
    has_marked = any(is_marked for _, is_marked in found)
    parts = [
        Part(holder["text"], is_to_guard(holder) if is_marked else not has_marked)
        for holder, is_marked in found
    ]
    for (holder, _), text in zip(found, guarding.check_input(parts), strict=True):
        holder["text"] = text


def _texts(asked: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the holder of each text, and whether it is a guardContent block."""
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
    """By its qualifiers, whether a text block is more than a source or a query for grounding."""
    qualifiers = block.get("qualifiers", ())
    return not qualifiers or not GUARDED.isdisjoint(qualifiers)


class GuardedWriter:
    """InvokeModel's answer with what a guardrail adds to it, in the order that was recorded.

    Guess, of what was recorded of others' models: where the model was not asked, there is no reason
    why it stopped.
    """

    def __init__(self, inner: Writer, guarding: Guarding) -> None:
        self._inner = inner
        self._guarding = guarding

    def reply(
        self,
        text: str,
        finish: Finish,
        metrics: Metrics | None = None,
        logprobs: Sequence[Logprobs] | None = None,
    ) -> bytes:
        document = self._own(self._inner.reply(text, finish, metrics, logprobs))
        return orjson.dumps({**document, **self._guarding.to_invoke(), ACTION: self._action()})

    def chunk(self, delta: Delta, metrics: Metrics | None) -> bytes:
        document = self._own(self._inner.chunk(delta, None))
        document[ACTION] = self._action()
        if metrics:
            document |= self._guarding.to_invoke()
        if metrics and not self._guarding.is_refused:
            document[METRICS] = metrics.to_json()
        return orjson.dumps(document)

    def _own(self, written: bytes) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(written)
        if self._guarding.is_refused:
            for entry in (*document.get("outputs", ()), *document.get("choices", ())):
                for reason in REASONS:
                    entry.pop(reason, None)
        return document

    def _action(self) -> Literal["INTERVENED", "NONE"]:
        return "INTERVENED" if self._guarding.intervened else "NONE"
