"""The table of constraints, held against botocore's service model."""

import botocore.session
import pytest

from invoke_api.operations.options import TIERS
from invoke_api.validation import request_metadata
from invoke_api.validation.constraints import MEMBERS, Member

MODEL = botocore.session.get_session().get_service_model("bedrock-runtime")


@pytest.mark.parametrize("operation", ["InvokeModel", "InvokeModelWithResponseStream"])
@pytest.mark.parametrize("member", MEMBERS, ids=lambda member: member.name)
def test_a_member_is_constrained_as_modelled(operation: str, member: Member) -> None:
    shape = MODEL.operation_model(operation).input_shape.members[member.name]

    assert shape.serialization["name"] == (member.header or member.name)
    assert (shape.enum or []) == list(member.enum)
    assert shape.metadata.get("pattern", "") == member.pattern
    assert shape.metadata.get("min", 0) == member.shortest
    assert shape.metadata.get("max") == member.longest
    assert shape.metadata.get("sensitive", False) == member.is_sensitive


def test_every_modelled_header_is_known() -> None:
    shape = MODEL.operation_model("InvokeModel").input_shape
    modelled = {m.serialization["name"] for m in shape.members.values() if m.serialization}
    known = {member.header or member.name for member in MEMBERS}

    assert modelled - known == {"Content-Type", "Accept", "X-Amzn-Bedrock-Service-Tier"}


def test_service_tiers_are_those_of_the_model() -> None:
    assert MODEL.shape_for("ServiceTierType").enum == list(TIERS)


def test_metadata_is_constrained_as_modelled() -> None:
    shape = MODEL.shape_for("RequestMetadata")

    assert shape.metadata["max"] == request_metadata.MOST
    assert shape.key.metadata["pattern"] == request_metadata.KEY
    assert shape.value.metadata["pattern"] == request_metadata.VALUE
