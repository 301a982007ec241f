"""The settings of `invoke-api record`, read from its flags."""

import re
from dataclasses import dataclass
from pathlib import Path

import click

from invoke_api.authentication.web_pages import BrowserAccess, is_loopback
from invoke_api.models.identifiers import PARTITIONS
from invoke_api.server.flags import (
    allowed_host_option,
    host_mistakes,
    host_option,
    log_format_option,
    log_level_option,
    port_option,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSettings:
    """All settings of `invoke-api record`. Raises `click.UsageError` for an invalid one."""

    to: Path
    upstream: str | None
    region: str | None
    profile: str | None
    host: str
    port: int
    allow_anonymous: bool
    allowed_host: tuple[str, ...]
    log_format: str
    log_level: str

    def __post_init__(self) -> None:
        if not self.allow_anonymous and not is_loopback(self.host):
            raise click.UsageError(
                f"With --host {self.host} every client that reaches this machine could call AWS"
                " with your credentials; set --allow-anonymous to allow that."
            )
        if self.upstream and not re.fullmatch(r"https?://[^/?#]+/?", self.upstream):
            raise click.UsageError("--upstream must be a URL without a path: https://HOST[:PORT]")
        if self.region is not None and self.region not in PARTITIONS:
            raise click.UsageError(f"AWS has no region {self.region!r}.")
        for is_wrong, sentence in host_mistakes(self.allowed_host):
            if is_wrong:
                raise click.UsageError(sentence)

    @property
    def browser_access(self) -> BrowserAccess:
        """Return the access rules of the recorder, which signs no calls of web pages."""
        return BrowserAccess(
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
        help="Folder for one file per call, or a .json file for all calls.",
    ),
    click.option("--upstream", help="Base URL to send calls to. Default: AWS."),
    click.option(
        "--region", help="Region of every call. Default: the region that the call is signed for."
    ),
    click.option("--profile", help="AWS profile to sign calls with. Default: as for boto3."),
    host_option,
    port_option,
    click.option("--allow-anonymous", is_flag=True, help="Allow listening beyond loopback."),
    allowed_host_option,
    log_format_option,
    log_level_option,
)
