"""The one header that h11 puts elsewhere."""

from invoke_api.connections.header_order import put_in_order

HEAD = b"HTTP/1.1 200 \r\nDate: now\r\nContent-Type: x\r\nConnection: keep-alive\r\nA: b\r\n"


def test_transfer_encoding_stands_before_connection() -> None:
    ordered = put_in_order(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")

    assert ordered == (
        b"HTTP/1.1 200 \r\nDate: now\r\nContent-Type: x\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: keep-alive\r\nA: b\r\n\r\n"
    )


def test_a_head_without_it_stays_as_it_is() -> None:
    assert put_in_order(HEAD + b"\r\n") == HEAD + b"\r\n"
