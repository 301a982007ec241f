"""The exceptions of Bedrock and of its front door, with their JSON and event-stream forms."""

from collections.abc import Mapping
from typing import ClassVar

from invoke_api.wire.eventstream import encode_frame
from invoke_api.wire.json_text import write_json

JSON_CONTENT_TYPE = "application/json"

# Messages for states of a model, which the registry or a rule can set.
END_OF_LIFE = (
    "This model version has reached the end of its life. Please upgrade to an active model."
)
NOT_ON_DEMAND = (
    "Invocation of model ID {model_id} with on-demand throughput isn’t supported. Retry your"
    " request with the ID or ARN of an inference profile that contains this model."
)


class InvokeError(Exception):
    """An exception for the client. Subclasses have AWS's names, because clients read them.

    `default` is Bedrock's message if the raiser gives none. `members` are the exception's other
    members in the service model. `headers` are sent with an HTTP response. If `in_stream`, the
    exception is sent as a frame even if nothing has been streamed yet.
    """

    status: ClassVar[int]
    default: ClassVar[str]
    suffix: ClassVar[str] = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
    message_key: ClassVar[str] = "message"

    def __init__(
        self,
        message: str | None = None,
        *,
        members: Mapping[str, int | str] | None = None,
        headers: Mapping[str, str] | None = None,
        in_stream: bool = False,
    ) -> None:
        self.message = message or self.default
        self.members = members or {}
        self.headers = headers or {}
        self.in_stream = in_stream
        super().__init__(self.message)

    @property
    def code(self) -> str:
        return type(self).__name__

    @property
    def kind(self) -> str:
        """Return the value of `x-amzn-ErrorType`."""
        return self.code + self.suffix

    def to_json(self) -> bytes:
        return write_json({self.message_key: self.message, **self.members})

    def to_frame(self) -> bytes:
        """Return the exception's frame, which ends a stream.

        Its name is one that the service model has for streams.
        """
        name = NAMES_IN_STREAM.get(self.code, self.code)
        headers = {
            ":exception-type": name[0].lower() + name[1:],
            ":content-type": JSON_CONTENT_TYPE,
            ":message-type": "exception",
        }
        return encode_frame(headers, self.to_json())


class AccessDeniedException(InvokeError):
    status = 403
    default = "You don't have access to the model with the specified model ID."


class ResourceNotFoundException(InvokeError):
    status = 404
    default = "Could not resolve the foundation model from the provided model identifier."


class ValidationException(InvokeError):
    status = 400
    default = "Validation Error"


class ServiceQuotaExceededException(InvokeError):
    status = 400
    default = "Your request exceeds the service quota for your account."  # guess


class ConflictException(InvokeError):
    """A conflict: in the service model for asynchronous invocations and for the control plane."""

    status = 400
    default = "Error occurred because of a conflict while performing an operation."  # guess


class TooManyTagsException(InvokeError):
    """Too many tags: in the service model of the control plane only."""

    status = 400
    default = "The resource would have more than 50 tags."  # guess


class ThrottlingException(InvokeError):
    status = 429
    default = "Too many requests, please wait before trying again."


class ModelNotReadyException(InvokeError):
    status = 429
    # AWS's knowledge center, bedrock-imported-models-modelnotreadyexception.
    default = "Model is not ready for inference. Wait and try your request again."


class ModelTimeoutException(InvokeError):
    status = 408
    default = "Model has timed out in processing the request. Try your request again."


class ModelErrorException(InvokeError):
    status = 424
    default = (
        "The system encountered an unexpected error during processing. Try your request again."
    )


class ModelStreamErrorException(InvokeError):
    status = 424
    default = ModelErrorException.default


class ModelError(InvokeError):
    """SageMaker's error about an answer of the endpoint's container.

    `message` is the body of that answer, and `container_status` its HTTP status.
    """

    status = 424
    default = ""

    def __init__(self, container_status: int, body: str) -> None:
        super().__init__(body)
        self.container_status = container_status


class InternalServerException(InvokeError):
    status = 500
    default = ModelErrorException.default


class ServiceUnavailableException(InvokeError):
    status = 503
    default = "Bedrock is unable to process your request."


# The service model has only some exceptions for streams. Guess: the others are sent under the name
# of the nearest one.
NAMES_IN_STREAM = {
    "AccessDeniedException": "ValidationException",
    "ResourceNotFoundException": "ValidationException",
    "ServiceQuotaExceededException": "ThrottlingException",
    "ConflictException": "ValidationException",
    "ModelNotReadyException": "ServiceUnavailableException",
    "ModelErrorException": "ModelStreamErrorException",
}

CORAL_SUFFIX = ":http://internal.amazon.com/coral/com.amazon.coral.service/"


class FrontDoorError(InvokeError):
    """An error of AWS's front door, which is not in Bedrock's service model."""

    status = 403
    suffix = CORAL_SUFFIX


class UnrecognizedClientException(FrontDoorError):
    default = "The security token included in the request is invalid."


class ExpiredTokenException(FrontDoorError):
    default = "The security token included in the request is expired"


class InvalidSignatureException(FrontDoorError):
    default = (
        "The request signature we calculated does not match the signature you provided."
        " Check your AWS Secret Access Key and signing method."
        " Consult the service documentation for details."
    )


class IncompleteSignatureException(FrontDoorError):
    status = 400  # the User Guide's table of error codes
    default = "The request signature does not conform to AWS standards."  # guess


class SerializationException(FrontDoorError):
    """The error for a body that is no JSON, or has a value of a wrong type."""

    status = 400
    default = "Unexpected end of input"  # guess


class UnknownOperationException(FrontDoorError):
    """The error of services with AWS JSON for an operation that they do not have."""

    status = 400
    default = "Unknown operation"  # guess


class RequestTimeoutException(FrontDoorError):
    """The error for a body that stops coming. Guess: status and message; SDKs retry on the name."""

    status = 408
    default = "The request was not received in time."


class KeyDenied(FrontDoorError):
    """The AccessDeniedException of API keys and of IAM, which spells `Message` with a capital."""

    default = "Authorization header is missing"
    message_key = "Message"
    # Recorded once, for API keys.
    suffix = CORAL_SUFFIX + "#AccessDeniedException"

    @property
    def code(self) -> str:
        return "AccessDeniedException"
