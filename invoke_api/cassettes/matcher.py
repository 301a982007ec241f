"""Which recording answers a request: the very same one, or the nearest."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote

from invoke_api.cassettes.nearest import differences
from invoke_api.cassettes.recording import Recording
from invoke_api.redaction import unsigned

MAX_DIFFERENCES = 1_000  # places in which a request differs that are told

# What else of a request decides its answer: a guardrail's verdict is part of it.
DECISIVE = ("x-amzn-bedrock-guardrailidentifier", "x-amzn-bedrock-guardrailversion")


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: `body` is the JSON value if it is JSON, else the bytes.

    `canonical` is the same for bodies that say the same, whatever the order of their keys. Requests
    are equal if that and all before it are.
    """

    method: str
    path: str  # percent-decoded, without the query
    query: str
    decisive: tuple[str, ...]
    canonical: str | bytes
    body: Any = field(compare=False)


def to_request(method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
    route, _, query = unsigned(path).partition("?")
    named = {name.lower(): value for name, value in headers}
    value: Any = body
    canonical: str | bytes = body
    try:
        value = json.loads(body)
        canonical = json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        pass
    decisive = tuple(named.get(name, "") for name in DECISIVE)
    return Request(method, unquote(route), query, decisive, canonical, value)


@dataclass(frozen=True, slots=True)
class Cassette:
    """A recording and where it stands; `stale` says why it may not answer any more."""

    where: str
    request: Request
    recording: Recording
    stale: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """`differences` are JSON pointers into the body, none for the very request.

    At most `MAX_DIFFERENCES` of them.
    """

    cassette: Cassette
    differences: tuple[str, ...] = ()


class NoMatch(LookupError):
    """Nothing answers; the message says what comes nearest."""


class Shelf:
    """The recordings of one method and path, of which there is one at least."""

    def __init__(self, cassettes: list[Cassette]) -> None:
        from invoke_api.cassettes.nearest import Columns  # noqa: PLC0415 - numpy takes 0.1 s

        self._cassettes = cassettes
        self._columns = Columns([cassette.request.body for cassette in cassettes])

    def nearest(self, body: Any) -> Cassette:  # noqa: ANN401 - any JSON
        """The first of those whose bodies differ least."""
        return self._cassettes[self._columns.nearest(body)]


class Library:
    """Recordings by what they were asked. Used from the event loop only.

    Those of the same request are taken in turn, by each access key anew, and the last one again
    and again.
    """

    def __init__(self, cassettes: Iterable[Cassette], *, nearest: bool = False) -> None:
        self._nearest = nearest
        self._same: dict[Request, list[Cassette]] = {}
        alike: dict[tuple[str, str], list[Cassette]] = {}  # by method and path
        for cassette in cassettes:
            request = cassette.request
            self._same.setdefault(request, []).append(cassette)
            # A refusal answers the very request only: another may well be taken.
            if not cassette.stale and cassette.recording.status < 400:
                alike.setdefault((request.method, request.path), []).append(cassette)
        self._alike = {route: Shelf(cassettes) for route, cassettes in alike.items()}
        self._taken: Counter[tuple[str | None, Request]] = Counter()

    def find(self, request: Request, scope: str | None) -> Cassette | None:
        """The recording of this very request. Raises `NoMatch` if it is stale."""
        same = self._same.get(request, [])
        fresh = [cassette for cassette in same if not cassette.stale]
        if same and not fresh:
            raise NoMatch(f"{same[0].where} is stale: {same[0].stale}")
        return self._turn(fresh, scope) if fresh else None

    def compare(self, request: Request) -> Found:
        """The nearest to a request of which there is none; takes a while, and changes nothing.

        Raises `NoMatch`, also for the nearest if only the very same may answer.
        """
        shelf = self._alike.get((request.method, request.path))
        if shelf is None:
            raise NoMatch(f"nothing was recorded for {request.method} {request.path}")
        near = shelf.nearest(request.body)
        told = islice(differences(near.request.body, request.body), MAX_DIFFERENCES)
        found = Found(near, tuple(told))
        if not self._nearest:
            shown = ", ".join(found.differences[:5]) or "its headers or its query"
            raise NoMatch(f"the nearest is {near.where}, which differs in {shown}")
        return found

    def take(self, found: Found, scope: str | None) -> Found:
        """The same, or another recording of that request, whose turn it is."""
        same = [other for other in self._same[found.cassette.request] if not other.stale]
        return Found(self._turn(same, scope), found.differences)

    def forget_turns(self, scope: str | None = None) -> None:
        """Begin anew with the first: for everybody, or for one access key."""
        for key in [key for key in self._taken if scope in (None, key[0])]:
            del self._taken[key]

    def _turn(self, cassettes: list[Cassette], scope: str | None) -> Cassette:
        key = (scope, cassettes[0].request)
        self._taken[key] += 1
        return cassettes[min(self._taken[key], len(cassettes)) - 1]


@dataclass(frozen=True, slots=True)
class Replay:
    """The recordings, and whether they come as slowly as they once came."""

    library: Library
    timed: bool = False


Check = Callable[[Recording, Request], str | None]


def to_cassettes(recordings: Iterable[tuple[str, Recording]], check: Check) -> list[Cassette]:
    """`check` says why a recording is stale, or None."""
    cassettes = []
    for where, recording in recordings:
        request = to_request(
            recording.method, recording.path, recording.request_headers, recording.request_body
        )
        cassettes.append(Cassette(where, request, recording, check(recording, request)))
    return cassettes
