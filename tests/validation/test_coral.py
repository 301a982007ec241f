"""Converse's schema, compared with botocore's service model, and Coral's error messages."""

import json
from typing import Any

import pytest

from invoke_api.validation.coral import CoralSchema
from invoke_api.validation.queries import LIST_INFERENCE_PROFILES, check_query
from invoke_api.wire.errors import InvokeError
from invoke_api.yaml_files import load_schema
from tests.support.modelled import OPERATIONS
from tests.validation.service_model import to_schema

USER = {"role": "user", "content": [{"text": "Hi"}]}
IN_THE_PATH = frozenset({"modelId", "guardrailIdentifier", "guardrailVersion"})
MUST = "failed to satisfy constraint: Member must"
KEYS = (
    "text, image, document, video, audio, toolUse, toolResult, guardContent, cachePoint,"
    " reasoningContent, citationsContent, searchResult, toolAddition, toolRemoval"
)


@pytest.fixture(scope="module")
def schema() -> CoralSchema:
    return CoralSchema(load_schema("converse.json"))


@pytest.mark.parametrize(
    ("file", "operation"),
    [
        ("apply_guardrail.json", "ApplyGuardrail"),
        ("converse.json", "ConverseStream"),
        ("count_tokens.json", "CountTokens"),
        ("create_inference_profile.json", "CreateInferenceProfile"),
        ("list_tags_for_resource.json", "ListTagsForResource"),
        ("logging_configuration.json", "PutModelInvocationLoggingConfiguration"),
        ("tag_resource.json", "TagResource"),
        ("untag_resource.json", "UntagResource"),
    ],
)
def test_a_schema_is_the_service_models(file: str, operation: str) -> None:
    shape = OPERATIONS[operation].input_shape
    ours = load_schema(file)
    for key in ("$schema", "title", "description"):
        del ours[key]

    theirs = to_schema(shape, without=IN_THE_PATH)
    for member in ("guardrailIdentifier", "guardrailVersion"):  # what breaks these is not Coral's
        theirs["properties"].get("guardrailConfig", {}).get("properties", {}).get(member, {}).pop(
            "pattern", None
        )

    assert ours == theirs


def test_both_operations_take_the_same() -> None:
    one, other = (
        to_schema(OPERATIONS[name].input_shape) for name in ("Converse", "ConverseStream")
    )
    # A stream's guardrailConfig has one more member.
    for made in (one, other):
        del made["properties"]["guardrailConfig"]
        paths = made["properties"]["additionalModelResponseFieldPaths"]
        paths.pop("title", None)

    assert one == other


def test_members_that_are_null_or_unknown_are_not_there(schema: CoralSchema) -> None:
    body = {"messages": [USER], "system": None, "inferenceConfig": {"topP": None}, "foo": 1}

    assert schema.parse(json.dumps(body).encode()) == {
        "messages": [USER],
        "inferenceConfig": {},
    }


def test_all_violations_of_a_configuration_are_named() -> None:
    configuration = {"s3Config": {}, "cloudWatchConfig": {"logGroupName": ""}}
    with pytest.raises(InvokeError) as caught:
        CoralSchema(load_schema("logging_configuration.json")).parse(
            json.dumps({"loggingConfig": configuration}).encode()
        )

    assert caught.value.message == (
        "3 validation errors detected:"
        f" Value at 'loggingConfig.cloudWatchConfig.logGroupName' {MUST} have length greater"
        " than or equal to 1;"
        f" Value at 'loggingConfig.cloudWatchConfig.roleArn' {MUST} not be null;"
        f" Value at 'loggingConfig.s3Config.bucketName' {MUST} not be null"
    )


@pytest.mark.parametrize(
    ("value", "constraint"),
    [
        ("0", "have value greater than or equal to 1"),
        ("1001", "have value less than or equal to 1000"),
        ("many", "be an integer"),
    ],
)
def test_numbers_have_bounds(value: str, constraint: str) -> None:
    with pytest.raises(InvokeError, match=f"Value '{value}' at 'maxResults' .* {constraint}"):
        check_query(LIST_INFERENCE_PROFILES, {"maxResults": value})


def test_a_document_keeps_its_nulls(schema: CoralSchema) -> None:
    use = {"toolUse": {"toolUseId": "a", "name": "f", "input": {"a": None, "b": [None]}}}
    body = {"messages": [{"role": "assistant", "content": [use]}]}

    assert schema.parse(json.dumps(body).encode()) == body


def tool(name: str) -> dict[str, Any]:
    return {"toolSpec": {"name": name, "inputSchema": {"json": {}}}}


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"messages": 7}, "NUMBER_VALUE can not be converted to a List"),
    ({"messages": [{"role": "user", "content": "Hi"}]}, "STRING_VALUE can not be converted to a"),
    ({"messages": [USER], "system": {"text": "a"}}, "Start of structure or map found where not"),
    ({"inferenceConfig": {"maxTokens": True}}, "TRUE_VALUE can not be converted to an Integer"),
    ({"inferenceConfig": {"topP": [1]}}, "Start of list found where not expected."),
    (
        {"messages": [{"role": "user", "content": [{}]}]},
        f"ContentBlock object at messages.0.content.0 must set one of the following keys: {KEYS}.",
    ),
    (
        {"messages": [{"role": "bot", "content": []}]},
        (
            f"1 validation error detected: Value at 'messages.1.member.role' {MUST} satisfy"
            " enum value set: [user, assistant, system]"
        ),
    ),
    (
        {"inferenceConfig": {"temperature": 32424.0}},
        (
            "1 validation error detected: Value at 'inferenceConfig.temperature'"
            f" {MUST} have value less than or equal to 1"
        ),
    ),
    (
        {"inferenceConfig": {"maxTokens": 0}, "messages": [{"role": "user"}]},
        (
            f"2 validation errors detected: Value at 'messages.1.member.content' {MUST} not be"
            f" null; Value at 'inferenceConfig.maxTokens' {MUST} have value greater than or"
            " equal to 1"
        ),
    ),
    (
        {"toolConfig": {"tools": []}},
        f"Value at 'toolConfig.tools' {MUST} have length greater than or equal to 1",
    ),
    (
        {"toolConfig": {"tools": [tool("a b")]}},
        (
            f"Value at 'toolConfig.tools.1.member.toolSpec.name' {MUST} satisfy regular"
            " expression pattern: [a-zA-Z0-9_-]+"
        ),
    ),
    ({"toolConfig": {"tools": [tool("a" * 65)]}}, "have length less than or equal to 64"),
    ({"system": [{"text": ""}]}, "Value at 'system.1.member.text' failed to satisfy"),
    ({"requestMetadata": {}}, f"Value at 'requestMetadata' {MUST} have length greater than or"),
]


@pytest.mark.parametrize(("body", "sentence"), MISTAKES)
def test_a_mistake_has_corals_words(
    schema: CoralSchema, body: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvokeError) as caught:
        schema.parse(json.dumps(body).encode())

    assert sentence in caught.value.message
    assert caught.value.status == 400


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"messages":[],"messages":[]}'])
def test_what_is_no_json_object_can_not_be_read(schema: CoralSchema, body: bytes) -> None:
    with pytest.raises(InvokeError) as caught:
        schema.parse(body)

    assert caught.value.code == "SerializationException"


def test_no_body_is_an_empty_one(schema: CoralSchema) -> None:
    assert schema.parse(b"") == {}
