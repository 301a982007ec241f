"""Environment variables: keys, typos in names, and variables for child processes."""

import logging
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
from invoke_api.observability import log_format
from invoke_api.observability.tracing import GRPC as OTLP_GRPC
from invoke_api.observability.tracing import HTTP as OTLP_HTTP

PREFIX = "INVOKE_API_"
# The configuration of vLLM's logging for --log-format json.
VLLM_LOGS = Path(log_format.__file__).with_name("vllm_logs.json")
# Kubernetes sets these for a service named invoke-api: INVOKE_API_SERVICE_HOST, _PORT_80_TCP...
KUBERNETES_VARIABLES = re.compile(PREFIX + r"(\w+_)?(SERVICE_(HOST|PORT)|PORT(_\d|$))")
# By difflib, of two names without their prefix. AUHT and AUTH reach it.
TYPO_SIMILARITY = 0.75

# Secrets have no flags, because the list of processes would show them.
KEY_VARIABLES = (
    "INVOKE_API_ACCESS_KEY_ID",
    "INVOKE_API_SECRET_ACCESS_KEY",
    "INVOKE_API_SESSION_TOKEN",
    "INVOKE_API_API_KEY",
)

# The key of the server for --engine remote, unless the registry names another variable.
REMOTE_KEY_VARIABLE = "INVOKE_API_REMOTE_API_KEY"

# OpenTelemetry's variables that tell whether and how spans are exported; its SDK reads the others.
OTEL_VARIABLES = (
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
)


def keys_of_environment() -> Credentials:
    """Return the keys in `KEY_VARIABLES`. Raises `click.UsageError` for an invalid key."""
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
    """Return the API key in this variable. Default: `REMOTE_KEY_VARIABLE`, which may be unset.

    Raises `click.UsageError` if a named variable is not set, or if the key is invalid.
    """
    key = os.environ.get(variable or REMOTE_KEY_VARIABLE)
    if variable and not key:
        raise click.UsageError(f"The registry names {variable} for an API key; set it.")
    if key and not re.fullmatch("[!-~]+", key):
        raise click.UsageError(f"The API key in {variable or REMOTE_KEY_VARIABLE} is not ASCII.")
    return key or None


def unknown_variables(known: Collection[str]) -> Iterator[str]:
    """Yield a warning for each unknown variable with our prefix.

    Raises `click.UsageError` for a likely typo, which could disable authentication.
    """
    for name in sorted(os.environ):
        if not name.startswith(PREFIX) or name in known or KUBERNETES_VARIABLES.match(name):
            continue
        # Names such as MODEL_ID and REMOTE_API_KEY_2 differ too much in length to be typos.
        alike = (each for each in known if abs(len(each) - len(name)) <= 1)
        ends = [each.removeprefix(PREFIX) for each in alike if each.startswith(PREFIX)]
        if close := get_close_matches(name.removeprefix(PREFIX), ends, n=1, cutoff=TYPO_SIMILARITY):
            raise click.UsageError(f"There is no variable {name}; did you mean {PREFIX}{close[0]}?")
        yield f"{name} is set, but Invoke API has no such variable"


def set_up_vllm_logs(form: str, log_level: str) -> None:
    """Give the log of vLLM's processes this format and level, unless the operator has set them.

    vLLM reads both from the environment (0.26 to 0.33), in each of its processes.
    """
    levels = log_format.LEVELS[log_level]
    if log_level != "info":  # otherwise an engine's own default applies
        os.environ.setdefault("VLLM_LOGGING_LEVEL", logging.getLevelName(levels.libraries))
    if form == "json":
        os.environ.setdefault("VLLM_LOGGING_CONFIG_PATH", str(VLLM_LOGS))


def otlp_protocol() -> str | None:
    """Return the protocol by which spans are exported; None if no exporter is configured.

    OpenTelemetry's default exporter is OTLP, so each program would look for a collector on this
    machine. Here a variable must name OTLP, or an endpoint. Raises `click.UsageError` for values
    that are not supported.
    """
    named = {name: os.environ.get(name, "").strip() for name in OTEL_VARIABLES}
    disabled, exporter, *places, own, common = named.values()
    if disabled.lower() == "true" or exporter == "none" or not (exporter or any(places)):
        return None
    if exporter not in ("", "otlp"):
        raise click.UsageError(f"OTEL_TRACES_EXPORTER must be otlp or none, not {exporter!r}.")
    protocol = own or common or OTLP_HTTP
    if protocol not in (OTLP_GRPC, OTLP_HTTP):
        name = OTEL_VARIABLES[-2 if own else -1]
        raise click.UsageError(f"{name} must be {OTLP_GRPC} or {OTLP_HTTP}, not {protocol!r}.")
    return protocol


def default_cache() -> Path:
    """Return the default folder of the demo checkpoints."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "invoke-api"


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Set a variable for child processes that are started in the body of the `with` statement."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def run_command(
    command: Sequence[str], more: Mapping[str, str], without: Container[str] = ()
) -> int:
    """Run a command with additional variables and without some. Return its exit status.

    Raises `OSError` if it can't be run.
    """
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return subprocess.run(command, env={**kept, **more}, check=False).returncode  # noqa: S603 - the operator's own command
