"""Limits of connections: sizes of requests, times, and the number of connections.

The numbers are guesses, because AWS documents none for its front end. Comments name their sources.
"""

from dataclasses import dataclass

MAX_HEAD_BYTES = 65_536  # of a request, over HTTP/1.1 and HTTP/2; eight times nginx's default
MAX_PIPELINED_BYTES = 1_048_576  # bodies of requests that wait for the answer to an earlier one
MAX_PIPELINED_REQUESTS = 64
# Bytes of a request beside its body: chunk sizes, chunk extensions, trailers.
MAX_FRAMING_BYTES = 1_048_576
LINGER_SECONDS = 2.0  # between the refusal of a request and the closing of its connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits that an operator or a test may set. All times are in seconds.

    `head` is the time from the first byte of a head to its last. It is also the time of a TLS
    handshake. `body` is the time from the end of the head to the end of the body. `idle` is how
    long a connection may be open without a request. `connections` limits all connections of a
    process, `per_address` those of one client address.
    """

    head: float = 20.0  # as nginx's client_header_timeout, but less: heads are one packet
    body: float = 120.0  # 25 MB at 1.7 Mbit/s
    idle: float = 75.0
    connections: int = 10_000
    per_address: int = 5_000
