"""The exceptions of the service model: names, statuses, messages, and their frames in streams."""

from dataclasses import dataclass

from tests.fidelity.case import GUESS

RETRY = "The system encountered an unexpected error during processing. Try your request again."


@dataclass(frozen=True, kw_only=True)
class Thrown:
    """An exception that a rule raises.

    `frame` is its `:exception-type` in a stream. `members` follow the message in the body.
    """

    name: str
    seen: str
    status: int
    message: str
    frame: str
    members: tuple[tuple[str, int | str], ...] = ()


TABLE = [
    Thrown(
        name="AccessDeniedException",
        seen="Arize-ai/openinference's recording",
        status=403,
        message="You don't have access to the model with the specified model ID.",
        frame="validationException",
    ),
    Thrown(
        name="ResourceNotFoundException",
        seen="quoted in clients' issues",
        status=404,
        message="Could not resolve the foundation model from the provided model identifier.",
        frame="validationException",
    ),
    Thrown(
        name="ValidationException",
        seen="langchain-ai/langchain-aws#185, langgenius/dify#6323",
        status=400,
        message="Validation Error",
        frame="validationException",
    ),
    Thrown(
        name="ServiceQuotaExceededException",
        seen=GUESS,
        status=400,
        message="Your request exceeds the service quota for your account.",
        frame="throttlingException",
    ),
    Thrown(
        name="ConflictException",
        seen=GUESS,
        status=400,
        message="Error occurred because of a conflict while performing an operation.",
        frame="validationException",
    ),
    Thrown(
        name="ThrottlingException",
        seen="a client's dump of all headers",
        status=429,
        message="Too many requests, please wait before trying again.",
        frame="throttlingException",
    ),
    Thrown(
        name="ModelNotReadyException",
        seen="AWS's knowledge center, bedrock-imported-models-modelnotreadyexception",
        status=429,
        message="Model is not ready for inference. Wait and try your request again.",
        frame="serviceUnavailableException",
    ),
    Thrown(
        name="ModelTimeoutException",
        seen="quoted in clients' issues",
        status=408,
        message="Model has timed out in processing the request. Try your request again.",
        frame="modelTimeoutException",
    ),
    Thrown(
        name="ModelErrorException",
        seen="aws-samples/amazon-bedrock-samples, a notebook's output",
        status=424,
        message=RETRY,
        frame="modelStreamErrorException",
        members=(("originalStatusCode", 400), ("resourceName", "x")),
    ),
    Thrown(
        name="ModelStreamErrorException",
        seen="quoted in clients' issues",
        status=424,
        message=RETRY,
        frame="modelStreamErrorException",
        members=(("originalStatusCode", 500), ("originalMessage", "x")),
    ),
    Thrown(
        name="InternalServerException",
        seen="quoted in clients' issues",
        status=500,
        message=RETRY,
        frame="internalServerException",
    ),
    Thrown(
        name="ServiceUnavailableException",
        seen="langchain-ai/langchain-aws PR #1228",
        status=503,
        message="Bedrock is unable to process your request.",
        frame="serviceUnavailableException",
    ),
]
