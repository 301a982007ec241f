"""The environment: what stands in it beside the flags, and what of it other processes get."""

import os
import re
import subprocess
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

import click

from invoke_api.authentication.api_keys import LONG_TERM
from invoke_api.authentication.credentials import AccessKey, ApiKey, Credentials

OURS = "INVOKE_API_"
# What Kubernetes sets for services whose names begin so: INVOKE_API_SERVICE_HOST, _PORT_80_TCP...
OF_KUBERNETES = re.compile(OURS + r"(\w+_)?(SERVICE_(HOST|PORT)|PORT(_\d|$))")
CLOSE = 0.75  # of two names, by difflib, without what all begin with: AUHT and AUTH are so close

# Secrets have no flags: the list of processes would show them to everybody.
KEY_VARIABLES = (
    "INVOKE_API_ACCESS_KEY_ID",
    "INVOKE_API_SECRET_ACCESS_KEY",
    "INVOKE_API_SESSION_TOKEN",
    "INVOKE_API_API_KEY",
)

# Of the server behind --engine remote, unless the registry names another variable.
REMOTE_KEY_VARIABLE = "INVOKE_API_REMOTE_API_KEY"


def keys_of_environment() -> Credentials:
    """The keys in `KEY_VARIABLES`. Raises `click.UsageError` for what can be no key."""
    key_id, secret, token, api_key = (os.environ.get(name) or None for name in KEY_VARIABLES)
    if (key_id is None) != (secret is None):
        raise click.UsageError(f"{KEY_VARIABLES[0]} and {KEY_VARIABLES[1]} go together.")
    if api_key and not api_key.startswith(LONG_TERM):
        raise click.UsageError(f"{KEY_VARIABLES[3]} must start with {LONG_TERM}, as AWS's keys do.")
    access_keys = {}
    if key_id and secret:
        access_keys[key_id] = AccessKey(
            access_key_id=key_id, secret_access_key=secret, session_token=token
        )
    return Credentials(access_keys, (ApiKey(api_key=api_key),) if api_key else ())


def remote_key(variable: str | None) -> str | None:
    """The API key in this variable, or in `REMOTE_KEY_VARIABLE` if there is one.

    Raises `click.UsageError` where a named one is not set, or holds what can be no key.
    """
    key = os.environ.get(variable or REMOTE_KEY_VARIABLE)
    if variable and not key:
        raise click.UsageError(f"The registry wants an API key in {variable}, which is not set.")
    if key and not re.fullmatch("[!-~]+", key):
        raise click.UsageError(f"The API key in {variable or REMOTE_KEY_VARIABLE} is not ASCII.")
    return key or None


def strange_variables(known: Collection[str]) -> Iterator[str]:
    """A sentence on each that is named like ours and unknown.

    Raises `click.UsageError` for a slip of the pen: it may have been to let nobody in.
    """
    for name in sorted(os.environ):
        if not name.startswith(OURS) or name in known or OF_KUBERNETES.match(name):
            continue
        # MODEL_ID and REMOTE_API_KEY_2 are names that somebody chose, and no slips.
        alike = (each for each in known if abs(len(each) - len(name)) <= 1)
        ends = [each.removeprefix(OURS) for each in alike if each.startswith(OURS)]
        if close := get_close_matches(name.removeprefix(OURS), ends, n=1, cutoff=CLOSE):
            raise click.UsageError(f"There is no variable {name}; did you mean {OURS}{close[0]}?")
        yield f"{name} is set, and there is no such variable"


def default_cache() -> Path:
    """Where the demo checkpoints are kept unless a flag says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "invoke-api"


@contextmanager
def handing_on(name: str, value: str) -> Iterator[None]:
    """Processes that are started meanwhile find this variable in their environment."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def run_with(command: Sequence[str], more: Mapping[str, str], without: Container[str] = ()) -> int:
    """The exit status of a command with more variables, and without some.

    Raises `OSError` if it can't be run.
    """
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return subprocess.run(command, env={**kept, **more}, check=False).returncode  # noqa: S603 - what the operator types
