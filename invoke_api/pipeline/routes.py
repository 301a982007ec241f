"""Routes of AWS's operations: a slash divides a path only where it stands as it is."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.routing import Match, Route
from starlette.types import Scope

from invoke_api.pipeline.call import Call
from invoke_api.pipeline.responses import Reply

# Returns the answer, or None if it has written the answer itself.
Handler = Callable[[Call], Awaitable[Reply | None]]


class OperationRoute(Route):
    """The path of an operation; `name` is AWS's name for it.

    A route takes `%2F` for a part of a label, and `/` for a divider, as AWS does. So an ARN must
    be encoded: with its slash as it is, the path has one step too many and is no operation's.
    """

    def __init__(self, path: str, handler: Handler, *, name: str, method: str = "GET") -> None:
        super().__init__(path, handler, methods=[method], name=name)
        self.handler = handler
        self.methods = {method}  # Starlette adds HEAD to GET, and Bedrock knows no such operation

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["raw_path"].count(b"/") != self.path.count("/"):
            return Match.NONE, {}
        return super().matches(scope)


def find_route(
    routes: Sequence[OperationRoute], scope: Scope
) -> tuple[OperationRoute, dict[str, Any]] | None:
    """Return the operation of a request and the labels in its path."""
    for route in routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return route, found["path_params"]
    return None
