"""`/_emulator/health` and `/_emulator/ready`: the state of each model's engine."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from invoke_api.operations.services import services_of


async def health(request: Request) -> Response:
    """200 while this process answers, whatever its models do."""
    return JSONResponse({"models": _states(request)})


async def ready(request: Request) -> Response:
    """200 once every model takes calls, be it that the first one loads it, until the service is
    told to stop; 503 before and after.
    """
    services = services_of(request)
    takes_calls = all(engine.state().takes_calls for _, engine in services.engines.items())
    answer: dict[str, object] = {"models": _states(request)}
    if services.calls.are_last:
        answer = {"reason": "the service is told to stop", **answer}
    is_ready = takes_calls and not services.calls.are_last
    return JSONResponse(answer, status_code=200 if is_ready else 503)


def _states(request: Request) -> dict[str, dict[str, object]]:
    states: dict[str, dict[str, object]] = {}
    for model_id, engine in services_of(request).engines.items():
        state = engine.state()
        states[model_id] = {"status": state.status, "running": engine.running()}
        if state.waiting is not None:
            states[model_id]["waiting"] = state.waiting
        if state.reason:
            states[model_id]["reason"] = state.reason
        if state.retry_in is not None:
            states[model_id]["retry_in_seconds"] = round(state.retry_in, 1)
    return states
