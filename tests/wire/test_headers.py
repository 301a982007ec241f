"""Response headers: names, spelling, order."""

from invoke_api.wire.headers import response_headers


def test_a_json_answer_has_bedrocks_headers_in_bedrocks_order() -> None:
    headers = response_headers(
        now=0.0,
        request_id="id",
        content_type="application/json",
        http_version="1.1",
        length=7,
        more={"x-amzn-ErrorType": "ThrottlingException:"},
    )

    assert headers == [
        (b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"7"),
        (b"Connection", b"keep-alive"),
        (b"x-amzn-RequestId", b"id"),
        (b"x-amzn-ErrorType", b"ThrottlingException:"),
    ]


def test_http_2_has_no_connection_header_and_a_stream_no_length() -> None:
    headers = response_headers(now=0.0, request_id="id", content_type="x", http_version="2")

    assert [name for name, _ in headers] == [b"Date", b"Content-Type", b"x-amzn-RequestId"]
