"""Malformed and slow requests are refused, and other clients are served meanwhile."""

from contextlib import closing

import pytest
from h2.errors import ErrorCodes
from h2.events import StreamReset

from invoke_api.pipeline import request_body
from invoke_api.server.app import CONTROL_ROUTES, OPERATION_ROUTES, PUBLIC_ROUTES
from tests.support import http2
from tests.support.metrics import CALLS, Scrape
from tests.support.servers import SEVEN_B, call, connect, engine_running
from tests.support.stubs import StubEngine
from tests.support.waiting import until


def test_connect_opens_no_tunnel(scripted: str) -> None:
    response, body = call(scripted, "CONNECT", "/")

    assert response.status == 400
    assert b"UnknownOperationException" in body


def test_a_path_that_is_no_ascii_is_a_malformed_request(scripted: str) -> None:
    with http2.Client(scripted) as connection:
        connection.request("/model/é/invoke", b"{}")
        events = connection.read(until=StreamReset)

    assert events[-1].error_code == ErrorCodes.PROTOCOL_ERROR
    assert call(scripted, "GET", "/_emulator/health")[0].status == 200


@pytest.mark.parametrize("path", [f"/model/{SEVEN_B}/invoke", "/no/operation"])
def test_a_body_that_does_not_come_is_not_waited_for_any_longer(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(request_body, "BODY_TIMEOUT_SECONDS", 0.2)
    with engine_running(StubEngine()) as url, closing(connect(url)) as connection:
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", "100")
        connection.endheaders(b'{"prompt": ')
        response = connection.getresponse()
        body = response.read()

    assert response.status == 408
    assert (response.headers["x-amzn-ErrorType"] or "").startswith("RequestTimeoutException:")
    assert b"not received in time" in body


def test_a_disconnect_during_the_body_of_an_unknown_operation_is_no_internal_error() -> None:
    with engine_running(StubEngine()) as url:
        with closing(connect(url)) as connection:
            connection.putrequest("POST", "/no/operation")
            connection.putheader("Content-Length", "100")
            connection.endheaders(b"{")
        until(lambda: Scrape(url).sum(CALLS) == 1)

        assert Scrape(url).sum(CALLS, outcome="cancelled") == 1


def test_the_emulators_routes_stay_below_their_prefix() -> None:
    own = [route.path for route in PUBLIC_ROUTES + CONTROL_ROUTES]

    assert all(path.startswith(("/_emulator/", "/metrics")) for path in own)
    assert not [route.path for route in OPERATION_ROUTES if route.path.startswith("/_emulator")]
