"""Facts about one invocation: the prompt that rules match, token counts and times."""

from collections.abc import Mapping
from dataclasses import dataclass, field

METRICS_KEY = "amazon-bedrock-invocationMetrics"


@dataclass(frozen=True, slots=True)
class Question:
    """The part of a request that rules match.

    `turn` is the number of the user's messages; `last_user_message` is the last of them. `step`
    also counts each round of tool results. `tools` are the names of the offered tools.
    `tool_result` is the text of the results since the last user message, None without results.
    `metadata` is the request's metadata, if the body has it.
    """

    prompt: str
    last_user_message: str
    turn: int
    tools: tuple[str, ...] = ()
    system: str = ""
    tool_result: str | None = None
    step: int = 1
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class InvocationMetrics:
    """Token counts and times of one invocation. Times are milliseconds since the request came."""

    input_tokens: int
    output_tokens: int
    latency: int
    first_byte_latency: int

    def to_headers(self) -> dict[str, str]:
        """Return the headers of InvokeModel, whose body has no metrics."""
        return {
            "X-Amzn-Bedrock-Invocation-Latency": str(self.latency),
            "X-Amzn-Bedrock-Output-Token-Count": str(self.output_tokens),
            "X-Amzn-Bedrock-Input-Token-Count": str(self.input_tokens),
        }

    def to_json(self) -> dict[str, int]:
        """Return the value of `METRICS_KEY` in the last chunk of a stream."""
        return {
            "inputTokenCount": self.input_tokens,
            "outputTokenCount": self.output_tokens,
            "invocationLatency": self.latency,
            "firstByteLatency": self.first_byte_latency,
        }
