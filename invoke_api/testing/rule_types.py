"""Types of rules, for type checkers and editors. schemas/rules.json describes each key."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Required, TypedDict

Operation = Literal[
    "InvokeModel",
    "InvokeModelWithResponseStream",
    "Converse",
    "ConverseStream",
    "ChatCompletions",
    "Completions",
    "InvokeEndpoint",
    "InvokeEndpointWithResponseStream",
    "EndpointChatCompletions",
]
ExceptionName = Literal[
    "AccessDeniedException",
    "ResourceNotFoundException",
    "ValidationException",
    "ServiceQuotaExceededException",
    "ConflictException",
    "ThrottlingException",
    "ModelNotReadyException",
    "ModelTimeoutException",
    "ModelErrorException",
    "ModelStreamErrorException",
    "ModelError",
    "InternalServerException",
    "ServiceUnavailableException",
    "ModelStreamError",
    "InternalFailure",
    "InternalStreamFailure",
    "ServiceUnavailable",
    "ValidationError",
]
Break = Literal["cut", "torn_frame", "hang"]
State = Literal[
    "not-ready", "access-denied", "end-of-life", "on-demand-not-supported", "unavailable"
]


class Regex(TypedDict):
    """A regular expression of RE2, which has no look-around."""

    regex: str


Text = str | Regex
Texts = Text | Sequence[Text]


class When(TypedDict, total=False):
    """Conditions of a rule. All must hold."""

    operation: Operation
    model_id: str
    prompt: Texts
    last_user_message: Texts
    system: Texts
    tool_result: Texts
    has_tool_result: bool
    tool: str
    turn: int
    step: int
    metadata: Mapping[str, str]


class ToolCall(TypedDict, total=False):
    """A call of a tool."""

    name: Required[str]
    arguments: Mapping[str, Any]


class Turn(TypedDict, total=False):
    """A reply of a list: a text, calls of tools, or both; or the prompt itself."""

    text: str
    echo: Literal[True]
    tool_calls: Sequence[ToolCall]


class OneReply(Turn, total=False):
    """The only reply of a rule. Its `texts` are used in order, each with the same tool calls."""

    texts: Sequence[str]


class Fault(TypedDict, total=False):
    """An exception or a break. `retry_after` is in milliseconds."""

    exception: ExceptionName
    message: str
    members: Mapping[str, str | int]
    retry_after: int
    after_tokens: int


# `break` is a word of Python's, so the class can't have it as a name.
BreakFault = TypedDict("BreakFault", {"break": Required[Break], "after_tokens": int}, total=False)


class Pace(TypedDict, total=False):
    """The speed of an answer. `first_token` is in seconds."""

    first_token: float
    tokens_per_second: float
    jitter: float
    seed: int
    recording: str


class Rule(TypedDict, total=False):
    """A rule of one access key."""

    when: When
    reply: str | OneReply | Sequence[str | Turn]
    fault: ExceptionName | Break | Fault | BreakFault
    state: State
    pace: Pace
    times: int
    seconds: float
    probability: float
    seed: int
