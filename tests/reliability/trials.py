"""The trials by name: what each breaks and what must hold, with the numbers that tests use."""

from typing import NamedTuple


class Trial(NamedTuple):
    """A row of docs/reliability.md."""

    broken: str
    holds: str


HANG_UPS = 1_000  # as many as the journal keeps
SURPLUS_HANG_UPS = 100
TERMINATED = 120
KILLS = 3
CALLERS = 200
FAULTS = 77
CHANGES = 100
PATTERNS = 20
RESETS = 10_000
REQUESTS = 1_500
CUTS = 100
WORKERS_KILLED = 2
LOGGED = 400
RECORDERS_KILLED = 2
BOMBS = 8  # of each kind
MAX_WAIT_SECONDS = 20.0  # until other calls are answered, on any machine
MAX_OPEN_FILES = 200
CONNECTIONS = 600
IDLE = 2_000
SLOW_HEADS = 200
DRIPPING = 200
NON_READERS = 100
CALLS_MEANWHILE = 200
# Until a stalled connection must have been closed: the limits of invoke_api/transport/limits.py,
# and 15 seconds for a busy machine.
IDLE_SECONDS, HEAD_SECONDS, BODY_SECONDS = 90.0, 35.0, 140.0
SLOW_CLIENT_SECONDS = 141.0  # of a slow client, at most

SECRETS = "each kind of call with a secret in every place that takes one"
NOWHERE_KEPT = (
    "in log, journal, metrics or invocation log; answers quote signatures only, as AWS's do"
)

TRIALS = {
    "hang-ups": Trial(
        "clients disconnect in mid-stream: half over HTTP/1.1, half reset an HTTP/2 stream",
        "`cancelled` in journal and metrics, once each; files and tasks as before",
    ),
    "hang-ups-surplus": Trial(
        "clients disconnect that have sent one byte more than their request", "the same"
    ),
    "sigterm": Trial(
        "calls that run when SIGTERM comes; a tenth of them would last for minutes",
        "a whole answer, or `ServiceUnavailableException`; the process ends with status 0",
    ),
    "sigkill": Trial(
        "SIGKILL under the load of 40 callers, and a start on the same port",
        "it answers again; no torn answer looks complete; no torn line in the invocation log",
    ),
    "halves": Trial(
        "every prefix of a request, then a half-close or a reset",
        "none is answered as a request; complete requests are answered afterwards",
    ),
    "splits": Trial(
        "a request in two packets, split at every byte, followed by another request",
        "two answers, each to its own request",
    ),
    "resets": Trial(
        "HTTP/2 streams of one connection, each opened and reset at once",
        f"other clients are answered within {MAX_WAIT_SECONDS:g} s; no call keeps running",
    ),
    "long-lived": Trial("requests on one HTTP/2 connection", "each is answered"),
    "cuts": Trial(
        "HTTP/2 streams that a rule cuts before their first byte, one after another",
        "each is reset at once",
    ),
    "patterns": Trial(
        "calls that match a pattern which takes other regex engines exponential time, `^(a+)+$`",
        f"each is answered within {MAX_WAIT_SECONDS:g} s",
    ),
    "bombs": Trial(
        "documents and images of a few KB that unpack to far more, from clients that disconnect",
        f"other clients are answered within {MAX_WAIT_SECONDS:g} s; memory is bounded;"
        " no call keeps running",
    ),
    "workers": Trial(
        "workers of `--workers 2` killed under load", "each is replaced; calls are answered"
    ),
    "full-disk": Trial(
        "calls while the disk of the invocation log is full",
        "each is answered; no line is torn; the service's own log stays short",
    ),
    "recorders-tape": Trial(
        "`invoke-api record` killed while it writes to a folder", "all recordings can be read"
    ),
    "recorders-tape.json": Trial(
        "the same with one file for all calls, which the next recorder continues",
        "all recordings can be read",
    ),
    "faults": Trial(
        f"simultaneous callers, with two rules of {FAULTS} faults each",
        f"exactly {FAULTS} of each fault in client, journal and metrics",
    ),
    "files": Trial(
        f"connections to a service that may open {MAX_OPEN_FILES} files",
        "open connections are served, all are served afterwards, the log stays short",
    ),
    "idle": Trial(
        "connections without a request, or without another one", f"closed within {IDLE_SECONDS:g} s"
    ),
    "slow-heads": Trial(
        "heads of requests that arrive byte by byte", f"closed within {HEAD_SECONDS:g} s"
    ),
    "dripping": Trial(
        "bodies of requests that arrive byte by byte", f"ended within {BODY_SECONDS:g} s"
    ),
    "deaf": Trial(
        "clients that read nothing of a long stream, over HTTP/1.1 and HTTP/2",
        "their calls are ended after a minute, in the engine as well; memory is bounded",
    ),
    "between": Trial("calls during the four trials above", "each is answered"),
    "rules": Trial(
        "rules added and removed under the load of 16 callers",
        "each answer is complete and from a rule or the engine, and the journal says from which",
    ),
    "secrets-none": Trial(f"{SECRETS}, `--auth none`", f"no secret {NOWHERE_KEPT}"),
    "secrets-sigv4": Trial(f"{SECRETS}, `--auth sigv4`", f"no secret {NOWHERE_KEPT}"),
    "secrets-any": Trial(f"{SECRETS}, `--auth any`", f"no secret {NOWHERE_KEPT}"),
    "secrets-recorded": Trial(
        f"{SECRETS}, through `invoke-api record`",
        "no secret of the caller's or the operator's in recordings or log",
    ),
}
