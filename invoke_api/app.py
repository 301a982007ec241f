"""The Starlette application: routes, the short way to most of them, the lifetime of the engines."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from invoke_api.authentication.gate import Gate
from invoke_api.cassettes.library import Library, Replay
from invoke_api.cassettes.named import NamedRecordings
from invoke_api.control.health import health, ready
from invoke_api.control.metrics import metrics
from invoke_api.control.own_routes import OwnRoutes
from invoke_api.control.testing import one_worker_only, requests, reset, rules
from invoke_api.engines import Engines
from invoke_api.guardrails.shelf import Shelf
from invoke_api.journal import Journal
from invoke_api.operations.apply_guardrail import apply_guardrail
from invoke_api.operations.client import Calls, ClientLeft
from invoke_api.operations.control_plane import CONTROL_PLANE
from invoke_api.operations.count_tokens import count_tokens
from invoke_api.operations.counted import METRICS, CountedCalls
from invoke_api.operations.failing import HANDLERS, answer_bug, answer_expected
from invoke_api.operations.logged import LoggedCalls
from invoke_api.operations.model_calls import MODEL_CALLS, ModelCall, call_model
from invoke_api.operations.not_offered import NOT_OFFERED
from invoke_api.operations.replay import replay
from invoke_api.operations.routing import OperationRoute, has_steps
from invoke_api.operations.services import Services
from invoke_api.operations.threads import SharedThreads
from invoke_api.profiles import ApplicationProfiles
from invoke_api.quotas import Quotas, settle
from invoke_api.registry import Registry
from invoke_api.rules.book import RuleBook
from invoke_api.rules.playing import Broken
from invoke_api.telemetry.configurations import OF_THE_OPERATOR, LoggingConfigurations
from invoke_api.telemetry.invocation_log import InvocationLog
from invoke_api.telemetry.metrics import Metrics
from invoke_api.web_pages import Doors
from invoke_api.wire.errors import InvokeError


class State(TypedDict):
    """What every request finds in `request.state`."""

    services: Services


# For whoever operates the service, without a key.
OPEN = [
    Route("/_emulator/health", health),
    Route("/_emulator/ready", ready),
    Route(METRICS, metrics),
]
MODEL_CALL = re.compile(f"^/model/(.*)/({'|'.join(MODEL_CALLS)})$")  # as Starlette's `path`
# Each goes by the name of its operation. Calls of models also have a short way, see `Service`.
BUILT = [
    *(
        OperationRoute(
            f"/model/{{model_id:path}}/{path}",
            partial(call_model, call=call),
            methods=["POST"],
            name=call.operation.name,
        )
        for path, call in MODEL_CALLS.items()
    ),
    OperationRoute(
        "/model/{model_id:path}/count-tokens", count_tokens, methods=["POST"], name="CountTokens"
    ),
    OperationRoute(
        "/guardrail/{guardrailIdentifier:path}/version/{guardrailVersion}/apply",
        apply_guardrail,
        methods=["POST"],
        name="ApplyGuardrail",
    ),
    *CONTROL_PLANE,
]
ROUTES = BUILT + NOT_OFFERED
OPERATIONS: dict[object, str] = {route.endpoint: route.name for route in ROUTES}
for route in ROUTES:
    assert route.methods, "an operation has a method"
    route.methods.discard("HEAD")  # Starlette adds it to GET, and Bedrock knows no such operation
# In place of those: what was recorded is there, of whatever operation.
METHODS = ["GET", "POST", "PUT", "DELETE"]
REPLAYED = [
    Route("/model/{model_id:path}/{action}", replay, methods=METHODS),
    Route("/{path:path}", replay, methods=METHODS),
]
# What lets a test say what is answered, and see what was asked: not for strangers.
CONTROL = [
    Route("/_emulator/rules", rules, methods=["GET", "POST", "DELETE"]),
    Route("/_emulator/requests", requests, methods=["GET", "DELETE"]),
    Route("/_emulator/reset", reset, methods=["POST"]),
]
NOT_ALONE = [Route(route.path, one_worker_only, methods=METHODS) for route in CONTROL]


class Service(Starlette):
    """Starlette, which counts the calls, with a `short` way to what nearly all requests ask for.

    Its middleware and routing ask twice what kind of error it was and wrap all that is sent three
    times, which costs as much as all the checks of a request.
    """

    def __init__(
        self,
        counted: CountedCalls,
        own: OwnRoutes,
        *,
        short: bool,
        **more: Any,  # noqa: ANN401 - Starlette's own
    ) -> None:
        super().__init__(**more)
        self._counted = counted
        self._own = own
        self._is_short = short

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        found = MODEL_CALL.match(scope["path"])
        if not found and self._own.takes(scope):
            scope["app"] = self
            await self._own(scope, receive, send)
            return
        began = self._counted.begin()
        try:
            is_short = self._is_short and has_steps(scope, "/model/id/operation")
            if found and is_short and scope["method"] == "POST":
                scope["path_params"] = {"model_id": found[1]}
                await self._take_short_way(scope, receive, send, MODEL_CALLS[found[2]])
            else:
                await super().__call__(scope, receive, send)
        finally:
            settle(scope)
            self._counted.end(scope, began)

    async def _take_short_way(
        self, scope: Scope, receive: Receive, send: Send, call: ModelCall
    ) -> None:
        scope["operation"] = call.operation.name
        request = Request(scope, receive, send)
        try:
            response = await call_model(request, call)
        except (InvokeError, ClientLeft, Broken) as error:
            response = await answer_expected(request, error)
        except Exception as error:
            response = await answer_bug(request, error)
            await response(scope, receive, send)
            raise  # into the log
        await response(scope, receive, send)


def create_app(
    registry: Registry,
    engines: Engines,
    calls: Calls,
    *,
    gate: Gate | None = None,
    book: RuleBook | None = None,
    quotas: Quotas | None = None,
    control: bool = True,
    recordings: Replay | None = None,
    invocation_log: InvocationLog | None = None,
    extensions: bool = False,
    guardrails: Shelf | None = None,
    alone: bool = True,
    metrics_folder: Path | None = None,
    doors: Doors | None = None,
    paces: NamedRecordings | None = None,
    others_ready: Callable[[], bool] = lambda: True,
) -> Starlette:
    """The service on these engines, which it starts and closes; `calls` learns of each call.

    With `control`, tests may give rules and read the journal over HTTP. With `recordings` these
    answer, whatever they are of, and the engines are for rules only. With `extensions` it answers
    what Bedrock would refuse. Not `alone`, other processes answer on the same port: what each
    of them would keep for itself is refused, metrics are those of all with `metrics_folder`, and
    it is not ready before `others_ready`. `doors` are whom the service's own routes answer: on
    loopback, unless told otherwise. Rules over HTTP may take their pace from `paces`.
    """
    observed = Metrics(engines.items(), metrics_folder)
    configurations = LoggingConfigurations(OF_THE_OPERATOR if invocation_log else None)
    services = Services(
        registry=registry,
        engines=engines,
        calls=calls,
        gate=gate or Gate(),
        rules=RuleBook() if book is None else book,
        journal=Journal() if control else Journal(most=0),  # nobody could read it
        quotas=quotas or Quotas(),
        guardrails=guardrails or Shelf(),
        profiles=ApplicationProfiles(),
        replay=recordings or Replay(Library(())),
        paces=paces or NamedRecordings(),
        logging=configurations,
        metrics=observed,
        threads=SharedThreads(),
        extensions=extensions,
        alone=alone,
        others_ready=others_ready,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        engines.start()
        observed.start()
        try:
            yield State(services=services)
        finally:
            observed.close()
            services.threads.close()
            await engines.close()
            if invocation_log:
                await invocation_log.close()

    around = []
    if invocation_log:
        logged = partial(LoggedCalls, log=invocation_log, configurations=configurations)
        around.append(Middleware(logged, registry=registry))
    app = Service(
        CountedCalls(observed.calls, OPERATIONS),
        OwnRoutes(OPEN, _control(control, alone), doors or Doors()),
        short=not recordings and not around,  # it knows of neither
        routes=REPLAYED if recordings else ROUTES,
        lifespan=lifespan,
        middleware=around,
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False  # Bedrock knows no redirects
    return app


def _control(control: bool, alone: bool) -> list[Route]:  # noqa: FBT001 - see create_app
    return (CONTROL if alone else NOT_ALONE) if control else []
