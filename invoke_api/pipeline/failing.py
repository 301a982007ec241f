"""Answers to calls that have failed, for the client and for the record."""

from invoke_api.pipeline.call import Call, Told
from invoke_api.pipeline.in_flight import ClientLeft
from invoke_api.pipeline.replies import Reply, cut_reply, error_reply, json_reply
from invoke_api.rules.playing import Broken
from invoke_api.wire.errors import InvokeError

UNKNOWN_OPERATION = "UnknownOperationException"
# Bedrock's answer, with status 200, to a path that it does not know.
UNKNOWN = (
    f'{{"Output":{{"__type":"com.amazon.coral.service#{UNKNOWN_OPERATION}"}},"Version":"1.0"}}'
).encode()


def tell(call: Call, error: InvokeError | ClientLeft | Broken) -> Reply | None:
    """Return the answer to a call that has failed, and note it; None where nobody is left."""
    if isinstance(error, ClientLeft):
        call.has_left = True
        if call.entry:  # of one that left before an engine had its call
            call.entry.end("cancelled")
        return None
    if isinstance(error, Broken):  # of a stream, its own frames have told
        return cut_reply(call)
    call.told = Told(error.code, error.status)
    if call.entry:
        call.entry.fail(error)
    return error_reply(call, error)


def tell_unknown(call: Call) -> Reply:
    """Return Bedrock's answer to a path or a method that belongs to no operation."""
    # With 200, CONNECT would open a tunnel (RFC 9110, 9.3.6).
    status = 400 if call.method == "CONNECT" else 200
    call.told = Told(UNKNOWN_OPERATION, status)
    return json_reply(call, UNKNOWN, status=status)
