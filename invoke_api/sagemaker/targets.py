"""The headers that name a part of an endpoint. Pure."""

from collections.abc import Mapping

from invoke_api.models.endpoints import Endpoint
from invoke_api.wire.errors import ValidationException

MAX_NAME_CHARACTERS = 63
TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
# The headers that name a part of an endpoint, with the error of one that has no such part: its code
# and its message. Reported: those about models (amazon-sagemaker-examples#1216, #1026), and the
# message about components (BerriAI/litellm#37766). Guess: the others, without a code.
TARGETS = {
    "x-amzn-sagemaker-target-model": (
        "TARGET_MODEL_HEADER_NOT_SUPPORTED",
        (
            "Endpoint {endpoint} is not a multi-model endpoint and does not support target model"
            " header."
        ),
    ),
    "x-amzn-sagemaker-inference-component": (
        None,
        (
            "Inference Component Name header is not allowed for endpoints to which you dont plan to"
            " deploy inference components. Please remove the Inference Component Name header and"
            " try again."
        ),
    ),
    "x-amzn-sagemaker-target-container-hostname": (
        None,
        (
            "Endpoint {endpoint} is not a multi-container endpoint and does not support target"
            " container header."
        ),
    ),
    TARGET_VARIANT: (None, "Variant {name} of endpoint {endpoint} not found."),
}


def check_targets(endpoint: Endpoint, headers: Mapping[str, str]) -> None:
    """Raise `ValidationException` if a header names a part that the endpoint does not have."""
    for header, (code, sentence) in TARGETS.items():
        name = headers.get(header)
        if name and (header != TARGET_VARIANT or name != endpoint.variant):
            message = sentence.format(endpoint=endpoint.name, name=name[:MAX_NAME_CHARACTERS])
            raise ValidationException(message, members={"ErrorCode": code} if code else None)
