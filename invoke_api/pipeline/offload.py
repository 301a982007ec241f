"""Work that may take long, done where it keeps nobody else waiting."""

import sys
from collections.abc import Callable
from typing import TypeVar

from engine.uploads.call import CURRENT, NOWHERE, ReadElsewhere
from engine.uploads.call import Call as Uploads
from invoke_api.authentication.gate import claimed_key
from invoke_api.pipeline.call import Call

T = TypeVar("T")

# Bodies above this many bytes are checked and tokenised in a thread: about 1 ms of work.
LONG_BODY = 8_192
UPLOADS = sys.maxsize  # of a body with documents, images or audio: however short, it may hide much


async def aside(call: Call, size: int, work: Callable[[], T]) -> T:
    """Return the result of work on a body of so many bytes, in a thread if it may take long.

    If it turns out to have uploads, it is done again where these are read: a name in JSON can be
    written in so many ways that no look at the bytes tells. Raises `ClientLeft`,
    `ThrottlingException`, and `ServiceUnavailableException` when the service ends.
    """
    services = call.services
    try:
        if size <= LONG_BODY:
            return _here(work)
        if size != UPLOADS:
            running = services.threads.bodies.run(caller_of(call), None, work)
            return await services.calls.wait(call.writer, running)
    except ReadElsewhere:
        pass
    call.uploads = call.uploads or Uploads()
    running = services.threads.uploads.run(caller_of(call), call.uploads, work)
    return await services.calls.wait(call.writer, running)


def _here(work: Callable[[], T]) -> T:
    """Raises `ReadElsewhere`."""
    token = CURRENT.set(NOWHERE)
    try:
        return work()
    finally:
        CURRENT.reset(token)


def caller_of(call: Call) -> str:
    """Return whom a call is counted for, before it is known whether the key is right.

    Nobody can take away another's share with a key that is not theirs: the address counts, too.
    """
    address, _ = call.scope.get("client") or ("", 0)
    return f"{address} {claimed_key(call.authorization)}"
