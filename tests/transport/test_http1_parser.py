"""The parser reads requests as h11 does, in pieces of any size, or refuses them."""

import re
from collections import Counter
from random import Random
from typing import NamedTuple

import h11
import pytest

from invoke_api.transport.http1_parser import EndOfBody, Head, Refusal, RequestReader
from invoke_api.transport.limits import MAX_FRAMING_BYTES, MAX_HEAD_BYTES
from tests.transport.requests import CHUNKED, HOST, LENGTH, PLAIN, ask, mutations, split

Request = tuple[str, bytes, list[tuple[bytes, bytes]], bytes]


class Read(NamedTuple):
    """The result of reading: whole requests (method, target, headers, body), and the rest.

    `begun` has the head and the partial body of an incomplete request. `ended` is `refused`,
    `closing` if nothing is read after the last request, or `open`.
    """

    requests: list[Request]
    begun: tuple[str, bytes, bytes] | None
    ended: str


def read(packets: list[bytes]) -> Read:
    reader = RequestReader()
    requests: list[Request] = []
    head, body, ended = None, b"", "open"
    for event in (event for packet in packets for event in reader.feed(packet)):
        if isinstance(event, Head):
            head, body = event, b""
        elif isinstance(event, bytes):
            body += event
        elif event is EndOfBody:
            assert head
            requests.append((head.method, head.target, head.headers, body))
            ended = ended if head.keeps_alive else "closing"
            head = None
        else:
            ended = "refused"
    return Read(requests, (head.method, head.target, body) if head else None, ended)


def read_by_h11(raw: bytes) -> Read:
    """Read the bytes with h11, answering each request so that h11 continues."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    requests: list[Request] = []
    head, body = None, b""
    try:
        connection.receive_data(raw)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head
                method = head.method.decode()
                requests.append((method, bytes(head.target), list(head.headers), body))
                head = None
                connection.send(h11.Response(status_code=204, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return Read(requests, None, "closing")
                connection.start_next_cycle()
            else:  # NEED_DATA, PAUSED
                break
    except h11.RemoteProtocolError:
        return Read(requests, None, "refused")
    begun = (head.method.decode(), bytes(head.target), body) if head else None
    return Read(requests, begun, "open")


@pytest.mark.parametrize("raw", PLAIN)
def test_a_plain_request_is_read_as_h11_reads_it(raw: bytes) -> None:
    assert read([raw]) == read_by_h11(raw)
    assert len(read([raw]).requests) == 1


@pytest.mark.parametrize("raw", PLAIN)
def test_no_beginning_of_a_request_is_taken_for_the_whole(raw: bytes) -> None:
    for end in range(len(raw)):
        assert read([raw[:end]]).requests == []


@pytest.mark.parametrize("raw", [*PLAIN, PLAIN[0] + PLAIN[3] + PLAIN[5]])
def test_a_request_is_the_same_however_it_is_cut(raw: bytes) -> None:
    whole = read([raw])
    assert read([raw[at : at + 1] for at in range(len(raw))]) == whole
    for at in range(len(raw)):
        assert read([raw[:at], raw[at:]]) == whole


class Difference(NamedTuple):
    """A kind of bytes that only one of the two parsers refuses.

    `by` names the parser that refuses. `pattern` is searched in our refusal, or in bytes that only
    h11 refuses. `why` cites the source that allows it. No difference moves the end of a request.
    """

    by: str
    pattern: bytes
    why: str


DIFFERENCES = [
    # llhttp is strict where RFC 9112 allows a lenient server. It refuses as soon as a byte cannot
    # belong to a request; h11 waits for the end of the head. The connection is then closed.
    Difference(
        "us",
        b"Invalid method|Expected space after method",
        "9110, 9.1: an unknown method, or what is none",
    ),
    Difference(
        "us",
        b"Invalid HTTP version|Invalid m(aj|in)or|Expected dot",
        "9112, 2.3: HTTP/1.0 and 1.1 are read",
    ),
    Difference(
        "us",
        b"Expected HTTP/|Expected CRLF after version|Unexpected space after start",
        "9112, 3: a request line of another form",
    ),
    Difference(
        "us",
        b"[Cc]har(acters)? in url|start char in url|url schema|Expected CRLF.$",
        "9112, 3.2: a target that is no path, no URL or not ASCII",
    ),
    Difference(
        "us",
        b"Invalid header token|header (field|value) char",
        "9112, 5: bytes that no field has",
    ),
    Difference(
        "us",
        b"expected (CR|LF) after header value|Expected LF after (headers|CR)",
        "9112, 2.2: a recipient need not take LF alone for the end of a line",
    ),
    Difference(
        "us",
        b"Unexpected whitespace after header value",
        "9112, 5.2: a server refuses folded lines or unfolds them",
    ),
    Difference(
        "us",
        b"Content-Length",
        "9112, 6.3: several lengths, one that is no number, one beside Transfer-Encoding",
    ),
    Difference(
        "us",
        b"Transfer-Encoding",
        "9112, 6.1: codings other than chunked alone, and any in HTTP/1.0",
    ),
    Difference(
        "us",
        b"[Cc]hunk (size|extension)",
        "9112, 7.1: a size or an extension of another form, or a size beyond 64 bits",
    ),
    Difference(
        "us",
        b"Data after `Connection: close`",
        "9112, 9.6: a trailer said so; nothing is read behind that request by either",
    ),
    Difference(
        "h11",
        rb"(^|\n|})[A-Z]+ [^\r\n]*(?<= ) ",
        "9112, 3: a request line may have more spaces than one",
    ),
    Difference(
        "h11",
        rb"(^|\n|[}0-9a-zA-Z])[\r\n]+($|[A-Z])",
        "9112, 2.2: empty lines before a request are ignored",
    ),
    Difference(
        "neither yet",
        rb"PRI \* HTTP/2.0",
        "9113, 3.4: llhttp waits for the rest of a preface of HTTP/2, and then refuses it",
    ),
]


def test_mutated_requests_are_read_as_h11_reads_them_or_refused(examples: int, seed: int) -> None:
    # Mutated requests are compared; `pytest -s -k mutated --examples N --seed S` prints counts.
    random = Random(seed)
    counts, kinds = Counter[str](), Counter[str]()
    for _, raw in zip(range(examples), mutations(random), strict=False):
        ours, theirs = read([raw]), read_by_h11(raw)
        assert read(split(raw, random)) == ours, raw
        result = compare(raw, ours, theirs)
        if isinstance(result, Difference):
            # Otherwise h11 waits for more bytes of the request that is refused here.
            is_taken = result.by == "us" and len(theirs.requests) > len(ours.requests)
            counts[f"refused by {result.by}" + (", taken by h11" if is_taken else " only")] += 1
            kinds[f"{result.by}: {result.why}"] += 1
        else:
            counts[result] += 1

    print(f"\n{examples} requests, seed {seed}")  # noqa: T201 - the figures
    for name, count in [*counts.most_common(), *kinds.most_common()]:
        print(f"{count:7} {name}")  # noqa: T201 - the same
    assert counts["read alike"] > examples / 4, "mutations that are all refused show nothing"


def compare(raw: bytes, ours: Read, theirs: Read) -> str | Difference:
    """Return how the two agree, or their difference. Fail for a difference that is not listed.

    Requests that both accept are equal. After a request that only this server refuses, the
    connection is closed, so nothing can be misread.
    """
    count = min(len(ours.requests), len(theirs.requests))
    assert [in_origin_form(each) for each in theirs.requests[:count]] == ours.requests[:count], raw
    if ours.ended == theirs.ended == "refused":
        return "refused by both"
    if ours.ended == "refused":
        return argued("us", refusal_of(raw), raw)
    if theirs.ended == "refused":
        return argued("h11", raw, raw)
    if b"PRI * HTTP/2.0" in raw:
        return argued("neither yet", raw, raw)
    assert len(ours.requests) == len(theirs.requests), raw
    if theirs.begun:
        method, target, body = theirs.begun
        target = in_origin_form((method, target, [], body))[1]
        assert ours.begun == (method, target, body), raw
    assert ours.ended == theirs.ended, raw
    return "read alike"


def argued(by: str, text: bytes, raw: bytes) -> Difference:
    """Return the first row of the table that matches. Fail if there is none."""
    for each in DIFFERENCES:
        if each.by == by and re.search(each.pattern, text):
            return each
    raise AssertionError(f"refused by {by}, which nobody argues for: {text!r}: {raw!r}")


def refusal_of(raw: bytes) -> bytes:
    [refused] = [each for each in RequestReader().feed(raw) if isinstance(each, Refusal)]
    return refused.message.encode()


def in_origin_form(request: Request) -> Request:
    """Convert a request to origin form, which h11 leaves to the server."""
    method, target, headers, body = request
    found = re.match(rb"https?://([^/?#]*)/?([^#]*)", target, re.IGNORECASE)
    if not found:
        return request
    others = [(name, value) for name, value in headers if name != b"host"]
    return method, b"/" + found[2], [(b"host", found[1]), *others], body


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (ask(LENGTH), 400),
        (ask(HOST, HOST, LENGTH), 400),
        (ask(HOST, LENGTH, CHUNKED), 400),
        (ask(HOST, CHUNKED, LENGTH), 400),
        (ask(HOST, b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
        (ask(CHUNKED, line=b"POST / HTTP/1.0", body=b"0\r\n\r\n"), 501),
        (ask(HOST, line=b"GET / HTTP/2.0", body=b""), 505),
        (ask(HOST, LENGTH, b"X: a", b" folded"), 400),
        (ask(HOST, LENGTH, b"X : a"), 400),
        (ask(HOST, LENGTH).replace(b"\r\n", b"\n"), 400),
        (ask(HOST, b"X: " + b"a" * MAX_HEAD_BYTES, LENGTH), 431),
        (ask(HOST, *[b"a: b"] * (MAX_HEAD_BYTES // 6), LENGTH), 431),
        (ask(HOST, line=b"GET /%b HTTP/1.1" % (b"a" * MAX_HEAD_BYTES), body=b""), 431),
        (ask(HOST, CHUNKED, body=b"1;a=%b" % (b"b" * MAX_FRAMING_BYTES)), 400),
    ],
)
def test_a_request_that_is_not_plain_is_refused(raw: bytes, status: int) -> None:
    for size in (len(raw), 10_000):
        reader = RequestReader()
        events = [
            event for at in range(0, len(raw), size) for event in reader.feed(raw[at : at + size])
        ]
        refusals = [event.status for event in events if isinstance(event, Refusal)]

        assert refusals == [status]
        assert reader.feed(PLAIN[0]) == [], "nothing is read behind it"


def test_a_head_that_drips_is_refused_once_it_is_too_large() -> None:
    reader = RequestReader()
    assert reader.feed(ask(HOST, body=b"")[:-2] + b"X: ") == []
    size = 0
    while not (events := reader.feed(b"a" * 1_000)):
        size += 1_000
        assert size < 2 * MAX_HEAD_BYTES

    assert events == [
        Refusal(431, f"The head of the request is larger than {MAX_HEAD_BYTES} bytes.")
    ]


def test_the_absolute_form_becomes_a_path_and_a_host() -> None:
    [head, end] = RequestReader().feed(
        b"GET http://real:80?a=b HTTP/1.1\r\nX: y\r\nHost: told\r\n\r\n"
    )

    assert isinstance(head, Head)
    assert end is EndOfBody
    assert (head.target, head.headers) == (b"/?a=b", [(b"host", b"real:80"), (b"x", b"y")])


@pytest.mark.parametrize(
    "framed", [ask(HOST, LENGTH), ask(HOST, CHUNKED, body=b"2\r\n{}\r\n0\r\n\r\n")]
)
def test_a_body_that_comes_with_an_offer_to_upgrade_is_read(framed: bytes) -> None:
    offer = b"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA"
    raw = framed.replace(b"\r\nHost: x", b"\r\nHost: x" + offer) + PLAIN[0]

    assert read([raw]) == read_by_h11(raw)
    assert read([raw[at : at + 1] for at in range(len(raw))]) == read([raw])
    assert len(read([raw]).requests) == 2


def test_empty_lines_before_a_request_are_ignored() -> None:
    assert read([b"\r\n\r\n" + PLAIN[0]]) == read([PLAIN[0]])
