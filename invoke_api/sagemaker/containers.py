"""The containers of endpoints: Text Generation Inference (TGI) and Large Model Inference (LMI).

Sources: huggingface/text-generation-inference, tags v1.1.0 and v3.3.7, and the page "LMI handlers
inference API schema" of deepjavalibrary/djl-serving.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SSE = "text/event-stream"
JSON_LINES = "application/jsonlines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The behaviour of one container.

    `default_tokens` is the default of `max_new_tokens`. If it `lists`, an answer is an array of one
    object. `begin` and `end` enclose each event of a stream, which has the type `stream_type`.
    `logprob` is the key of a token's log probability. `penalizes` tells whether it takes
    `frequency_penalty`, `grammar` and `adapter_id`. `stop` is its name for stop sequences.
    """

    default_tokens: int
    lists: bool = True
    begin: bytes = b"data:"
    end: bytes = b"\n\n"
    stream_type: str = SSE
    logprob: str = "logprob"
    penalizes: bool = False
    stop: str = "stop"


CONTAINERS: Mapping[str, Container] = {
    # axum 0.6 writes no space after the colon (guess, from its source).
    "tgi-1.1": Container(default_tokens=20),
    # Guess: the default of 100 tokens.
    "tgi-3": Container(default_tokens=100, begin=b"data: ", penalizes=True),
    "lmi": Container(
        default_tokens=30,
        lists=False,
        begin=b"",
        end=b"\n",
        stream_type=JSON_LINES,
        logprob="log_prob",
        stop="stop_sequences",
    ),
}
