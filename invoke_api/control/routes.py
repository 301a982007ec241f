"""The emulator's own routes: found by their very bytes, behind their own doors."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from posixpath import normpath
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from invoke_api.authentication.web_pages import Doors
from invoke_api.control.responses import refusal
from invoke_api.pipeline.admission import admit_client, to_raw
from invoke_api.pipeline.request_body import ClientLeft, read_body
from invoke_api.pipeline.services import services_of
from invoke_api.wire.errors import InvokeError, KeyDenied, ValidationException

log = logging.getLogger(__name__)

OWN = "/_emulator"
METRICS = "/metrics"
MAX_BODY = 1 << 20  # bytes of a body, which holds rules at most
NO_OPERATOR = (
    "This key may call models; rules and journal take a key that the credentials file gives"
    " `operator: true`."
)


def is_bedrocks(path: str) -> bool:
    """Tell whether a path is one of Bedrock's: all that is not our own."""
    is_own = path.startswith(OWN) and path[len(OWN) : len(OWN) + 1] in ("", "/")
    return not is_own and path != METRICS


class OwnRoute(NamedTuple):
    """A path without parameters. `answer` gets the request and its body."""

    path: str
    answer: Callable[[Request, bytes], Awaitable[Response]]
    methods: tuple[str, ...] = ("GET", "HEAD")


class OwnRoutes:
    """An ASGI app. `open_` routes answer everybody, `control` routes a test or an operator.

    `control` is empty where they are switched off.
    """

    def __init__(
        self, open_: Sequence[OwnRoute], control: Sequence[OwnRoute], doors: Doors
    ) -> None:
        self._routes = [*open_, *control]
        self._control = control
        self._doors = doors

    def takes(self, scope: Scope) -> bool:
        """Return whether a path is ours, also one that only looks like it once it is decoded."""
        path: str = scope["path"]
        if not is_bedrocks(path):
            return True
        if "//" not in path and "/." not in path:
            return False
        return not is_bedrocks(normpath(f"/{path.lstrip('/')}"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except ClientLeft:
            return
        except InvokeError as error:
            response = refusal(error.message, status=error.status)
        except Exception:
            log.exception("%s %s failed", request.method, scope["path"])
            response = refusal("This is a bug of the emulator; its log says more.", status=500)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        """Answer once the body is there: an answer before its end would cut off its sender."""
        body = await _body_of(request)
        if why := self._doors.refusal(request.method, request.scope["headers"]):
            return refusal(why, status=403)
        # By the bytes: %2f is no slash, and a balancer's filter of prefixes sees what we see.
        path = request.scope["raw_path"].decode("latin-1")
        found = [route for route in self._routes if route.path == path]
        if not found:
            return refusal(f"There is no such route; {self._names()}.", status=404)
        [route] = found
        if request.method not in route.methods:
            methods = ", ".join(sorted(route.methods))
            return refusal(f"{route.path} takes {methods}.", status=405)
        if body is None:
            return refusal(f"The body is longer than {MAX_BODY:,} bytes.", status=413)
        if route in self._control:
            _check_operator(request, body)
        return await route.answer(request, body)

    def _names(self) -> str:
        names = ", ".join(route.path for route in self._routes)
        return f"there are {names}" if self._control else f"without --control there are {names}"


async def _body_of(request: Request) -> bytes | None:
    """Return the body, None for one that is too long. Raises `ClientLeft` and `InvokeError`s."""
    try:
        return await read_body(request.receive, MAX_BODY)
    except ValidationException:
        return None


def _check_operator(request: Request, body: bytes) -> None:
    """Raise a `FrontDoorError` unless there is no authentication, or the key is an operator's.

    Without authentication the client may have to be on this machine.
    """
    gate = services_of(request).gate
    admit_client(gate, request.scope)
    if gate.auth == "none":
        return
    if not gate.admit(to_raw(request.scope, body)).is_operator:
        raise KeyDenied(NO_OPERATOR)
