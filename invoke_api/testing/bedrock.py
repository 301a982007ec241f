"""The `Bedrock` object, by which a test sets rules and reads the journal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload
from urllib.parse import quote, urlsplit

from invoke_api.testing.journal_entry import JournalEntry
from invoke_api.testing.rule_types import Break, ExceptionName, Pace, Rule, Turn, When
from invoke_api.testing.sessions import shared_session

if TYPE_CHECKING:  # of the packages types-boto3-...; without them, clients have no type
    from types_boto3_bedrock import BedrockClient
    from types_boto3_bedrock_runtime import BedrockRuntimeClient
    from types_boto3_sagemaker_runtime import SageMakerRuntimeClient

DEFAULT_REGION = "us-east-1"
MISTRAL_7B = "mistral.mistral-7b-instruct-v0:2"

# Variables that override those of `Bedrock.environment`.
OVERRIDING_VARIABLES = (
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
    """The service at `url`, with the rules and calls of one access key.

    The rules that were set last are tried first. Methods raise `ValueError` for an invalid rule.
    """

    url: str
    model: str = MISTRAL_7B
    access_key_id: str = field(default_factory=_fresh_key)
    secret_access_key: str = "test"  # noqa: S105 - it is not checked
    region: str = DEFAULT_REGION

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that make every AWS SDK call this service with this key."""
        return {
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.url,
            "AWS_ENDPOINT_URL_BEDROCK": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def reply(
        self,
        *replies: str | Turn,
        times: int | None = None,
        pace: Pace | None = None,
        **when: Unpack[When],
    ) -> None:
        """Answer with these replies in order; the last one repeats.

        A reply is a text, or `{"text": ..., "tool_calls": [{"name": ..., "arguments": ...}]}`.
        `when` limits the rule: `prompt`, `model_id`, `operation`, ... (docs/test/rules.md).
        """
        self._add({"reply": list(replies), "times": times, "pace": pace, "when": when})

    def fail(
        self,
        exception: ExceptionName | Break,
        *,
        message: str | None = None,
        after_tokens: int | None = None,
        reply: str | None = None,
        retry_after: int | None = None,
        times: int | None = None,
        **when: Unpack[When],
    ) -> None:
        """Fail with this exception, or with the break `cut`, `torn_frame` or `hang`.

        It fails before the first byte, or in a stream after `after_tokens` tokens of `reply`.
        `retry_after` is in milliseconds.
        """
        kind = "break" if exception in ("cut", "torn_frame", "hang") else "exception"
        more = {"message": message, "after_tokens": after_tokens, "retry_after": retry_after}
        fault = {kind: exception, **_given(more)}
        self._add({"reply": reply, "fault": fault, "times": times, "when": when})

    def rule(self, **document: Unpack[Rule]) -> None:
        """Add a rule with the keys of docs/test/rules.md."""
        self._add(document)

    def _add(self, document: Mapping[str, object]) -> None:
        self._ask("POST", "rules", {**_given(document), "scope": self.access_key_id})

    def stand_in(self, access_key_id: str) -> None:
        """Have calls with another access key count as calls with this one, until `reset`."""
        self._ask("POST", "aliases", {"alias": access_key_id, "access_key_id": self.access_key_id})

    @property
    def requests(self) -> list[JournalEntry]:
        """Return the calls so far, oldest first."""
        return self._requests(f"?scope={quote(self.access_key_id)}")

    def requests_of_others(self) -> list[JournalEntry]:
        """Return the calls that other access keys made, oldest first."""
        return [call for call in self._requests() if call.access_key_id != self.access_key_id]

    def explain(self, *, everybody: bool = False) -> list[str]:
        """Return in lines why rules applied to the last calls, or did not.

        These are the calls of this key, or with `everybody` all calls.
        """
        scope = "" if everybody else f"?scope={quote(self.access_key_id)}"
        report: list[str] = self._ask("GET", f"explain{scope}")["report"]
        return report

    def reset(self) -> None:
        """Delete the rules, calls and application inference profiles of this key."""
        self._ask("POST", f"reset?scope={quote(self.access_key_id)}")

    @overload
    def client(
        self, service: Literal["bedrock-runtime"] = ..., **options: object
    ) -> "BedrockRuntimeClient": ...

    @overload
    def client(self, service: Literal["bedrock"], **options: object) -> "BedrockClient": ...

    @overload
    def client(
        self, service: Literal["sagemaker-runtime"], **options: object
    ) -> "SageMakerRuntimeClient": ...

    @overload
    def client(self, service: str, **options: object) -> Any: ...  # noqa: ANN401 - boto3's

    def client(self, service: str = "bedrock-runtime", **options: object) -> Any:
        """Return a boto3 client that calls this service with this key."""
        keys = {
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "region_name": self.region,
            "endpoint_url": self.url,
        }
        return shared_session().client(service, **{**keys, **options})

    def sagemaker(self, **options: object) -> "SageMakerRuntimeClient":
        """Return a boto3 client of SageMaker Runtime that calls this service with this key."""
        return self.client("sagemaker-runtime", **options)

    def openai(self, **options: Any) -> Any:  # noqa: ANN401 - the package's
        """Return an `openai.OpenAI` that calls the OpenAI API here, with this key.

        Raises `ModuleNotFoundError` unless the package openai is installed.
        """
        from openai import OpenAI  # noqa: PLC0415 - most tests do without it

        return OpenAI(**{"base_url": f"{self.url}/v1", "api_key": self.access_key_id, **options})

    def _requests(self, query: str = "") -> list[JournalEntry]:
        return [JournalEntry.of(call) for call in self._ask("GET", f"requests{query}")["requests"]]

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
