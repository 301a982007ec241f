"""Search for the recording that answers a request: of the same request, or of the nearest."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from urllib.parse import unquote

from invoke_api.cassettes.recording import Recording
from invoke_api.redaction import without_signature

MAX_DIFFERENCES = 1_000  # reported for one request

# Headers that requests must have in common, because the guardrail changes the answer.
DECISIVE_HEADERS = ("x-amzn-bedrock-guardrailidentifier", "x-amzn-bedrock-guardrailversion")


@dataclass(frozen=True, slots=True)
class ComparableRequest:
    """The parts of a request that are compared with recordings.

    `body` is the JSON value of the body, or its bytes. `canonical` does not depend on the order of
    keys. Requests are equal if all members but `body` are.
    """

    method: str
    path: str  # percent-decoded, without the query
    query: str
    decisive: tuple[str, ...]
    canonical: str | bytes
    body: Any = field(compare=False)


def to_comparable(
    method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes
) -> ComparableRequest:
    route, _, query = without_signature(path).partition("?")
    named = {name.lower(): value for name, value in headers}
    value: Any = body
    canonical: str | bytes = body
    try:
        value = json.loads(body)
        canonical = json.dumps(value, sort_keys=True)
    except (ValueError, RecursionError):
        pass
    decisive = tuple(named.get(name, "") for name in DECISIVE_HEADERS)
    return ComparableRequest(method, unquote(route), query, decisive, canonical, value)


@dataclass(frozen=True, slots=True)
class Cassette:
    """A recording with its file and line. `stale` says why it may not answer any more, or None."""

    where: str
    request: ComparableRequest
    recording: Recording
    stale: str | None = None


@dataclass(frozen=True, slots=True)
class CassetteMatch:
    """A recording that answers a request.

    `differences` are JSON pointers to the parts of the body that differ, at most `MAX_DIFFERENCES`.
    There are none if the requests are equal.
    """

    cassette: Cassette
    differences: tuple[str, ...] = ()


class NoMatch(LookupError):
    """The error of a request that no recording answers. The message names the nearest one."""


class RouteCassettes:
    """The recordings of one method and path, at least one."""

    def __init__(self, cassettes: list[Cassette]) -> None:
        from invoke_api.cassettes.nearest import JsonIndex  # noqa: PLC0415 - numpy takes 0.1 s

        self._cassettes = cassettes
        self._index = JsonIndex([cassette.request.body for cassette in cassettes])

    def nearest(self, body: Any) -> Cassette:  # noqa: ANN401 - any JSON
        """Return the recording whose body differs least, the first of equals."""
        return self._cassettes[self._index.nearest(body)]


class CassetteLibrary:
    """The recordings of the service, by their requests. Used from the event loop only.

    Recordings of equal requests are used in order, and the last one repeats. Each access key has
    its own position in the order. With `nearest`, `compare` returns recordings of other requests.
    """

    def __init__(self, cassettes: Iterable[Cassette], *, nearest: bool = False) -> None:
        self._nearest = nearest
        self._by_request: dict[ComparableRequest, list[Cassette]] = {}
        by_route: dict[tuple[str, str], list[Cassette]] = {}  # by method and path
        for cassette in cassettes:
            request = cassette.request
            self._by_request.setdefault(request, []).append(cassette)
            # An error answers equal requests only, because other requests may be valid.
            if not cassette.stale and cassette.recording.status < 400:
                by_route.setdefault((request.method, request.path), []).append(cassette)
        self._by_route = {route: RouteCassettes(cassettes) for route, cassettes in by_route.items()}
        self._taken: Counter[tuple[str | None, ComparableRequest]] = Counter()

    def find(self, request: ComparableRequest, scope: str | None) -> Cassette | None:
        """Return the next recording of this request, or None. Raises `NoMatch` if it is stale."""
        same = self._by_request.get(request, [])
        fresh = [cassette for cassette in same if not cassette.stale]
        if same and not fresh:
            raise NoMatch(f"{same[0].where} is stale: {same[0].stale}")
        return self._turn(fresh, scope) if fresh else None

    def compare(self, request: ComparableRequest) -> CassetteMatch:
        """Return the recording of the nearest request. Slow, and thread-safe.

        Raises `NoMatch` if there is none, or if only recordings of equal requests may answer.
        """
        from invoke_api.cassettes.nearest import differences  # noqa: PLC0415 - numpy takes 0.1 s

        recorded = self._by_route.get((request.method, request.path))
        if recorded is None:
            raise NoMatch(f"nothing was recorded for {request.method} {request.path}")
        near = recorded.nearest(request.body)
        told = islice(differences(near.request.body, request.body), MAX_DIFFERENCES)
        found = CassetteMatch(near, tuple(told))
        if not self._nearest:
            shown = ", ".join(found.differences[:5]) or "its headers or its query"
            raise NoMatch(f"the nearest is {near.where}, which differs in {shown}")
        return found

    def take(self, found: CassetteMatch, scope: str | None) -> CassetteMatch:
        """Return the match with the next recording of the same recorded request."""
        same = [other for other in self._by_request[found.cassette.request] if not other.stale]
        return CassetteMatch(self._turn(same, scope), found.differences)

    def forget_turns(self, scope: str | None = None) -> None:
        """Begin again with the first recordings, for one access key or for all."""
        for key in [key for key in self._taken if scope in (None, key[0])]:
            del self._taken[key]

    def _turn(self, cassettes: list[Cassette], scope: str | None) -> Cassette:
        key = (scope, cassettes[0].request)
        self._taken[key] += 1
        return cassettes[min(self._taken[key], len(cassettes)) - 1]


@dataclass(frozen=True, slots=True)
class Replay:
    """The recordings, and whether they are replayed at their recorded speed.

    `is_on` is False if the service answers from its models.
    """

    library: CassetteLibrary
    timed: bool = False
    is_on: bool = True


StaleCheck = Callable[[Recording, ComparableRequest], str | None]


def to_cassettes(recordings: Iterable[tuple[str, Recording]], check: StaleCheck) -> list[Cassette]:
    """Return the recordings with their requests. `check` says why one is stale, or None."""
    cassettes = []
    for where, recording in recordings:
        request = to_comparable(
            recording.method, recording.path, recording.request_headers, recording.request_body
        )
        cassettes.append(Cassette(where, request, recording, check(recording, request)))
    return cassettes
