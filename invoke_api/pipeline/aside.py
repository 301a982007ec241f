"""Work that may take long, done where it keeps nobody else waiting."""

import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar

from starlette.requests import Request

from engine.uploads.call import CURRENT, NOWHERE, Call, ReadElsewhere
from invoke_api.authentication.gate import claimed_key
from invoke_api.operations.services import services_of
from invoke_api.operations.threads import Threads
from invoke_api.wire.errors import ServiceUnavailableException

T = TypeVar("T")

# Bodies above this many bytes are checked and tokenised in a thread: about 1 ms of work.
LONG_BODY = 8_192
UPLOADS = sys.maxsize  # of a body with documents, images or audio: however short, it may hide much


async def aside(request: Request, size: int, work: Callable[[], T]) -> T:
    """Return the result of work on a body of so many bytes, in a thread if it may take long.

    If it turns out to have uploads, it is done again where these are read: a name in JSON can be
    written in so many ways that no look at the bytes tells. Raises `ClientLeft`,
    `ThrottlingException`, and `ServiceUnavailableException` when the service ends.
    """
    try:
        if size <= LONG_BODY:
            return _here(work)
        if size != UPLOADS:
            return await _in_thread(request, services_of(request).threads.bodies, None, work)
    except ReadElsewhere:
        pass
    call = request.scope.setdefault("uploads", Call())
    return await _in_thread(request, services_of(request).threads.uploads, call, work)


def _here(work: Callable[[], T]) -> T:
    """Raises `ReadElsewhere`."""
    token = CURRENT.set(NOWHERE)
    try:
        return work()
    finally:
        CURRENT.reset(token)


async def _in_thread(
    request: Request, threads: Threads, call: Call | None, work: Callable[[], T]
) -> T:
    calls = services_of(request).calls
    running = threads.run(caller_of(request), call, work)
    try:
        return await calls.unless_client_leaves(request.receive, running)
    except asyncio.CancelledError:
        if not calls.ending:
            raise
        raise ServiceUnavailableException from None


def caller_of(request: Request) -> str:
    """Return whom a call is counted for, before it is known whether the key is right.

    Nobody can take away another's share with a key that is not theirs: the address counts, too.
    """
    headers = request.scope["headers"]
    authorization = next((value for name, value in headers if name == b"authorization"), b"")
    address, _ = request.scope.get("client") or ("", 0)
    return f"{address} {claimed_key(authorization.decode('latin-1'))}"
