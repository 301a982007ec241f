"""What a guardrail finds in texts, what becomes of them, and what Bedrock would charge."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from invoke_api.guardrails.guardrail import Action, Filter, Guardrail, Source

UNIT = 1_000  # characters that are charged as one


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
    """`texts` are the parts with what is anonymized in them replaced. `latency` is in ms."""

    guardrail: Guardrail
    source: Source
    findings: tuple[Finding, ...]
    texts: tuple[str, ...]
    guarded: int
    total: int
    latency: int = 0

    @property
    def is_blocked(self) -> bool:
        return any(finding.action == "BLOCKED" for finding in self.findings)

    @property
    def intervened(self) -> bool:
        return any(finding.action != "NONE" for finding in self.findings)

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
    texts: list[str] = []
    topics: set[str] = set()
    for part in parts:
        found = sorted(_find(guardrail, source, part.text)) if part.is_guarded else []
        if not masks:
            found = [(place, _unmasked(finding)) for place, finding in found]
        for _, finding in found:
            if finding.filter.kind == "topic":  # is there, or is not
                if finding.filter.name in topics:
                    continue
                topics.add(finding.filter.name)
            findings.append(finding)
        texts.append(_mask(part.text, found))
    return Assessment(
        guardrail=guardrail,
        source=source,
        findings=tuple(findings),
        texts=tuple(texts),
        guarded=sum(len(part.text) for part in parts if part.is_guarded),
        total=sum(len(part.text) for part in parts),
    )


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    start: int
    left: int  # characters behind it: of those that begin here, the longest comes first
    order: int  # of the filter in the guardrail
    end: int


Found = tuple[_Place, Finding]


def _find(guardrail: Guardrail, source: Source, text: str) -> Iterator[Found]:
    for order, wanted in enumerate(guardrail.filters):
        if wanted.pattern and source in wanted.actions:
            for match in wanted.pattern.finditer(text):
                place = _Place(match.start(), len(text) - match.end(), order, match.end())
                yield place, Finding(wanted, match[0], wanted.actions[source])


def _unmasked(finding: Finding) -> Finding:
    return replace(finding, action="NONE") if finding.action == "ANONYMIZED" else finding


def _mask(text: str, found: Sequence[Found]) -> str:
    """Each match replaced by the name of what it is; of two that overlap, the first."""
    pieces, end = [], 0
    for place, finding in found:
        if finding.action == "ANONYMIZED" and place.start >= end:
            pieces += [text[end : place.start], f"{{{finding.filter.name}}}"]
            end = place.end
    return "".join([*pieces, text[end:]])
