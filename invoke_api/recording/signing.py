"""Calls signed anew with the operator's own AWS credentials, found as boto3 finds them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ProfileNotFound
from botocore.tokens import ScopedEnvTokenProvider

from invoke_api.cassettes.asgi_messages import HOP_BY_HOP

# What the caller's own signature was made of, and what belongs to one connection only.
DROPPED = {
    *("authorization", "host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"),
    *HOP_BY_HOP,
    *("connection", "proxy-authorization", "content-length", "expect", "cookie"),
}

Headers = list[tuple[str, str]]


class NoCredentials(LookupError):
    """Nothing to sign with."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for Bedrock with an API key (`AWS_BEARER_TOKEN_BEDROCK`), or else with SigV4.

    `session` is botocore's. Its methods may ask a credential service: not for the event loop.
    """

    session: Any

    def check(self) -> None:
        """Raises `NoCredentials`."""
        if self._token() is None and self.session.get_credentials() is None:
            raise NoCredentials(
                "no AWS credentials were found where the AWS SDKs look for them: set AWS_PROFILE,"
                " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK"
            )

    def sign(
        self, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, region: str
    ) -> Headers:
        """The headers to send: those of the caller that are no part of a signature, and ours.

        Raises botocore's errors where credentials can't be refreshed.
        """
        kept = [(name, value) for name, value in headers if name.lower() not in DROPPED]
        if (token := self._token()) is not None:
            return [*kept, ("Authorization", f"Bearer {token}")]
        request = AWSRequest(method, url, dict(kept), body)
        keys = self.session.get_credentials().get_frozen_credentials()
        SigV4Auth(keys, "bedrock", region).add_auth(request)
        return list(request.headers.items())

    def _token(self) -> str | None:
        # Not the session's own chain, which goes on to tokens of other services.
        found = ScopedEnvTokenProvider(self.session).load_token(signing_name="bedrock")
        return None if found is None else str(found.token)


def open_session(profile: str | None) -> Any:  # noqa: ANN401 - botocore has no types
    """Raises `NoCredentials` for an unknown profile."""
    session = botocore.session.Session(profile=profile)
    try:
        session.get_scoped_config()
    except ProfileNotFound as error:
        raise NoCredentials(str(error)) from error
    return session
