"""`/_emulator/ready`: one model, or the models that matter to the service."""

import json
from collections.abc import Sequence

import pytest

from engine.protocol import EngineState
from invoke_api.models.engine_pool import Engines
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from invoke_api.pipeline.request_body import InFlightCalls
from invoke_api.server.app import create_app
from tests.support.servers import MIXTRAL, SEVEN_B, app_running, call, invoke
from tests.support.stubs import StubEngine

FAILED = EngineState("failed", "no such folder")


def ask(path: str, ready_when: Sequence[str] = ("all",)) -> tuple[int, dict[str, object]]:
    """Return the answer of a service whose Mixtral has failed and whose Mistral 7B is ready."""
    registry = load_registry(DEFAULT_REGISTRY).only([SEVEN_B, MIXTRAL])
    engines = {SEVEN_B: StubEngine([" a"]), MIXTRAL: StubEngine(state=FAILED)}
    calls = InFlightCalls()
    app = create_app(registry, Engines(engines, ready_when=ready_when), calls)
    with app_running(app, calls) as url:
        response, body = call(url, "GET", path)
        served, _ = invoke(url, {"prompt": "Hi"}, SEVEN_B)

    assert served.status == 200  # whatever the others do
    return response.status, json.loads(body)


@pytest.mark.parametrize(
    ("ready_when", "status"),
    [(["all"], 503), (["any"], 200), ([SEVEN_B], 200), ([MIXTRAL], 503), ([SEVEN_B, MIXTRAL], 503)],
)
def test_the_service_is_ready_when_the_models_that_matter_are(
    ready_when: list[str], status: int
) -> None:
    answered, body = ask("/_emulator/ready", tuple(ready_when))

    assert answered == status
    assert set(body["models"]) == {SEVEN_B, MIXTRAL}  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("query", "status", "listed"),
    [
        (f"model={SEVEN_B}", 200, {SEVEN_B}),
        (f"model={MIXTRAL}", 503, {MIXTRAL}),
        (f"model={SEVEN_B}&model={MIXTRAL}", 503, {SEVEN_B, MIXTRAL}),
    ],
)
def test_a_model_is_asked_for_by_its_id(query: str, status: int, listed: set[str]) -> None:
    answered, body = ask(f"/_emulator/ready?{query}")

    assert answered == status
    assert set(body["models"]) == listed  # type: ignore[call-overload]


def test_a_model_that_is_not_served_is_404_with_those_that_are() -> None:
    answered, body = ask("/_emulator/ready?model=mistral.none")

    assert answered == 404
    assert body == {"error": f"There is no model 'mistral.none'; there are {SEVEN_B}, {MIXTRAL}."}


def test_liveness_asks_for_no_model() -> None:
    assert ask("/_emulator/health", (MIXTRAL,))[0] == 200


@pytest.mark.parametrize("query", ["", f"?model={SEVEN_B}"])
def test_a_service_that_stops_is_not_ready_for_any_model(query: str) -> None:
    registry = load_registry(DEFAULT_REGISTRY).only([SEVEN_B])
    calls = InFlightCalls()
    calls.are_draining = True
    app = create_app(registry, Engines({SEVEN_B: StubEngine()}), calls)
    with app_running(app, calls) as url:
        response, body = call(url, "GET", f"/_emulator/ready{query}")

    assert response.status == 503
    assert json.loads(body)["reason"] == "the service is stopping"
