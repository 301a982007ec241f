"""Signatures, compared with AWS's published vectors."""

import json
from pathlib import Path
from typing import Any

import pytest

from invoke_api.wire.errors import IncompleteSignatureException
from invoke_api.wire.sigv4 import (
    canonical_request,
    parse_authorization,
    parse_scope,
    sign,
    string_to_sign,
)

# awslabs/aws-c-auth, tests/aws-signing-test-suite/v4 (Apache 2.0), merged into one file.
VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "sigv4.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_signature_is_the_one_that_aws_computes(vector: dict[str, Any]) -> None:
    authorization = parse_authorization(vector["authorization"])
    canonical = canonical_request(
        method=vector["method"],
        path=vector["path"].encode(),
        query=vector["query"].encode(),
        headers=[tuple(pair) for pair in vector["headers"]],
        signed_headers=authorization.signed_headers,
        payload_hash=vector["canonical_request"].rsplit("\n", 1)[1],
        normalize=vector["normalize"],
    )
    text = string_to_sign(canonical, vector["timestamp"], authorization.scope)

    assert canonical == vector["canonical_request"]
    assert text == vector["string_to_sign"]
    assert sign(vector["secret"], authorization.scope, text) == vector["signature"]
    assert authorization.signature == vector["signature"]


def test_an_encoded_path_is_encoded_once_more() -> None:
    canonical = canonical_request(
        method="POST",
        path=b"/model/mistral.mistral-7b-instruct-v0%3A2/invoke",
        query=b"",
        headers=[],
        signed_headers=(),
        payload_hash="",
    )

    assert canonical.split("\n")[1] == "/model/mistral.mistral-7b-instruct-v0%253A2/invoke"


def test_the_parts_of_a_header_may_stand_in_any_order_and_spacing() -> None:
    authorization = parse_authorization(
        "AWS4-HMAC-SHA256 Signature=ab,SignedHeaders=host;x-amz-date,  Credential=a/b/c/d/e"
    )

    assert authorization.signature == "ab"
    assert authorization.signed_headers == ("host", "x-amz-date")
    assert authorization.scope == parse_scope("a/b/c/d/e")


def test_a_scope_has_five_elements() -> None:
    with pytest.raises(IncompleteSignatureException, match="got 'a/b'"):
        parse_scope("a/b")
