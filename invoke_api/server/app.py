"""The Starlette application: routes, the door of AWS's operations, the lifetime of the engines."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from invoke_api.authentication.gate import Gate
from invoke_api.authentication.web_pages import Doors
from invoke_api.cassettes.matcher import Library, Replay
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.control.health import health, ready
from invoke_api.control.metrics import metrics
from invoke_api.control.routes import METRICS, OwnRoute, OwnRoutes
from invoke_api.control.rules_and_journal import one_worker_only, requests, reset, rules
from invoke_api.guardrails.guardrail import Shelf
from invoke_api.models.engine_pool import Engines
from invoke_api.models.profiles import ApplicationProfiles
from invoke_api.models.quotas import Quotas
from invoke_api.models.registry import Registry
from invoke_api.observability.invocation_log import InvocationLog
from invoke_api.observability.journal import Journal
from invoke_api.observability.log_configurations import OF_THE_OPERATOR, LoggingConfigurations
from invoke_api.observability.metrics import Metrics
from invoke_api.operations.apply_guardrail import apply_guardrail
from invoke_api.operations.count_tokens import count_tokens
from invoke_api.operations.model_operations import QUICK
from invoke_api.operations.not_offered import NOT_OFFERED
from invoke_api.operations.routes import CONTROL_PLANE
from invoke_api.pipeline.count_calls import CountedCalls
from invoke_api.pipeline.door import Door
from invoke_api.pipeline.request_body import Calls
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.pipeline.services import Services
from invoke_api.pipeline.thread_pool import SharedThreads
from invoke_api.replay.operation import REPLAYED
from invoke_api.rules.rule_book import RuleBook


class State(TypedDict):
    """What every request finds in `request.state`."""

    services: Services


# For whoever operates the service, without a key.
OPEN = [
    OwnRoute("/_emulator/health", health),
    OwnRoute("/_emulator/ready", ready),
    OwnRoute(METRICS, metrics),
]
# Each goes by the name of its operation.
BUILT = [
    *(
        OperationRoute(f"/model/{{model_id:path}}/{step}", handler, name=name, method="POST")
        for step, (name, handler) in QUICK.items()
    ),
    OperationRoute(
        "/model/{model_id:path}/count-tokens", count_tokens, name="CountTokens", method="POST"
    ),
    OperationRoute(
        "/guardrail/{guardrailIdentifier:path}/version/{guardrailVersion}/apply",
        apply_guardrail,
        name="ApplyGuardrail",
        method="POST",
    ),
    *CONTROL_PLANE,
]
ROUTES = BUILT + NOT_OFFERED
# What lets a test say what is answered, and see what was asked: not for strangers.
CONTROL = [
    OwnRoute("/_emulator/rules", rules, ("GET", "HEAD", "POST", "DELETE")),
    OwnRoute("/_emulator/requests", requests, ("GET", "HEAD", "DELETE")),
    OwnRoute("/_emulator/reset", reset, ("POST",)),
]
NOT_ALONE = [
    OwnRoute(route.path, one_worker_only, ("GET", "POST", "PUT", "DELETE")) for route in CONTROL
]


class Service(Starlette):
    """The emulator's own routes, and the door of AWS's operations for all the rest."""

    def __init__(self, services: Services, door: Door, own: OwnRoutes, **more: Any) -> None:  # noqa: ANN401 - Starlette's own
        super().__init__(**more)
        self._services = services
        self._door = door
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Servers need not keep what a lifespan yields: the state is an extension of ASGI.
        scope.setdefault("state", {}).setdefault("services", self._services)
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if not scope.get("raw_path"):  # ASGI lets a server leave it out
            scope["raw_path"] = quote(scope["path"]).encode()
        if self._own.takes(scope):
            await self._own(scope, receive, send)
        else:
            await self._door(scope, receive, send)


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
    following: Callable[[], Coroutine[None, None, None]] | None = None,
) -> Starlette:
    """The service on these engines, which it starts and closes; `calls` learns of each call.

    With `control`, tests may give rules and read the journal over HTTP. With `recordings` these
    answer, whatever they are of, and the engines are for rules only. With `extensions` it answers
    what Bedrock would refuse. Not `alone`, other processes answer on the same port: what each
    of them would keep for itself is refused, metrics are those of all with `metrics_folder`, and
    it is not ready before `others_ready`. `doors` are whom the service's own routes answer: on
    loopback, unless told otherwise. Rules over HTTP may take their pace from `paces`. `following`
    runs as long as the service does, and reads the file of rules again when it changes.
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
        task = asyncio.create_task(following()) if following else None
        try:
            yield State(services=services)
        finally:
            if task:
                task.cancel()
            observed.close()
            services.threads.close()
            await engines.close()
            if invocation_log:
                await invocation_log.close()

    names = {route.name for route in ROUTES}
    door = Door(
        REPLAYED if recordings else ROUTES,
        {} if recordings else QUICK,
        CountedCalls(observed.calls, names),
        invocation_log,
    )
    own = OwnRoutes(OPEN, _control(control, alone), doors or Doors())
    return Service(services, door, own, lifespan=lifespan)


def _control(control: bool, alone: bool) -> list[OwnRoute]:  # noqa: FBT001 - see create_app
    return (CONTROL if alone else NOT_ALONE) if control else []
