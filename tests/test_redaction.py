"""Redaction of headers, paths and texts: what is hidden, and what is kept."""

import ast
import re
from pathlib import Path

import pytest

from invoke_api.authentication.credentials import load_credentials
from invoke_api.cassettes.matcher import DECISIVE_HEADERS, to_comparable
from invoke_api.redaction import (
    REDACTED,
    redact_text,
    redacted_headers,
    secrets_of,
    without_signature,
)
from invoke_api.yaml_files import ConfigError
from tests.support.servers import ROOT

SIGNED = (
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261130/us-east-1/bedrock/aws4_request,"
    " SignedHeaders=host;x-amz-date, Signature=0123456789abcdef"
)

QUERY = "X-Amz-Signature=fedcba98"


def hide(name: str, value: str) -> str:
    [(_, shown)] = redacted_headers([(name.encode(), value.encode())])
    return shown


def test_a_signature_keeps_its_scope_and_loses_its_key() -> None:
    shown = hide("authorization", SIGNED)

    assert shown == SIGNED.replace("AKIDEXAMPLE", REDACTED).replace("0123456789abcdef", REDACTED)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("Bearer ABSKsecret", f"Bearer {REDACTED}"),
        ("Basic dXNlcjpwYXNz", f"Basic {REDACTED}"),
        ("ABSKsecret", REDACTED),
        ("my-key is-two-words", REDACTED),
        (SIGNED.replace("Signature=", "Sig="), REDACTED),
        ("", REDACTED),
    ],
)
def test_any_other_authorization_keeps_a_known_scheme_at_most(value: str, shown: str) -> None:
    assert hide("authorization", value) == shown


@pytest.mark.parametrize(
    "name",
    [
        *("x-amz-security-token", "cookie", "proxy-authorization", "x-api-key", "api-key"),
        *("x-goog-api-key", "x-auth-token", "x-amz-signature", "x-amz-credential", "x-session-id"),
        *("x-forwarded-authorization", "x-goog-iap-jwt-assertion", "x-amzn-oidc-data"),
        *("ocp-apim-subscription-key", "x-forwarded-client-cert", "x-password"),
    ],
)
def test_a_header_whose_name_says_secret_is_hidden(name: str) -> None:
    assert hide(name, "anything") == REDACTED


@pytest.mark.parametrize(
    "value",
    [
        *("AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "ABSKQmVkcm9ja0FQSUtleQ=="),
        *("bedrock-api-key-YmVkcm9jay5hbWF6", "Bearer opensesame", "sk-proj-0123456789abcdef"),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    ],
)
def test_a_value_that_looks_like_a_key_is_hidden_under_any_name(value: str) -> None:
    assert hide("x-anything", f"before {value} after") == f"before {REDACTED} after"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-type", "application/json"),
        ("user-agent", "Boto3/1.44 md/Botocore#1.44 ua/2.1 os/linux#6 lang/python#3.11"),
        ("amz-sdk-invocation-id", "6a1b4c0e-6f0e-4a63-9d4f-7c1f8d1e2a3b"),
        ("amz-sdk-request", "attempt=1; max=5"),
        ("x-amz-date", "20261130T160000Z"),
        ("x-amz-content-sha256", "0" * 64),
        ("x-amzn-trace-id", "Root=1-67891233-abcdef012345678912345678"),
        ("x-amzn-bedrock-request-metadata", '{"team": "blue"}'),
        *((name, "abcdef123456") for name in DECISIVE_HEADERS),
    ],
)
def test_what_a_test_looks_at_stays(name: str, value: str) -> None:
    assert hide(name, value) == value


def test_a_sentence_that_quotes_a_secret_is_cleaned() -> None:
    headers = [
        (b"authorization", SIGNED.replace(",", ", x,").encode()),
        (b"x-amz-security-token", b"the/session+token="),
        (b"cookie", b"id=a-session-of-somebody; theme=dark"),
    ]
    signed = headers[0][1].decode()
    sentence = f"no pair in '{signed}', the/session+token=, id=a-session-of-somebody, ?a=b&{QUERY}"

    assert redact_text(sentence, secrets_of(headers)) == (
        f"no pair in '{REDACTED}', {REDACTED}, {REDACTED}, ?a=b&X-Amz-Signature={REDACTED}"
    )


def test_short_words_are_not_looked_for() -> None:
    assert secrets_of([(b"cookie", b"a; the")]) == set()


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/model/a/invoke?X-Amz-Signature=abc&X-Amz-Credential=AKID%2F1", "/model/a/invoke"),
        ("/model/a/invoke?%58-Amz-Signature=abc", "/model/a/invoke"),
        ("/x?AWSAccessKeyId=AKID&Signature=abc&Expires=1", "/x?Expires=1"),
        ("/x?api_key=abc&access_token=d", "/x"),
        (
            "/foundation-models?nextToken=abc&maxResults=3",
            "/foundation-models?nextToken=abc&maxResults=3",
        ),
    ],
)
def test_a_path_loses_its_signature_and_nothing_else(path: str, kept: str) -> None:
    assert without_signature(path) == kept


def test_a_presigned_call_finds_the_recording_that_was_kept_without_its_signature() -> None:
    path = "/model/a/invoke?x=1&X-Amz-Signature=abc"

    assert to_comparable("POST", path, [], b"{}") == to_comparable(
        "POST", without_signature(path), [], b"{}"
    )


@pytest.mark.parametrize("value", ["*s3cret-value", "!s3cret-value x", "'s3cret-value"])
def test_a_broken_credentials_file_is_not_quoted(value: str, tmp_path: Path) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(f"access_keys:\n  - access_key_id: AKID\n    secret_access_key: {value}\n")
    file.chmod(0o600)

    with pytest.raises(ConfigError) as caught:
        load_credentials(file)
    assert "s3cret" not in str(caught.value)


SECRET_WORD = re.compile(r"secret|signature|token\b|api_key\b|password", re.IGNORECASE)
COMPARED = [
    *(ROOT / "invoke_api" / "authentication").glob("*.py"),
    *(ROOT / "invoke_api" / "recording").glob("*.py"),
    ROOT / "invoke_api" / "wire" / "sigv4.py",
]
NO_SECRETS = {"key == name", "signed < now - SKEW", "signed > now + SKEW"}


def test_no_secret_is_compared_in_a_time_that_tells_of_it() -> None:
    # `==`, `!=` and `in` stop at the first character that differs.
    found = [
        f"{path.name}: {text}"
        for path in COMPARED
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn)
        and SECRET_WORD.search(text := ast.unparse(node))
        and text not in NO_SECRETS
    ]

    assert found == []
