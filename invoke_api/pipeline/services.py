"""The parts of the service that request handlers need."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from invoke_api.authentication.gate import Gate
from invoke_api.cassettes.matcher import Replay
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.guardrails.guardrail import GuardrailStore
from invoke_api.models.endpoint_resources import Resources
from invoke_api.models.endpoints import Endpoints
from invoke_api.models.engine_pool import Engines
from invoke_api.models.profiles import ApplicationProfiles
from invoke_api.models.quotas import Quotas
from invoke_api.models.registry import Registry
from invoke_api.observability.journal import Journal
from invoke_api.observability.log_configurations import LoggingConfigurations
from invoke_api.observability.metrics import Metrics
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.pipeline.thread_pool import ThreadPools
from invoke_api.rules.rule_book import RuleBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one process of the service.

    `extensions` switches on operations that Bedrock does not offer. `alone` is False if several
    processes serve the same port; `others_ready` tells whether the other ones are ready.
    """

    registry: Registry
    engines: Engines
    calls: InFlightCalls
    gate: Gate
    rules: RuleBook
    journal: Journal
    quotas: Quotas
    guardrails: GuardrailStore
    profiles: ApplicationProfiles
    replay: Replay
    paces: NamedRecordings
    endpoints: Endpoints
    resources: Resources
    logging: LoggingConfigurations
    metrics: Metrics
    threads: ThreadPools
    extensions: bool
    alone: bool
    others_ready: Callable[[], bool]


def services_of(request: Request) -> Services:
    """Return the services that the lifespan has put into the request's state."""
    services: Services = request.scope["state"]["services"]
    return services
