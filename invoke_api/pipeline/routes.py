"""Routes of AWS's operations, in which a percent-encoded slash does not separate steps."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.routing import Match, Route
from starlette.types import Scope

from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import HttpResponse
from invoke_api.wire.error_format import AWS_ERRORS, ErrorFormat

ANY_PATH = "/{path:path}"  # of a route that takes every path
# Returns the response, or None if it has written the response itself.
Handler = Callable[[Call], Awaitable[HttpResponse | None]]


class OperationRoute(Route):
    """The route of an operation. `name` is AWS's name for it, `errors` the form of its errors.

    As at AWS, `%2F` is part of a label and `/` separates steps. So clients must encode the slash of
    an ARN.
    """

    def __init__(
        self,
        path: str,
        handler: Handler,
        *,
        name: str,
        method: str = "GET",
        errors: ErrorFormat = AWS_ERRORS,
    ) -> None:
        super().__init__(path, handler, methods=[method], name=name)
        self.handler = handler
        self.errors = errors
        self.methods = {method}  # Starlette adds HEAD to GET; Bedrock has no such operation

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_deeper = scope["raw_path"].count(b"/") != self.path.count("/")
        if is_deeper and self.path != ANY_PATH:
            return Match.NONE, {}
        return super().matches(scope)


def find_route(
    routes: Sequence[OperationRoute], scope: Scope
) -> tuple[OperationRoute, dict[str, Any]] | None:
    """Return the route of a request and the labels in its path, or None."""
    for route in routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return route, found["path_params"]
    return None
