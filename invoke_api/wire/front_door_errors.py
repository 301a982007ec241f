"""What AWS's front door, Coral, says before Bedrock hears of a request: who are you, what is this.

FrontDoorError
├── UnrecognizedClientException 403  ├── IncompleteSignatureException 400
├── ExpiredTokenException 403        ├── SerializationException 400
├── InvalidSignatureException 403    ├── RequestTimeoutException 408
└── KeyDenied 403, as AccessDeniedException
"""

from invoke_api.wire.errors import InvokeError

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
