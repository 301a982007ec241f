"""What is known of one invocation beside its text: what was asked, token counts and times."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Question:
    """`last_user_message` ends the conversation, and is the user's `turn`th, counted from 1.

    `tools` are the names of those that the model may call.
    """

    prompt: str
    last_user_message: str
    turn: int
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Times in whole milliseconds since the request came in."""

    input_tokens: int
    output_tokens: int
    latency: int
    first_byte_latency: int

    def to_headers(self) -> dict[str, str]:
        """For InvokeModel, whose answer carries them nowhere else."""
        return {
            "X-Amzn-Bedrock-Invocation-Latency": str(self.latency),
            "X-Amzn-Bedrock-Output-Token-Count": str(self.output_tokens),
            "X-Amzn-Bedrock-Input-Token-Count": str(self.input_tokens),
        }

    def to_json(self) -> dict[str, int]:
        """For `amazon-bedrock-invocationMetrics` in the last chunk of a stream."""
        return {
            "inputTokenCount": self.input_tokens,
            "outputTokenCount": self.output_tokens,
            "invocationLatency": self.latency,
            "firstByteLatency": self.first_byte_latency,
        }
