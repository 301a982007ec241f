"""Requests that are hardly HTTP: refused in peace, while others are served."""

from h2.errors import ErrorCodes
from h2.events import StreamReset

from invoke_api.app import CONTROL, OPEN, ROUTES
from tests import http2
from tests.servers import call


def test_connect_opens_no_tunnel(scripted: str) -> None:
    response, body = call(scripted, "CONNECT", "/")

    assert response.status == 400
    assert b"UnknownOperationException" in body


def test_a_path_that_is_no_ascii_is_a_malformed_request(scripted: str) -> None:
    with http2.Client(scripted) as client:
        client.request("/model/é/invoke", b"{}")
        events = client.read(until=StreamReset)

    assert events[-1].error_code == ErrorCodes.PROTOCOL_ERROR
    assert call(scripted, "GET", "/_emulator/health")[0].status == 200


def test_routes_of_our_own_stay_below_their_roof() -> None:
    own = [route.path for route in OPEN + CONTROL]

    assert all(path.startswith(("/_emulator/", "/metrics")) for path in own)
    assert not [route.path for route in ROUTES if route.path.startswith("/_emulator")]
