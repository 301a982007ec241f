"""What a guardrail finds in texts, what becomes of them, and what Bedrock would charge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from invoke_api.guardrails.guardrail import Action, Filter, Guardrail, Source
from invoke_api.guardrails.normalization import Reading

UNIT = 1_000  # characters that are charged as one
MAX_FINDINGS = 10_000  # that are told of one assessment; all are acted upon


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of what is said; what is not guarded is only counted."""

    text: str
    is_guarded: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One occurrence, `match`, of what a filter looks for."""

    filter: Filter
    match: str
    action: Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """`texts` are the parts with what is anonymized in them replaced. `latency` is in ms.

    `actions` are of all that was found, `findings` at most the first `MAX_FINDINGS`.
    """

    guardrail: Guardrail
    source: Source
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
        """Heard of Bedrock: these three and no others."""
        if self.is_blocked:
            return "Guardrail blocked."
        return "Guardrail masked." if self.intervened else "No action."

    @property
    def outputs(self) -> list[str]:
        """What is said in place of what came, if anything is."""
        if self.is_blocked:
            return [self.guardrail.blocked[self.source]]
        return list(self.texts) if self.intervened else []


def assess(
    guardrail: Guardrail, source: Source, parts: Sequence[Part], *, masks: bool = True
) -> Assessment:
    """Pure. Findings come in the order of the text; without `masks` nothing is anonymized."""
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
            if wanted.kind == "topic":  # is there, or is not
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


def _action(wanted: Filter, source: Source, *, masks: bool) -> Action:
    action = wanted.actions.get(source, "NONE")
    return "NONE" if action == "ANONYMIZED" and not masks else action


class _Place(NamedTuple):
    """Places are sorted: of those that begin together, the longest comes first."""

    start: int
    left: int  # characters behind it
    order: int  # of the filter in the guardrail
    end: int


def _find(guardrail: Guardrail, source: Source, text: str) -> Iterator[_Place]:
    reading = Reading(text)
    for order, wanted in enumerate(guardrail.filters):
        if wanted.seeker and source in wanted.actions:
            for start, end in wanted.seeker.spans(reading):
                yield _Place(start, len(text) - end, order, end)


def _mask(text: str, guardrail: Guardrail, places: Sequence[_Place]) -> str:
    """The text without a character of these places, a name instead of each.

    Places that overlap are one, which has the name of the first of them, and of those that begin
    together of the longest. Guess: Bedrock was not heard about any that overlap.
    """
    pieces, end = [], 0
    for place in places:
        if place.start >= end:
            pieces += [text[end : place.start], f"{{{guardrail.filters[place.order].name}}}"]
        end = max(end, place.end)
    return "".join([*pieces, text[end:]])
