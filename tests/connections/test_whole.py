"""What is read and written without h11 is h11's to the byte; what is not plain is left to it."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_api.connections.header_order import put_in_order
from invoke_api.connections.whole import (
    LAST_PIECE,
    WholeRequest,
    encode_piece,
    encode_stream_head,
    encode_whole,
    read_whole,
)

LENGTH = (b"Content-Length", b"2")
KEEP_ALIVE = (b"Connection", b"keep-alive")
HOST = b"Host: x"
TWO = b"Content-Length: 2"


def encode_by_h11(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.next_event()
    connection.next_event()
    events = [
        h11.Response(status_code=status, headers=headers),
        h11.Data(data=body),
        h11.EndOfMessage(),
    ]
    return b"".join(connection.send(event) or b"" for event in events)


def read_by_h11(data: bytes) -> WholeRequest:
    """What h11 finds in it, and that nothing is left."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request, body = connection.next_event(), b""
    assert isinstance(request, h11.Request)
    assert not connection.they_are_waiting_for_100_continue
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
    assert connection.their_state is h11.DONE, "the connection stays open"
    return WholeRequest(request.target, list(request.headers), body)


def ask(*fields: bytes, line: bytes = b"POST /a%3A2?b=c HTTP/1.1", body: bytes = b"{}") -> bytes:
    return b"\r\n".join([line, *fields, b"", b""]) + body


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(
    "headers",
    [
        [LENGTH],
        [(b"Date", b"now"), LENGTH, KEEP_ALIVE, (b"x-amzn-RequestId", b"1"), (b"Empty", b"")],
        [(b"content-length", b"2"), (b"x", b"a\tb \xe4")],
    ],
)
def test_h11_would_write_the_same(status: int, headers: list[tuple[bytes, bytes]]) -> None:
    assert encode_whole(status, headers, b"{}") == encode_by_h11(status, headers, b"{}")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"Content-Length", b"3")],
        [LENGTH, (b"Connection", b"close")],
        [LENGTH, (b"Transfer-Encoding", b"chunked")],
        [LENGTH, LENGTH],
        [LENGTH, (b"x", b"a\r\nSet-Cookie: b")],
        [LENGTH, (b"x", b"a\nb")],
        [LENGTH, (b"x", b"a\0b")],
    ],
)
def test_an_answer_that_is_not_plain_is_left_to_h11(headers: list[tuple[bytes, bytes]]) -> None:
    assert encode_whole(200, headers, b"{}") is None


@pytest.mark.parametrize(
    "request_",
    [
        ask(HOST, TWO),
        ask(TWO, b"hOsT: a:80", b"Connection: keep-alive", b"Accept: */*;q=1, a/b", b"Empty:"),
        ask(HOST, b"content-length:2", b"X:\t a\t b \xe4  "),
        ask(HOST, b"Content-Length: 0", body=b""),
        ask(HOST, b"Content-Length: 6", body=b"\r\n\r\n\r\n"),
    ],
)
def test_h11_would_read_the_same(request_: bytes) -> None:
    assert read_whole(request_) == read_by_h11(request_)


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        ask(HOST, TWO)[:-1],
        ask(HOST, TWO, body=b"{}P"),
        ask(HOST, TWO) + ask(HOST, TWO),
        ask(TWO),
        ask(HOST),
        ask(HOST, HOST, TWO),
        ask(HOST, TWO, TWO),
        ask(HOST, b"Content-Length: 2, 2"),
        ask(HOST, b"Content-Length: +2"),
        ask(HOST, b"Content-Length: 02"),
        ask(HOST, TWO, b"Transfer-Encoding: chunked"),
        ask(HOST, TWO, b"Expect: 100-continue"),
        ask(HOST, TWO, b"Upgrade: h2c", b"Connection: Upgrade"),
        ask(HOST, TWO, b"Connection: close"),
        ask(HOST, TWO, b"X : a"),
        ask(HOST, TWO, b"X: a", b" folded"),
        ask(HOST, TWO, b"X: a\nb"),
        ask(HOST, TWO, b"X: a\x0bb"),
        ask(HOST, TWO, b"nonsense"),
        ask(HOST, TWO, line=b"POST /a HTTP/1.0"),
        ask(HOST, TWO, line=b"GET /a HTTP/1.1"),
        ask(HOST, TWO, line=b"POST /a b HTTP/1.1"),
        ask(HOST, TWO, line=b"POST /\xe4 HTTP/1.1"),
        ask(HOST, TWO).replace(b"\r\n", b"\n"),
        b"\r\n" + ask(HOST, TWO),
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nX: be",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_a_request_that_is_not_plain_is_left_to_h11(request_: bytes) -> None:
    assert read_whole(request_) is None


PIECES = st.sampled_from(
    [bytes([each]) for each in b"\r\n: \t\0\x0b\x7f\x80a2"]
    + [b"{}", b"\r\n", b"Host", TWO, b"Transfer-Encoding: chunked", b"Connection", b"close"]
)


@given(st.integers(0, 80), st.integers(0, 6), PIECES)
def test_whatever_is_read_h11_would_read_the_same(place: int, cut: int, piece: bytes) -> None:
    plain = ask(HOST, TWO, b"X-Y: a b", b"Connection: keep-alive")
    odd = plain[:place] + piece + plain[place + cut :]

    read = read_whole(odd)

    assert read is None or read == read_by_h11(odd)


@given(st.integers(0, 90), st.sampled_from([b"0", b"2"]))
def test_no_beginning_of_a_request_is_read_as_a_whole_one(end: int, length: bytes) -> None:
    plain = ask(HOST, b"Content-Length: " + length, b"X: a", body=b"{}" if length == b"2" else b"")
    if end < len(plain):
        assert read_whole(plain[:end]) is None


@pytest.mark.parametrize(
    "headers",
    [
        [(b"Date", b"now"), (b"Content-Type", b"a/b"), KEEP_ALIVE, (b"x-amzn-RequestId", b"1")],
        [(b"X", b"a b")],
    ],
)
def test_h11_would_write_the_same_stream(headers: list[tuple[bytes, bytes]]) -> None:
    theirs = encode_by_h11(200, headers, b"abc" * 10)
    head = encode_stream_head(200, headers)

    assert head
    assert head + encode_piece(b"abc" * 10) + LAST_PIECE == put_in_order(theirs)
    assert encode_piece(b"") == b""


@pytest.mark.parametrize(
    "headers", [[LENGTH], [(b"Connection", b"close")], [(b"Transfer-Encoding", b"gzip")]]
)
def test_a_stream_that_is_not_plain_is_left_to_h11(headers: list[tuple[bytes, bytes]]) -> None:
    assert encode_stream_head(200, headers) is None
