"""The trials by name: what each breaks, and what must hold. Numbers that the tests use, too."""

from typing import NamedTuple


class Trial(NamedTuple):
    """A row of docs/reliability.md."""

    broken: str
    holds: str


SECRETS = "each kind of call with a secret in every place that takes one"
KEPT = "in neither log, journal, metrics nor invocation log"

TRIALS = {
    "secrets-none": Trial(f"{SECRETS}, `--auth none`", f"no secret {KEPT}"),
    "secrets-sigv4": Trial(f"{SECRETS}, `--auth sigv4`", f"no secret {KEPT}"),
    "secrets-any": Trial(f"{SECRETS}, `--auth any`", f"no secret {KEPT}"),
    "secrets-recorded": Trial(
        f"{SECRETS}, through `invoke-api record`",
        "no secret of the caller's or the operator's in recordings or log",
    ),
}
