"""Signing of calls with the operator's AWS credentials, which are found as boto3 finds them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError, ProfileNotFound
from botocore.tokens import ScopedEnvTokenProvider

from invoke_api.cassettes.asgi_messages import HOP_BY_HOP

# Headers of the caller's signature, and headers that belong to one connection.
DROPPED_HEADERS = {
    *("authorization", "host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"),
    *HOP_BY_HOP,
    *("connection", "proxy-authorization", "content-length", "expect", "cookie"),
}

Headers = list[tuple[str, str]]


class NoCredentials(LookupError):
    """An error: no credentials were found."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A signer for Bedrock: with an API key (`AWS_BEARER_TOKEN_BEDROCK`), otherwise with SigV4.

    `session` is botocore's. Call the methods in a thread: they may ask a credential service.
    """

    session: Any

    def check(self) -> None:
        """Check that there are credentials. Raises `NoCredentials`."""
        if self._token() is None and self.session.get_credentials() is None:
            raise NoCredentials(
                "no AWS credentials were found where the AWS SDKs look for them: set AWS_PROFILE,"
                " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_BEARER_TOKEN_BEDROCK"
            )

    def sign(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        region: str,
        *,
        service: str = "bedrock",
    ) -> Headers:
        """Return the headers to send: the caller's, without its signature, and the new signature.

        `service` is the name of the service in signatures; only Bedrock takes an API key. Raises
        botocore's errors if credentials can't be refreshed.
        """
        kept = [(name, value) for name, value in headers if name.lower() not in DROPPED_HEADERS]
        if service == "bedrock" and (token := self._token()) is not None:
            return [*kept, ("Authorization", f"Bearer {token}")]
        request = AWSRequest(method, url, dict(kept), body)
        found = self.session.get_credentials()
        if found is None:
            raise NoCredentialsError
        keys = found.get_frozen_credentials()
        SigV4Auth(keys, service, region).add_auth(request)
        return list(request.headers.items())

    def _token(self) -> str | None:
        # The session's own chain would also return tokens for other services.
        found = ScopedEnvTokenProvider(self.session).load_token(signing_name="bedrock")
        return None if found is None else str(found.token)


def open_session(profile: str | None) -> Any:  # noqa: ANN401 - botocore has no types
    """Return botocore's session. Raises `NoCredentials` for an unknown profile."""
    session = botocore.session.Session(profile=profile)
    try:
        session.get_scoped_config()
    except ProfileNotFound as error:
        raise NoCredentials(str(error)) from error
    return session
