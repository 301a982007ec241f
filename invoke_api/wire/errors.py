"""Exceptions of Bedrock and its front door, which render themselves: as HTTP or as a frame."""

from collections.abc import Mapping
from typing import ClassVar

from invoke_api.wire.eventstream import encode_frame
from invoke_api.wire.json_text import write_json

JSON = "application/json"

# Said of a model both by the registry and by a rule that puts it into that state.
END_OF_LIFE = (
    "This model version has reached the end of its life. Please upgrade to an active model."
)
NOT_ON_DEMAND = (
    "Invocation of model ID {model_id} with on-demand throughput isn’t supported. Retry your"
    " request with the ID or ARN of an inference profile that contains this model."
)


class InvokeError(Exception):
    """Subclasses bear AWS's own names: the class name is what the client reads.

    `default` is the sentence Bedrock says when the raiser has none of its own; `members` are what
    the service model gives this exception beside its message; `headers` go with an HTTP reply. One
    that is `in_stream` comes as a frame even where nothing has been streamed yet.
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
        """The value of `x-amzn-ErrorType`."""
        return self.code + self.suffix

    def to_json(self) -> bytes:
        return write_json({self.message_key: self.message, **self.members})

    def to_frame(self) -> bytes:
        """The exception frame that ends a stream whose status line is out already.

        Its name is one of those that the service model knows in a stream.
        """
        name = IN_STREAM.get(self.code, self.code)
        headers = {
            ":exception-type": name[0].lower() + name[1:],
            ":content-type": JSON,
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
    """Modelled for asynchronous invocations and for the control plane."""

    status = 400
    default = "Error occurred because of a conflict while performing an operation."  # guess


class TooManyTagsException(InvokeError):
    """Modelled in the control plane only."""

    status = 400
    default = "The resource would have more than 50 tags."  # guess


class ThrottlingException(InvokeError):
    status = 429
    default = "Too many requests, please wait before trying again."


class ModelNotReadyException(InvokeError):
    status = 429
    # AWS's knowledge center, bedrock-imported-models-modelnotreadyexception: of imported models.
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


class InternalServerException(InvokeError):
    status = 500
    default = ModelErrorException.default


class ServiceUnavailableException(InvokeError):
    status = 503
    default = "Bedrock is unable to process your request."


# The service model knows only some exceptions inside a stream; the others go by the name of the
# nearest of those. Guess: nobody has seen Bedrock in that need.
IN_STREAM = {
    "AccessDeniedException": "ValidationException",
    "ResourceNotFoundException": "ValidationException",
    "ServiceQuotaExceededException": "ThrottlingException",
    "ConflictException": "ValidationException",
    "ModelNotReadyException": "ServiceUnavailableException",
    "ModelErrorException": "ModelStreamErrorException",
}


CORAL = ":http://internal.amazon.com/coral/com.amazon.coral.service/"


class FrontDoorError(InvokeError):
    """Not in Bedrock's service model, and named after another of AWS's services."""

    status = 403
    suffix = CORAL


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
    """A body that is no JSON, or has another type where the service model has one."""

    status = 400
    default = "Unexpected end of input"  # guess


class RequestTimeoutException(FrontDoorError):
    """A body whose rest does not come. Guess, all of it; SDKs know the name and try again."""

    status = 408
    default = "The request was not received in time."


class KeyDenied(FrontDoorError):
    """The AccessDeniedException of API keys and of IAM, which spells `Message` with a capital."""

    default = "Authorization header is missing"
    message_key = "Message"
    # Seen so for API keys, by one observer, and nowhere else.
    suffix = CORAL + "#AccessDeniedException"

    @property
    def code(self) -> str:
        return "AccessDeniedException"
