"""What whoever records wants: the flags of `invoke-api record`, as a frozen `RecordSettings`."""

import re
from dataclasses import dataclass
from pathlib import Path

import click

from invoke_api.authentication.web_pages import Doors, is_loopback
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.server.flags import (
    allowed_host_option,
    host_option,
    log_option,
    not_hosts,
    port_option,
)


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
    allowed_host: tuple[str, ...]
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
        for is_so, sentence in not_hosts(self.allowed_host):
            if is_so:
                raise click.UsageError(sentence)

    @property
    def doors(self) -> Doors:
        """Whom the recorder signs calls for: no web page at all, it has none of its own."""
        return Doors(
            host=self.host,
            allowed=frozenset(self.allowed_host),
            checks_host=not self.allow_anonymous,
            has_pages=False,
        )


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
    allowed_host_option,
    log_option,
)
