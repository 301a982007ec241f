"""The assessment of texts by a guardrail: findings, masked texts, and charged characters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from invoke_api.guardrails.guardrail import Action, ContentSource, Filter, Guardrail
from invoke_api.guardrails.normalization import SearchedText

TEXT_UNIT_CHARACTERS = 1_000  # Bedrock charges by text units
MAX_FINDINGS = 10_000  # listed in one assessment; actions follow from all findings


@dataclass(frozen=True, slots=True)
class TextBlock:
    """A piece of an input or an output. If it is not guarded, only its characters are counted."""

    text: str
    is_guarded: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One occurrence of a filter's match."""

    filter: Filter
    match: str
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The result of one search.

    `texts` are the parts after anonymization. `actions` are those of all findings; `findings` has
    the first `MAX_FINDINGS` of them. `guarded` and `total` are numbers of characters. `latency` is
    in ms.
    """

    guardrail: Guardrail
    source: ContentSource
    findings: tuple[Finding, ...]
    actions: frozenset[Action]
    texts: tuple[str, ...]
    guarded: int
    total: int
    latency: int = 0
    is_blocked: bool = field(init=False)
    intervened: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_blocked", "BLOCKED" in self.actions)  # it is frozen
        object.__setattr__(self, "intervened", bool(self.actions - {"NONE"}))

    @property
    def reason(self) -> str:
        """Return Bedrock's `actionReason`. Recorded: these three."""
        if self.is_blocked:
            return "Guardrail blocked."
        return "Guardrail masked." if self.intervened else "No action."

    @property
    def outputs(self) -> list[str]:
        """Return the texts that replace the original ones; none if nothing is replaced."""
        if self.is_blocked:
            return [self.guardrail.blocked[self.source]]
        return list(self.texts) if self.intervened else []


def assess(
    guardrail: Guardrail, source: ContentSource, parts: Sequence[TextBlock], *, masks: bool = True
) -> Assessment:
    """Search the parts and return the assessment. Pure.

    Findings are in the order of the text. Without `masks` nothing is anonymized.
    """
    findings: list[Finding] = []
    actions: set[Action] = set()
    texts: list[str] = []
    topics: set[str] = set()
    done = {
        order: _action(each, source, masks=masks) for order, each in enumerate(guardrail.filters)
    }
    for part in parts:
        places = sorted(_find(guardrail, source, part.text)) if part.is_guarded else []
        actions.update({done[place.order] for place in places})
        for place in places:
            wanted = guardrail.filters[place.order]
            if wanted.kind == "topic":  # has one finding at most
                if wanted.name in topics:
                    continue
                topics.add(wanted.name)
            if len(findings) < MAX_FINDINGS:
                match = part.text[place.start : place.end]
                findings.append(Finding(wanted, match, done[place.order]))
        hidden = [place for place in places if done[place.order] == "ANONYMIZED"]
        texts.append(_mask(part.text, guardrail, hidden))
    return Assessment(
        guardrail=guardrail,
        source=source,
        findings=tuple(findings),
        actions=frozenset(actions),
        texts=tuple(texts),
        guarded=sum(len(part.text) for part in parts if part.is_guarded),
        total=sum(len(part.text) for part in parts),
    )


def _action(wanted: Filter, source: ContentSource, *, masks: bool) -> Action:
    action = wanted.actions.get(source, "NONE")
    return "NONE" if action == "ANONYMIZED" and not masks else action


class _Place(NamedTuple):
    """The place of a match. Of places that start together, the longest is sorted first."""

    start: int
    left: int  # characters after `end`
    order: int  # of the filter in the guardrail
    end: int


def _find(guardrail: Guardrail, source: ContentSource, text: str) -> Iterator[_Place]:
    reading = SearchedText(text)
    for order, wanted in enumerate(guardrail.filters):
        if wanted.matcher and source in wanted.actions:
            for start, end in wanted.matcher.spans(reading):
                yield _Place(start, len(text) - end, order, end)


def _mask(text: str, guardrail: Guardrail, places: Sequence[_Place]) -> str:
    """Return the text with the names of filters in place of the matches.

    Guess: overlapping places are replaced together by the name of the first and longest one.
    """
    pieces, end = [], 0
    for place in places:
        if place.start >= end:
            pieces += [text[end : place.start], f"{{{guardrail.filters[place.order].name}}}"]
        end = max(end, place.end)
    return "".join([*pieces, text[end:]])
