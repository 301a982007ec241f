"""The trials by name: what each breaks, and what must hold. Numbers that the tests use, too."""

from typing import NamedTuple


class Trial(NamedTuple):
    """A row of docs/reliability.md."""

    broken: str
    holds: str


HANG_UPS = 1_000  # as many as the journal keeps
SURPLUS = 100
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
SOON = 20.0  # seconds within which others are answered, on any machine
FILES = 200  # that a service may have open
TOO_MANY = 600
IDLE = 2_000
SLOW_HEADS = 200
DRIPPING = 200
DEAF = 100
BETWEEN = 200
# Seconds until a connection that gets nowhere must have been closed: the limits in force
# (invoke_api/transport/limits.py), and a quarter of a minute for a machine that is busy.
IDLE_SECONDS, HEAD_SECONDS, BODY_SECONDS = 90.0, 35.0, 140.0
PATIENCE = 141.0  # seconds that slow clients stay at most

SECRETS = "each kind of call with a secret in every place that takes one"
KEPT = "in log, journal, metrics or invocation log; answers quote signatures only, as AWS's do"

TRIALS = {
    "hang-ups": Trial(
        "clients hang up in mid-stream: half over HTTP/1.1, half reset an HTTP/2 stream",
        "`cancelled` in journal and metrics, once each; files and tasks as before",
    ),
    "hang-ups-surplus": Trial(
        "clients hang up that have sent a byte more than their request", "likewise"
    ),
    "sigterm": Trial(
        "calls under way when SIGTERM comes, a tenth of which would last for minutes",
        "a whole answer, or `ServiceUnavailableException`; the process ends with status 0",
    ),
    "sigkill": Trial(
        "SIGKILL under the load of 40 callers, and a start on the same port",
        "it answers again; no answer is torn and looks whole; no torn line in the invocation log",
    ),
    "halves": Trial(
        "every prefix of a request, then the end of the client's side, or a reset",
        "none is answered as a request; whole requests are answered afterwards",
    ),
    "splits": Trial(
        "a request in two packets, split at every byte, and another request behind it",
        "two answers, each its own",
    ),
    "resets": Trial(
        "HTTP/2 streams of one connection, each opened and reset at once",
        f"others are answered within {SOON:g} s; nothing stays under way",
    ),
    "long-lived": Trial("requests on one connection of HTTP/2", "each is answered"),
    "cuts": Trial(
        "HTTP/2 streams that a rule cuts before their first byte, one after the other",
        "each is reset at once",
    ),
    "patterns": Trial(
        "calls under a rule whose pattern takes other engines exponential time, `^(a+)+$`",
        f"each is answered within {SOON:g} s",
    ),
    "bombs": Trial(
        "documents and images of a few KB that unfold, from clients that leave",
        f"others are answered within {SOON:g} s; memory is bounded; nothing stays under way",
    ),
    "workers": Trial(
        "workers of `--workers 2` killed under load", "each is replaced; calls are answered"
    ),
    "full-disk": Trial(
        "calls while the disk of the invocation log takes no more",
        "each is answered; no line is torn; the service's own log stays short",
    ),
    "recorders-tape": Trial(
        "`invoke-api record` killed while it writes to a folder", "all recordings can be read"
    ),
    "recorders-tape.json": Trial(
        "the same with one file for all, which it goes on with", "all recordings can be read"
    ),
    "faults": Trial(
        f"callers at once, with two rules of {FAULTS} faults each",
        f"exactly {FAULTS} of each fault in client, journal and metrics",
    ),
    "files": Trial(
        f"connections to a service that may open {FILES} files",
        "those that were there are served on, all are served afterwards, the log stays short",
    ),
    "idle": Trial(
        "connections that say nothing, or nothing more", f"closed within {IDLE_SECONDS:g} s"
    ),
    "slow-heads": Trial(
        "heads of requests that come byte by byte", f"closed within {HEAD_SECONDS:g} s"
    ),
    "dripping": Trial(
        "bodies of requests that come byte by byte", f"ended within {BODY_SECONDS:g} s"
    ),
    "deaf": Trial(
        "clients that read nothing of a long stream, over HTTP/1.1 and HTTP/2",
        "their calls are ended after a minute, in the engine as well; memory is bounded",
    ),
    "between": Trial("calls while all of the former are there", "each is answered"),
    "rules": Trial(
        "rules given and taken under the load of 16 callers",
        "each answer is a rule's or the engine's, whole, and the journal says whose",
    ),
    "secrets-none": Trial(f"{SECRETS}, `--auth none`", f"no secret {KEPT}"),
    "secrets-sigv4": Trial(f"{SECRETS}, `--auth sigv4`", f"no secret {KEPT}"),
    "secrets-any": Trial(f"{SECRETS}, `--auth any`", f"no secret {KEPT}"),
    "secrets-recorded": Trial(
        f"{SECRETS}, through `invoke-api record`",
        "no secret of the caller's or the operator's in recordings or log",
    ),
}
