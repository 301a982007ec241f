"""The Starlette application: its routes, and the lifetime of the engines."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from invoke_api.authentication.gate import Gate
from invoke_api.authentication.web_pages import BrowserAccess
from invoke_api.cassettes.matcher import CassetteLibrary, Replay
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.control.calls import call, calls, recording
from invoke_api.control.engines import engines as engine_cards
from invoke_api.control.explanations import explain_call, explain_calls
from invoke_api.control.health import health, ready
from invoke_api.control.metrics import metrics
from invoke_api.control.models import models
from invoke_api.control.openapi import openapi_route
from invoke_api.control.page import page, page_file
from invoke_api.control.routes import METRICS_PATH, REQUEST_ID, EmulatorRoute, EmulatorRoutes
from invoke_api.control.rules_and_journal import aliases, one_worker_only, requests, reset, rules
from invoke_api.guardrails.guardrail import GuardrailStore
from invoke_api.models.endpoint_resources import Resources
from invoke_api.models.engine_pool import Engines
from invoke_api.models.profiles import ApplicationProfiles
from invoke_api.models.quotas import Quotas
from invoke_api.models.registry import Registry
from invoke_api.observability.access_log import AccessLog
from invoke_api.observability.invocation_log import InvocationLog
from invoke_api.observability.journal import Journal
from invoke_api.observability.log_configurations import (
    OPERATOR_CONFIGURATION,
    LoggingConfigurations,
)
from invoke_api.observability.metrics import Metrics
from invoke_api.observability.tracing import Tracing
from invoke_api.openai.routes import OPENAI_ROUTES
from invoke_api.operations.apply_guardrail import apply_guardrail
from invoke_api.operations.count_tokens import count_tokens
from invoke_api.operations.model_operations import MODEL_HANDLERS
from invoke_api.operations.not_offered import NOT_OFFERED
from invoke_api.operations.routes import CONTROL_PLANE
from invoke_api.pipeline.count_calls import CallCounter
from invoke_api.pipeline.operations_app import OperationsApp
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.pipeline.routes import OperationRoute
from invoke_api.pipeline.services import Services
from invoke_api.pipeline.thread_pool import ThreadPools
from invoke_api.replay.operation import REPLAY_ROUTES
from invoke_api.rules.rule_book import RuleBook
from invoke_api.sagemaker.control_plane import OPERATIONS as SAGEMAKER_CONTROL_PLANE
from invoke_api.sagemaker.routes import SAGEMAKER_ROUTES


class LifespanState(TypedDict):
    """The contents of `request.state`."""

    services: Services


# Routes that need no key.
PUBLIC_ROUTES = [
    EmulatorRoute("/_emulator/health", health),
    EmulatorRoute("/_emulator/ready", ready),
    EmulatorRoute(METRICS_PATH, metrics),
]
# The page, where the control routes are. Its files need no key; what it shows does.
PAGE_ROUTES = [
    EmulatorRoute("/_emulator/", page, for_pages=True),
    EmulatorRoute("/_emulator", page, for_pages=True),
    EmulatorRoute("/_emulator/page/{file}", page_file),
]
# Operations of AWS that the service implements.
IMPLEMENTED_ROUTES = [
    *(
        OperationRoute(f"/model/{{model_id:path}}/{step}", handler, name=name, method="POST")
        for step, (name, handler) in MODEL_HANDLERS.items()
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
OPERATION_ROUTES = IMPLEMENTED_ROUTES + NOT_OFFERED
ALL_ROUTES = OPERATION_ROUTES + OPENAI_ROUTES + SAGEMAKER_ROUTES
# Routes with which tests set replies and read the journal. They may need an operator's key.
CONTROL_ROUTES = [
    EmulatorRoute("/_emulator/rules", rules, ("GET", "HEAD", "POST", "DELETE")),
    EmulatorRoute("/_emulator/requests", requests, ("GET", "HEAD", "DELETE")),
    EmulatorRoute("/_emulator/explain", explain_calls),
    EmulatorRoute(f"/_emulator/explain/{REQUEST_ID}", explain_call),
    EmulatorRoute("/_emulator/aliases", aliases, ("GET", "HEAD", "POST")),
    EmulatorRoute("/_emulator/reset", reset, ("POST",)),
    EmulatorRoute("/_emulator/calls", calls),
    EmulatorRoute(f"/_emulator/calls/{REQUEST_ID}", call),
    EmulatorRoute(f"/_emulator/recordings/{REQUEST_ID}", recording),
    EmulatorRoute("/_emulator/engines", engine_cards),
    EmulatorRoute("/_emulator/models", models),
]
CONTROL_REFUSALS = [
    EmulatorRoute(route.path, one_worker_only, ("GET", "POST", "PUT", "DELETE"))
    for route in CONTROL_ROUTES
]


class EmulatorApp(Starlette):
    """The application. It serves the emulator's own routes; `door` serves AWS's operations."""

    def __init__(
        self,
        services: Services,
        door: OperationsApp,
        own: EmulatorRoutes,
        **more: Any,  # noqa: ANN401 - Starlette's own
    ) -> None:
        super().__init__(**more)
        self._services = services
        self._door = door
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Some servers drop the lifespan's state, because it is an extension of ASGI.
        scope.setdefault("state", {}).setdefault("services", self._services)
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if not scope.get("raw_path"):  # optional in ASGI
            scope["raw_path"] = quote(scope["path"]).encode()
        if self._own.takes(scope):
            await self._own(scope, receive, send)
        else:
            await self._door(scope, receive, send)


def create_app(
    registry: Registry,
    engines: Engines,
    calls: InFlightCalls,
    *,
    gate: Gate | None = None,
    book: RuleBook | None = None,
    quotas: Quotas | None = None,
    control: bool = True,
    recordings: Replay | None = None,
    invocation_log: InvocationLog | None = None,
    access_log: AccessLog | None = None,
    tracing: Tracing | None = None,
    extensions: bool = False,
    guardrails: GuardrailStore | None = None,
    alone: bool = True,
    metrics_folder: Path | None = None,
    browser_access: BrowserAccess | None = None,
    paces: NamedRecordings | None = None,
    others_ready: Callable[[], bool] = lambda: True,
    following: Callable[[], Coroutine[None, None, None]] | None = None,
) -> Starlette:
    """Return the application. Its lifespan starts and closes the engines; `calls` tracks each call.

    With `control`, tests can set rules and read the journal over HTTP. With `recordings` every call
    is replayed, and the engines only serve rules. With `extensions` it answers some calls that
    Bedrock refuses. Without `alone`, other processes share the port: the routes for rules and
    journal are refused, `metrics_folder` has the metrics of all processes, and the service is not
    ready before `others_ready`. `browser_access` protects the service's own routes; the default
    allows loopback hosts only. `paces` are recordings whose timing rules over HTTP may use.
    `following` runs as long as the service, and reloads the file of rules when it changes.
    """
    observed = Metrics(engines.items(), metrics_folder, calls.waiting)
    configurations = LoggingConfigurations(OPERATOR_CONFIGURATION if invocation_log else None)
    services = Services(
        registry=registry,
        engines=engines,
        calls=calls,
        gate=gate or Gate(),
        rules=RuleBook() if book is None else book,
        journal=Journal() if control else Journal(max_calls=0),
        quotas=quotas or Quotas(),
        guardrails=guardrails or GuardrailStore(),
        profiles=ApplicationProfiles(),
        endpoints=registry.endpoints,
        resources=Resources(),
        replay=recordings or Replay(CassetteLibrary(()), is_on=False),
        paces=paces or NamedRecordings(),
        logging=configurations,
        metrics=observed,
        threads=ThreadPools(),
        extensions=extensions,
        alone=alone,
        others_ready=others_ready,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[LifespanState]:
        if tracing:
            tracing.start()
        engines.start()
        observed.start()
        task = asyncio.create_task(following()) if following else None
        try:
            yield LifespanState(services=services)
        finally:
            if task:
                task.cancel()
            observed.close()
            services.threads.close()
            await engines.close()
            if invocation_log:
                await invocation_log.close()
            if access_log:
                await access_log.close()
            if tracing:
                await asyncio.to_thread(tracing.close)

    names = {route.name for route in ALL_ROUTES} | set(SAGEMAKER_CONTROL_PLANE)
    door = OperationsApp(
        REPLAY_ROUTES if recordings else ALL_ROUTES,
        {} if recordings else MODEL_HANDLERS,
        CallCounter(observed.calls, names),
        invocation_log=invocation_log,
        access_log=access_log,
        tracing=tracing,
    )
    open_ = PUBLIC_ROUTES + (PAGE_ROUTES if control else [])
    own = EmulatorRoutes(
        [*open_, openapi_route(open_ + (CONTROL_ROUTES if control and alone else []))],
        _control(control, alone),
        browser_access or BrowserAccess(),
    )
    return EmulatorApp(services, door, own, lifespan=lifespan)


def _control(control: bool, alone: bool) -> list[EmulatorRoute]:  # noqa: FBT001 - see create_app
    return (CONTROL_ROUTES if alone else CONTROL_REFUSALS) if control else []
