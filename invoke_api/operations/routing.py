"""Routes of AWS's operations: a slash divides a path only where it stands as it is."""

from starlette.routing import Match, Route
from starlette.types import Scope


class OperationRoute(Route):
    """A route that takes `%2F` for a part of a label, and `/` for a divider, as AWS does.

    So an ARN must be encoded: with its slash as it is, the path has one step too many and is no
    operation's.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if not has_steps(scope, self.path):
            return Match.NONE, {}
        return super().matches(scope)


def has_steps(scope: Scope, path: str) -> bool:
    """Tell whether the path that came has as many steps as this one."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()  # ASGI lets a server leave it out
    return raw.count(b"/") == path.count("/")
