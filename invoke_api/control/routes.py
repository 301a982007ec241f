"""Routing and access control of the emulator's own routes."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from posixpath import normpath
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from invoke_api.authentication.web_pages import BrowserAccess
from invoke_api.control.responses import error_answer
from invoke_api.pipeline.admission import check_client_address, to_raw
from invoke_api.pipeline.request_body import ClientDisconnected, read_body
from invoke_api.pipeline.services import services_of
from invoke_api.wire.errors import InvokeError, KeyDenied, ValidationException

log = logging.getLogger(__name__)

EMULATOR_PATH = "/_emulator"
METRICS_PATH = "/metrics"
MAX_CONTROL_BODY_BYTES = 1 << 20  # rules are the longest
REQUEST_ID = "{request_id}"
# Paths of other services' probes, and the routes here for the same question.
ELSEWHERE = {"/health": "/_emulator/health", "/ready": "/_emulator/ready"}
NOT_AN_OPERATOR = (
    "This key may only call models; rules and journal need a key with `operator: true` in the"
    " credentials file."
)


def is_bedrock_path(path: str) -> bool:
    """Tell whether a path is one of Bedrock's, which are all but the emulator's own."""
    is_own = path.startswith(EMULATOR_PATH) and path[
        len(EMULATOR_PATH) : len(EMULATOR_PATH) + 1
    ] in ("", "/")
    return not is_own and path != METRICS_PATH


class EmulatorRoute(NamedTuple):
    """A route. `answer` gets the request and its body.

    The last step of `path` may be `{request_id}`, which is any step.
    """

    path: str
    answer: Callable[[Request, bytes], Awaitable[Response]]
    methods: tuple[str, ...] = ("GET", "HEAD")

    def takes(self, path: str) -> bool:
        """Tell whether this is the route of a path."""
        before, _, last = path.rpartition("/")
        return path == self.path or bool(last and f"{before}/{REQUEST_ID}" == self.path)


class EmulatorRoutes:
    """An ASGI application of the emulator's own routes.

    `open_` routes answer every client, `control` routes only operators if there is authentication.
    `control` is empty without `--control`.
    """

    def __init__(
        self,
        open_: Sequence[EmulatorRoute],
        control: Sequence[EmulatorRoute],
        browser_access: BrowserAccess,
    ) -> None:
        self._routes = [*open_, *control]
        self._control = control
        self._doors = browser_access

    def takes(self, scope: Scope) -> bool:
        """Tell whether a path is the emulator's own, also one that is so once it is normalised."""
        path: str = scope["path"]
        if not is_bedrock_path(path) or path in ELSEWHERE:
            return True
        if "//" not in path and "/." not in path:
            return False
        return not is_bedrock_path(normpath(f"/{path.lstrip('/')}"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except ClientDisconnected:
            return
        except InvokeError as error:
            response = error_answer(error.message, status=error.status)
        except Exception:
            log.exception("%s %s failed", request.method, scope["path"])
            response = error_answer("Internal error of the emulator; see its log.", status=500)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        """Read the body, then answer. An earlier response would cut off the client."""
        body = await _body_of(request)
        if why := self._doors.refusal(request.method, request.scope["headers"]):
            return error_answer(why, status=403)
        # Without decoding: `%2f` is no slash, as in the path filters of load balancers.
        path = request.scope["raw_path"].decode("latin-1")
        if path in ELSEWHERE:
            return error_answer(f"There is no {path}; ask {ELSEWHERE[path]}.", status=404)
        route = next((each for each in self._routes if each.takes(path)), None)
        if route is None:
            return error_answer(f"There is no such route; {self._names()}.", status=404)
        if request.method not in route.methods:
            methods = ", ".join(sorted(route.methods))
            return error_answer(f"{route.path} takes {methods}.", status=405)
        if body is None:
            message = f"The body is longer than {MAX_CONTROL_BODY_BYTES:,} bytes."
            return error_answer(message, status=413)
        if route in self._control:
            _check_operator(request, body)
        return await route.answer(request, body)

    def _names(self) -> str:
        names = ", ".join(route.path for route in self._routes)
        return f"there are {names}" if self._control else f"without --control there are {names}"


async def _body_of(request: Request) -> bytes | None:
    """Return the body, or None if it is too long.

    Raises `ClientDisconnected` and `InvokeError`s.
    """
    try:
        return await read_body(request.receive, MAX_CONTROL_BODY_BYTES)
    except ValidationException:
        return None


def _check_operator(request: Request, body: bytes) -> None:
    """Raise a `FrontDoorError` if there is authentication and the key is not an operator's.

    Also raise one if only clients on this machine may call, and this one is elsewhere.
    """
    gate = services_of(request).gate
    check_client_address(gate, request.scope)
    if gate.auth == "none":
        return
    if not gate.admit(to_raw(request.scope, body)).is_operator:
        raise KeyDenied(NOT_AN_OPERATOR)
