"""`/_emulator/health` and `/_emulator/ready`, with the state of each model's engine."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from invoke_api.control.responses import error_answer
from invoke_api.pipeline.services import services_of


async def health(request: Request, _: bytes) -> Response:
    """Answer 200 as long as this process runs, whatever the state of its models."""
    return JSONResponse({"models": _states(request)})


async def ready(request: Request, _: bytes) -> Response:
    """Answer 200 while the models of --ready-when accept calls, else 503.

    One that loads on demand accepts them. `?model=` asks for one model instead, of this process.
    Answer 503 once the service has received a signal to stop. With several workers, answer 200 only
    if all of them are ready, because a load balancer knows only the port that they share.
    """
    services = services_of(request)
    states = _states(request)
    asked = request.query_params.getlist("model")
    if unknown := [each for each in asked if each not in states]:
        known = ", ".join(states)
        return error_answer(
            f"There is no model {unknown[0][:100]!r}; there are {known}.", status=404
        )
    answer: dict[str, object] = {"models": {each: states[each] for each in asked or states}}
    engines = services.engines
    is_ready = all(map(engines.accepts_calls, asked)) if asked else engines.accept_calls()
    if services.calls.are_draining:
        is_ready, answer = False, {"reason": "the service is stopping", **answer}
    elif is_ready and not asked and not services.others_ready():
        is_ready, answer = False, {"reason": "another worker is not ready", **answer}
    return JSONResponse(answer, status_code=200 if is_ready else 503)


def _states(request: Request) -> dict[str, dict[str, object]]:
    states: dict[str, dict[str, object]] = {}
    engines = services_of(request).engines
    for model_id, engine in engines.items():
        state = engine.state()
        states[model_id] = {"status": state.status, "running": engine.running()}
        if stand_in := engines.stand_in(model_id):
            states[model_id]["stand_in"] = stand_in
        if state.waiting is not None:
            states[model_id]["waiting"] = state.waiting
        if state.reason:
            states[model_id]["reason"] = state.reason
        if state.retry_in is not None:
            states[model_id]["retry_in_seconds"] = round(state.retry_in, 1)
    return states
