"""What whoever records wants: the flags of `invoke-api record`, as a frozen `RecordSettings`."""

import re
from dataclasses import dataclass
from pathlib import Path

import click

from invoke_api.identifiers import PARTITIONS
from invoke_api.settings import host_option, is_loopback, log_option, port_option


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """Everything it can be told. Raises `click.UsageError` for a contradiction."""

    to: Path
    upstream: str | None
    region: str | None
    profile: str | None
    host: str
    port: int
    allow_anonymous: bool
    log_format: str

    def __post_init__(self) -> None:
        if not self.allow_anonymous and not is_loopback(self.host):
            raise click.UsageError(
                f"On {self.host} anybody who reaches this machine could call AWS in your name;"
                " --allow-anonymous if that is what you want."
            )
        if self.upstream and not re.fullmatch(r"https?://[^/?#]+/?", self.upstream):
            raise click.UsageError("--upstream is a URL without a path: https://HOST[:PORT]")
        if self.region is not None and self.region not in PARTITIONS:
            raise click.UsageError(f"AWS has no region {self.region!r}.")


RECORD_OPTIONS = (
    click.option(
        "--to",
        required=True,
        type=click.Path(path_type=Path),
        help="A folder, for a file each call; or a file that ends with .json, for all.",
    ),
    click.option("--upstream", help="Where calls go on to, in place of AWS: https://HOST[:PORT]"),
    click.option("--region", help="For every call, in place of the one that it is signed for."),
    click.option("--profile", help="The profile of AWS's configuration to sign with."),
    host_option,
    port_option,
    click.option("--allow-anonymous", is_flag=True, help="Listen beyond loopback."),
    log_option,
)
