"""The routes of the control plane's operations."""

from invoke_api.operations.application_profiles import (
    create_inference_profile,
    delete_inference_profile,
)
from invoke_api.operations.foundation_models import (
    get_foundation_model,
    get_foundation_model_availability,
    list_foundation_models,
)
from invoke_api.operations.inference_profiles import get_inference_profile, list_inference_profiles
from invoke_api.operations.logging_configuration import (
    delete_logging_configuration,
    get_logging_configuration,
    put_logging_configuration,
)
from invoke_api.operations.own_models import OWN_MODELS
from invoke_api.operations.tags import list_tags_for_resource, tag_resource, untag_resource
from invoke_api.pipeline.routes import OperationRoute

PROFILE_PATH = "/inference-profiles/{inferenceProfileIdentifier:path}"
LOGGING_PATH = "/logging/modelinvocations"
CONTROL_PLANE = [
    OperationRoute("/foundation-models", list_foundation_models, name="ListFoundationModels"),
    OperationRoute(
        "/foundation-models/{modelIdentifier:path}", get_foundation_model, name="GetFoundationModel"
    ),
    OperationRoute(
        "/foundation-model-availability/{modelId:path}",
        get_foundation_model_availability,
        name="GetFoundationModelAvailability",
    ),
    OperationRoute("/inference-profiles", list_inference_profiles, name="ListInferenceProfiles"),
    OperationRoute(
        "/inference-profiles",
        create_inference_profile,
        method="POST",
        name="CreateInferenceProfile",
    ),
    OperationRoute(PROFILE_PATH, get_inference_profile, name="GetInferenceProfile"),
    OperationRoute(
        PROFILE_PATH, delete_inference_profile, method="DELETE", name="DeleteInferenceProfile"
    ),
    *OWN_MODELS,
    OperationRoute("/tagResource", tag_resource, method="POST", name="TagResource"),
    OperationRoute("/untagResource", untag_resource, method="POST", name="UntagResource"),
    OperationRoute(
        "/listTagsForResource", list_tags_for_resource, method="POST", name="ListTagsForResource"
    ),
    OperationRoute(
        LOGGING_PATH,
        put_logging_configuration,
        method="PUT",
        name="PutModelInvocationLoggingConfiguration",
    ),
    OperationRoute(
        LOGGING_PATH, get_logging_configuration, name="GetModelInvocationLoggingConfiguration"
    ),
    OperationRoute(
        LOGGING_PATH,
        delete_logging_configuration,
        method="DELETE",
        name="DeleteModelInvocationLoggingConfiguration",
    ),
]
