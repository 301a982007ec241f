"""What a test says to its Bedrock, and asks of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from secrets import token_hex
from typing import Any
from urllib.parse import quote, urlsplit

from invoke_api.testing.sessions import shared_session

REGION = "us-east-1"
SEVEN_B = "mistral.mistral-7b-instruct-v0:2"

# What would speak louder than the variables of `Bedrock.environment`.
LOUDER = (
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
)


def _fresh_key() -> str:
    return f"AKIA{token_hex(8).upper()}"


@dataclass(frozen=True, slots=True)
class Bedrock:
    """The service at `url` as the holder of one access key sees it: nobody else's rules and calls.

    Rules of later calls come before those of earlier ones. Methods raise `ValueError` for what can
    be no rule.
    """

    url: str
    model: str = SEVEN_B
    access_key_id: str = field(default_factory=_fresh_key)
    secret_access_key: str = "test"  # noqa: S105 - nobody checks it
    region: str = REGION

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every AWS SDK finds this service and calls with this key."""
        return {
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.url,
            "AWS_ENDPOINT_URL_BEDROCK": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def reply(
        self,
        *texts: str,
        times: int | None = None,
        pace: Mapping[str, float] | None = None,
        **when: object,
    ) -> None:
        """Answer with these texts in turn. `when` is `prompt`, `model_id`, `operation`, ..."""
        self.rule(reply=list(texts), times=times, pace=pace, when=when)

    def fail(
        self,
        exception: str,
        *,
        message: str | None = None,
        after_tokens: int | None = None,
        reply: str | None = None,
        retry_after: int | None = None,
        times: int | None = None,
        **when: object,
    ) -> None:
        """Fail with this exception, or with the break `cut`, `torn_frame` or `hang`.

        After so many tokens of this reply inside a stream, or before the first byte; `retry_after`
        is in milliseconds.
        """
        kind = "break" if exception in ("cut", "torn_frame", "hang") else "exception"
        more = {"message": message, "after_tokens": after_tokens, "retry_after": retry_after}
        self.rule(reply=reply, fault={kind: exception, **_given(more)}, times=times, when=when)

    def rule(self, **document: object) -> None:
        """Any rule, in the words of docs/test/rules.md."""
        self._ask("POST", "rules", {**_given(document), "scope": self.access_key_id})

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The calls so far, oldest first."""
        answer = self._ask("GET", f"requests?scope={quote(self.access_key_id)}")
        calls: list[dict[str, Any]] = answer["requests"]
        return calls

    def reset(self) -> None:
        """Forget the rules, the calls and the application inference profiles of this key."""
        self._ask("POST", f"reset?scope={quote(self.access_key_id)}")

    def client(self, service: str = "bedrock-runtime", **options: Any) -> Any:  # noqa: ANN401 - boto3's
        """A boto3 client that calls here, with this key."""
        keys = {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "region_name": self.region,
            "endpoint_url": self.url,
        }
        return shared_session().client(service, **{**keys, **options})

    def _ask(self, method: str, path: str, document: object = None) -> dict[str, Any]:
        connection = HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, f"/_emulator/{path}", body)
            response = connection.getresponse()
            answer: dict[str, Any] = json.load(response)
        finally:
            connection.close()
        if response.status >= 400:
            raise ValueError(answer["error"])
        return answer


def _given(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if value not in (None, {})}
