"""Limits of connections: what a client may send, how long it may take, how many there may be.

The numbers are guesses about AWS's front door, which tells none; each says what it rests on.
"""

from dataclasses import dataclass

HEAD_BYTES = 65_536  # of one request, over HTTP/1.1 and HTTP/2; eight times what nginx takes
PIPELINED_BYTES = 1_048_576  # bodies of requests that wait for the answer to the one before
PIPELINED_REQUESTS = 64
# Framing may cost so many bytes beside the body: chunk sizes, chunk extensions, trailers.
FRAMING_BYTES = 1_048_576
LINGER_SECONDS = 2.0  # between the refusal of a request and the end of its connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits that an operator or a test may set. All times are in seconds.

    `head` is the time from the first byte of a head to its last, also of a TLS handshake. `body` is
    the time from the end of the head to the end of the body. `idle` is how long a connection may be
    open without a request. `connections` counts all of them, `per_address` those of one client.
    """

    head: float = 20.0  # as nginx's client_header_timeout, but less: heads are one packet
    body: float = 120.0  # 25 MB at 1.7 Mbit/s
    idle: float = 75.0
    connections: int = 10_000
    per_address: int = 5_000
