"""What is read as a request: as h11 reads it, however its bytes are cut, or refused."""

import re
from collections import Counter
from random import Random
from typing import NamedTuple

import h11
import pytest

from invoke_api.connections.limits import FRAMING_BYTES, HEAD_BYTES
from invoke_api.connections.reading import End, Head, Refused, RequestReader
from tests.connections.requests import CHUNKED, HOST, LENGTH, PLAIN, ask, mutations, split

Request = tuple[str, bytes, list[tuple[bytes, bytes]], bytes]


class Read(NamedTuple):
    """Whole requests (method, target, headers, body), and what became of the rest.

    `begun` is the head and the body so far of one whose end is not there. `ended` is `refused`,
    `closing` where nothing is read behind the last request, or `open`.
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
        elif event is End:
            assert head
            requests.append((head.method, head.target, head.headers, body))
            ended = ended if head.keeps_alive else "closing"
            head = None
        else:
            ended = "refused"
    return Read(requests, (head.method, head.target, body) if head else None, ended)


def read_by_h11(raw: bytes) -> Read:
    """The same by h11, whose answers to each request let it go on to the next."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
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


# What h11 refuses and this server takes, each with who allows it. None moves where a request ends.
LOOSER = re.compile(
    rb"(^|\n|[}0-9a-zA-Z])[\r\n]+($|[A-Z])"  # empty lines before a request: RFC 9112, 2.2
    rb"|(^|\n|})[A-Z]+ [^\r\n]*(?<= ) "  # more spaces than one in a request line: RFC 9112, 3
)


def test_mutated_requests_are_read_as_h11_reads_them_or_refused(examples: int, seed: int) -> None:
    random = Random(seed)
    counts = Counter[str]()
    for _, raw in zip(range(examples), mutations(random), strict=False):
        ours, theirs = read([raw]), read_by_h11(raw)
        assert read(split(raw, random)) == ours, raw
        counts[compare(raw, ours, theirs)] += 1

    assert counts["the same"] > examples / 4, "mutations that are all refused show nothing"


def compare(raw: bytes, ours: Read, theirs: Read) -> str:
    """Fail if the two read different requests, or if only h11 refuses and nobody argues for it.

    What only this server refuses ends the connection: nothing stays on it to be misread. That are
    methods beyond llhttp's, lines that end in LF alone, folded lines, targets that are no path and
    no URL, both or several lengths, chunk extensions that RFC 9112 does not know; and what is still
    incomplete, but cannot become a request any more.
    """
    count = min(len(ours.requests), len(theirs.requests))
    assert [in_origin_form(each) for each in theirs.requests[:count]] == ours.requests[:count], raw
    if ours.ended == "refused":
        return "refused" if theirs.ended == "refused" else "refused by us only"
    if theirs.ended == "refused":
        assert LOOSER.search(raw), raw
        return "refused by h11 only"
    if b"PRI * HTTP/2.0" in raw:  # llhttp waits for the rest of the preface, and then refuses it
        return "a preface of HTTP/2 that is not the beginning"
    assert len(ours.requests) == len(theirs.requests), raw
    if theirs.begun:
        method, target, body = theirs.begun
        target = in_origin_form((method, target, [], body))[1]
        assert ours.begun == (method, target, body), raw
    assert ours.ended == theirs.ended, raw
    return "the same"


def in_origin_form(request: Request) -> Request:
    """Return what h11 leaves to the server: RFC 9112, 3.2.2."""
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
        (ask(HOST, b"X: " + b"a" * HEAD_BYTES, LENGTH), 431),
        (ask(HOST, *[b"a: b"] * (HEAD_BYTES // 6), LENGTH), 431),
        (ask(HOST, line=b"GET /%b HTTP/1.1" % (b"a" * HEAD_BYTES), body=b""), 431),
        (ask(HOST, CHUNKED, body=b"1;a=%b" % (b"b" * FRAMING_BYTES)), 400),
    ],
)
def test_a_request_that_is_not_plain_is_refused(raw: bytes, status: int) -> None:
    for size in (len(raw), 10_000):
        reader = RequestReader()
        events = [
            event for at in range(0, len(raw), size) for event in reader.feed(raw[at : at + size])
        ]
        refusals = [event.status for event in events if isinstance(event, Refused)]

        assert refusals == [status]
        assert reader.feed(PLAIN[0]) == [], "nothing is read behind it"


def test_a_head_that_drips_is_refused_once_it_is_too_large() -> None:
    reader = RequestReader()
    assert reader.feed(ask(HOST, body=b"")[:-2] + b"X: ") == []
    size = 0
    while not (events := reader.feed(b"a" * 1_000)):
        size += 1_000
        assert size < 2 * HEAD_BYTES

    assert events == [Refused(431, f"The head of the request is larger than {HEAD_BYTES} bytes.")]


def test_the_absolute_form_becomes_a_path_and_a_host() -> None:
    [head, end] = RequestReader().feed(
        b"GET http://real:80?a=b HTTP/1.1\r\nX: y\r\nHost: told\r\n\r\n"
    )

    assert isinstance(head, Head)
    assert end is End
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
