"""The one error handler: what a client is told where its call has no answer."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ExceptionHandler

from invoke_api.operations.client import ClientLeft, read_body
from invoke_api.operations.counted import UNKNOWN_OPERATION, Told
from invoke_api.operations.replies import CutReply, Nothing, Reply, error_reply
from invoke_api.rules.playing import Broken
from invoke_api.wire.errors import InternalServerException, InvokeError, ValidationException

# What Bedrock answers, with status 200, to a path that it does not know.
UNKNOWN = (
    f'{{"Output":{{"__type":"com.amazon.coral.service#{UNKNOWN_OPERATION}"}},"Version":"1.0"}}'
).encode()


async def answer_expected(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientLeft):
        request.scope["has_left"] = True
        if "entry" in request.scope:  # of one that left before an engine had its call
            request.scope["entry"].end("cancelled")
        return Nothing()
    if isinstance(error, Broken):  # of a stream, its own frames have told
        return CutReply(request)
    assert isinstance(error, InvokeError)
    request.scope["told"] = Told(error.code, error.status)
    if "entry" in request.scope:
        request.scope["entry"].fail(error)
    return error_reply(request, error)


async def answer_bug(request: Request, _: Exception) -> Response:
    return await answer_expected(request, InternalServerException())


async def _answer_unknown(request: Request, _: Exception) -> Response:
    try:
        await read_body(request)  # an answer before its end would cut off who is sending it
    except ValidationException:
        pass  # too large
    except (InvokeError, ClientLeft) as error:
        return await answer_expected(request, error)
    # With 200, CONNECT would open a tunnel (RFC 9110, 9.3.6).
    status = 400 if request.method == "CONNECT" else 200
    request.scope["told"] = Told(UNKNOWN_OPERATION, status)
    request.scope["operation"] = ""  # also where another method of the path is one
    return Reply(request, UNKNOWN, status=status)


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    InvokeError: answer_expected,
    ClientLeft: answer_expected,
    Broken: answer_expected,
    404: _answer_unknown,
    405: _answer_unknown,
    Exception: answer_bug,
}
