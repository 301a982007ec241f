"""The ASGI application of AWS's operations."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from invoke_api.observability.access_log import AccessLog
from invoke_api.observability.invocation_log import InvocationLog
from invoke_api.observability.tracing import Tracing
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.count_calls import CallCounter
from invoke_api.pipeline.log_calls import CopyingWriter, log_call, to_access_record
from invoke_api.pipeline.request_body import ClientDisconnected
from invoke_api.pipeline.responses import HttpResponse, failure_response, unknown_operation_response
from invoke_api.pipeline.routes import Handler, OperationRoute, find_route
from invoke_api.pipeline.services import Services
from invoke_api.pipeline.trace_calls import to_outcome
from invoke_api.rules.playback import ConnectionBreak
from invoke_api.transport.asgi_writer import open_writer
from invoke_api.wire.errors import InternalServerException, InvokeError, ValidationException

log = logging.getLogger(__name__)

MODEL_PATH_SLASHES = 3  # in /model/{model_id}/{step}


class OperationsApp:
    """An ASGI application that answers calls, and counts and logs each of them when it ends.

    `quick` holds the name and handler of each operation on `/model/{model_id}/{step}`, by `step`.
    These get nearly all calls, so they are matched before `routes`.
    """

    def __init__(
        self,
        routes: Sequence[OperationRoute],
        quick: Mapping[str, tuple[str, Handler]],
        counter: CallCounter,
        *,
        invocation_log: InvocationLog | None = None,
        access_log: AccessLog | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._routes = routes
        self._quick = quick
        self._quick_path = re.compile(f"^/model/(.*)/({'|'.join(quick) or '(?!)'})$")
        self._counter = counter
        self._log = invocation_log
        self._access = access_log
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        services: Services = scope["state"]["services"]
        writer, fallback = open_writer(scope, receive, send)
        noting = CopyingWriter(writer) if self._log else None
        call = Call(services=services, scope=scope, receive=receive, writer=noting or writer)
        self._begin(call)
        try:
            reply = await self._answer(call)
            if reply and call.entry:
                call.entry.answer.keep(reply.status, reply.headers, reply.body)
            if reply:
                reply.write(call.writer)
            if fallback:
                await fallback.finish()
        finally:
            if fallback:
                fallback.close()
            if call.share:
                call.share.settle()
            self._end(call, noting)

    def _begin(self, call: Call) -> None:
        self._counter.begin()
        if self._tracing:
            call.trace = self._tracing.begin(call.header_text, call.began)

    def _end(self, call: Call, noting: CopyingWriter | None) -> None:
        """Count and log a call that has ended."""
        finished = self._counter.end(call)
        if self._access:
            self._access.add(to_access_record(call, finished))
        if call.trace:
            call.trace.end(to_outcome(call, finished))
        if self._log and noting:
            log_call(self._log, call, noting.written())

    async def _answer(self, call: Call) -> HttpResponse | None:
        try:
            handler = self._find(call)
            return await handler(call)
        except (InvokeError, ClientDisconnected, ConnectionBreak) as error:
            return failure_response(call, error)
        except Exception:
            log.exception("request %s failed", call.request_id)
            return failure_response(call, InternalServerException())

    def _find(self, call: Call) -> Handler:
        """Return the handler of the operation that the path and the method name."""
        scope = call.scope
        found = self._quick_path.match(scope["path"])
        # Only a slash that is not percent-encoded separates the steps of a path.
        if found and call.method == "POST" and call.raw_path.count(b"/") == MODEL_PATH_SLASHES:
            call.labels, call.model_id = {"model_id": found[1]}, found[1]
            call.operation, handler = self._quick[found[2]]
            return handler
        if route := find_route(self._routes, scope):
            call.operation, call.labels = route[0].name, route[1]
            call.errors = route[0].errors
            call.model_id = call.labels.get("model_id", "")
            return route[0].handler
        return _answer_unknown


async def _answer_unknown(call: Call) -> HttpResponse:
    with suppress(ValidationException):  # the body is too large
        await call.read_body()  # a response before its end would cut off the client
    return unknown_operation_response(call)
