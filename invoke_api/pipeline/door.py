"""The door of the service: takes each call of AWS's operations, from its head to its end."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from invoke_api.observability.invocation_log import InvocationLog
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.count_calls import CountedCalls
from invoke_api.pipeline.log_calls import NotingWriter, log_call
from invoke_api.pipeline.request_body import ClientLeft
from invoke_api.pipeline.responses import Reply, tell, tell_unknown
from invoke_api.pipeline.routes import Handler, OperationRoute, find_route
from invoke_api.pipeline.services import Services
from invoke_api.rules.playback import Broken
from invoke_api.transport.asgi_writer import open_writer
from invoke_api.wire.errors import InternalServerException, InvokeError, ValidationException

log = logging.getLogger(__name__)

QUICK_STEPS = 3  # of /model/{model_id}/{name}


class Door:
    """Answers calls, and counts and logs each of them as it ends.

    `quick` has the handlers of operations on `/model/{model_id}/{name}`, by the last step of the
    path and with the operation's name: nearly all calls are theirs.
    """

    def __init__(
        self,
        routes: Sequence[OperationRoute],
        quick: Mapping[str, tuple[str, Handler]],
        counted: CountedCalls,
        invocation_log: InvocationLog | None = None,
    ) -> None:
        self._routes = routes
        self._quick = quick
        self._quick_path = re.compile(f"^/model/(.*)/({'|'.join(quick) or '(?!)'})$")
        self._counted = counted
        self._log = invocation_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        services: Services = scope["state"]["services"]
        writer, fallback = open_writer(scope, receive, send)
        noting = NotingWriter(writer) if self._log else None
        call = Call(services=services, scope=scope, receive=receive, writer=noting or writer)
        self._counted.begin()
        try:
            reply = await self._answer(call)
            if reply:
                reply.write(call.writer)
            if fallback:
                await fallback.finish()
        finally:
            if fallback:
                fallback.close()
            if call.share:
                call.share.settle()
            self._counted.end(call)
            if self._log and noting:
                log_call(self._log, call, noting.written())

    async def _answer(self, call: Call) -> Reply | None:
        try:
            handler = self._find(call)
            return await handler(call)
        except (InvokeError, ClientLeft, Broken) as error:
            return tell(call, error)
        except Exception:
            log.exception("request %s failed", call.request_id)
            return tell(call, InternalServerException())

    def _find(self, call: Call) -> Handler:
        """Return the handler of the operation that the path and the method name."""
        scope = call.scope
        found = self._quick_path.match(scope["path"])
        # An encoded slash belongs to a label, and one that stands as it is divides the path.
        if found and call.method == "POST" and call.raw_path.count(b"/") == QUICK_STEPS:
            call.labels, call.model_id = {"model_id": found[1]}, found[1]
            call.operation, handler = self._quick[found[2]]
            return handler
        if route := find_route(self._routes, scope):
            call.operation, call.labels = route[0].name, route[1]
            call.model_id = call.labels.get("model_id", "")
            return route[0].handler
        return _answer_unknown


async def _answer_unknown(call: Call) -> Reply:
    with suppress(ValidationException):  # too large
        await call.read_body()  # an answer before its end would cut off who is sending it
    return tell_unknown(call)
