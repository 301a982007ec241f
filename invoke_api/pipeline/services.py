"""The parts of the service, for the code that answers its requests."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from invoke_api.authentication.gate import Gate
from invoke_api.cassettes.matcher import Replay
from invoke_api.cassettes.named_cassettes import NamedRecordings
from invoke_api.guardrails.guardrail import Shelf
from invoke_api.models.engine_pool import Engines
from invoke_api.models.profiles import ApplicationProfiles
from invoke_api.models.quotas import Quotas
from invoke_api.models.registry import Registry
from invoke_api.observability.journal import Journal
from invoke_api.observability.log_configurations import LoggingConfigurations
from invoke_api.observability.metrics import Metrics
from invoke_api.pipeline.request_body import Calls
from invoke_api.pipeline.thread_pool import SharedThreads
from invoke_api.rules.rule_book import RuleBook


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    registry: Registry
    engines: Engines
    calls: Calls
    gate: Gate
    rules: RuleBook
    journal: Journal
    quotas: Quotas
    guardrails: Shelf
    profiles: ApplicationProfiles
    replay: Replay
    paces: NamedRecordings
    logging: LoggingConfigurations
    metrics: Metrics
    threads: SharedThreads
    extensions: bool
    alone: bool  # or one of several processes on the same port
    others_ready: Callable[[], bool]  # whether these are


def services_of(request: Request) -> Services:
    """Return what the lifespan has put into the state of each request."""
    services: Services = request.scope["state"]["services"]
    return services
