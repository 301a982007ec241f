"""Run long work on a request in a thread, so that it does not block other calls."""

import sys
from collections.abc import Callable

from engine.uploads.call import CURRENT_SESSION, NO_UPLOADS, ReadWouldBlock, UploadSession
from invoke_api.authentication.gate import claims_in
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.thread_pool import Result

# Bodies up to this size are checked and tokenised on the event loop: about 1 ms of work.
MAX_INLINE_BYTES = 8_192
IN_THREAD = MAX_INLINE_BYTES + 1  # the size to pass for work that is always long
# The size to pass for a body with documents, images or audio, which may be large once decoded.
HAS_UPLOADS = sys.maxsize


def estimate_size(body: bytes) -> int:
    """Return the size to pass for the work on an InvokeModel or OpenAI body."""
    has_media = b"image_url" in body or b"input_audio" in body or b"audio_url" in body
    return HAS_UPLOADS if has_media else len(body)


async def offload(call: Call, size: int, work: Callable[[], Result]) -> Result:
    """Return the result of work on a body of `size` bytes, in a thread if it may take long.

    If the work finds uploads, it is repeated in the pool for uploads: the bytes of a body do not
    tell reliably whether it has uploads, because JSON can escape any name. Raises
    `ClientDisconnected`, `ThrottlingException`, and `ServiceUnavailableException` when the service
    ends.
    """
    services = call.services
    try:
        if size <= MAX_INLINE_BYTES:
            token = CURRENT_SESSION.set(NO_UPLOADS)  # work with uploads raises `ReadWouldBlock`
            try:
                return work()
            finally:
                CURRENT_SESSION.reset(token)
        if size != HAS_UPLOADS:
            running = services.threads.bodies.run(caller_key(call), None, work)
            return await services.calls.wait(call.writer, running)
    except ReadWouldBlock:
        pass
    call.uploads = call.uploads or UploadSession()
    running = services.threads.uploads.run(caller_key(call), call.uploads, work)
    return await services.calls.wait(call.writer, running)


def caller_key(call: Call) -> str:
    """Return the name under which a call's threads are counted, before it is authenticated.

    It includes the client's address, so that a forged key can't use up another caller's threads.
    """
    address, _ = call.scope.get("client") or ("", 0)
    return f"{address} {claims_in(call.headers).access_key_id}"
