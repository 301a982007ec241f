"""The tables of constraints, compared with botocore's service model."""

import botocore.session
import pytest

from invoke_api.pipeline.admission import SERVICE_TIERS
from invoke_api.validation import constraints, queries
from invoke_api.validation.constraints import MEMBERS, Member
from tests.support.modelled import OPERATIONS

# Bedrock, not Coral, refuses values that break the patterns of these.
OWN_WORDS = {"guardrailIdentifier", "guardrailVersion"}
MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")


@pytest.mark.parametrize("operation", ["InvokeModel", "InvokeModelWithResponseStream"])
@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_member_is_constrained_as_modelled(operation: str, member: Member) -> None:
    shape = MODEL.operation_model(operation).input_shape.members[member.name]

    assert shape.serialization["name"] == (member.header or member.name)
    assert (shape.enum or []) == list(member.enum)
    if member.name not in OWN_WORDS:
        assert shape.metadata.get("pattern", "") == member.pattern
    assert shape.metadata.get("min", 0) == member.minimum
    assert shape.metadata.get("max") == member.maximum
    assert shape.metadata.get("sensitive", False) == member.is_sensitive


def test_every_modelled_header_is_known() -> None:
    shape = MODEL.operation_model("InvokeModel").input_shape
    modelled = {m.serialization["name"] for m in shape.members.values() if m.serialization}
    known = {member.header or member.name for member in MEMBERS}

    assert modelled - known == {"Content-Type", "Accept", "X-Amzn-Bedrock-Service-Tier"}


def test_service_tiers_are_those_of_the_model() -> None:
    assert MODEL.shape_for("ServiceTierType").enum == list(SERVICE_TIERS)


def test_metadata_is_constrained_as_modelled() -> None:
    shape = MODEL.shape_for("RequestMetadata")

    assert shape.metadata["max"] == constraints.MAX_METADATA_ENTRIES
    assert shape.key.metadata["pattern"] == constraints.METADATA_KEY
    assert shape.value.metadata["pattern"] == constraints.METADATA_VALUE


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("ListFoundationModels", queries.LIST_FOUNDATION_MODELS),
        ("GetFoundationModel", queries.GET_FOUNDATION_MODEL),
        ("GetFoundationModelAvailability", queries.GET_FOUNDATION_MODEL_AVAILABILITY),
        ("ListInferenceProfiles", queries.LIST_INFERENCE_PROFILES),
        ("GetInferenceProfile", queries.GET_INFERENCE_PROFILE),
        ("DeleteInferenceProfile", queries.DELETE_INFERENCE_PROFILE),
        ("GetProvisionedModelThroughput", queries.GET_PROVISIONED),
        ("ListProvisionedModelThroughputs", queries.LIST_PROVISIONED),
        ("GetImportedModel", queries.GET_IMPORTED),
        ("ListImportedModels", queries.LIST_IMPORTED),
        ("GetCustomModelDeployment", queries.GET_DEPLOYMENT),
        ("ListCustomModelDeployments", queries.LIST_DEPLOYMENTS),
        ("CountTokens", queries.COUNT_TOKENS),
    ],
)
def test_paths_and_queries_are_constrained_as_modelled(
    operation: str, members: dict[str, Member]
) -> None:
    modelled = {
        shape.serialization["name"]: (name, shape)
        for name, shape in OPERATIONS[operation].input_shape.members.items()
        if shape.serialization.get("location") in ("uri", "querystring")
    }

    assert set(members) == set(modelled)
    for key, member in members.items():
        name, shape = modelled[key]
        assert (member.name, list(member.enum)) == (name, shape.metadata.get("enum", []))
        assert shape.metadata.get("pattern", "") == member.pattern
        assert shape.metadata.get("min", 0) == member.minimum
        assert shape.metadata.get("max") == member.maximum
