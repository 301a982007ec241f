"""The containers of endpoints: Text Generation Inference (TGI) and Large Model Inference (LMI).

Sources: huggingface/text-generation-inference, tags v1.1.0 and v3.3.7, and the pages "LMI handlers
inference API schema" and "Chat Completions API Schema" of deepjavalibrary/djl-serving.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from invoke_api.sagemaker.containers.parameters import LMI, TGI_1, TGI_3, Table

SSE = "text/event-stream"
JSON_LINES = "application/jsonlines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """The behaviour of one container.

    `parameters` are those of its bodies. If it `lists`, an answer is an array of one object.
    `begin` and `end` enclose each event of a stream, which has the type `stream_type`. `logprob` is
    the key of a token's log probability. An answer begins with the prompt by default if it
    `repeats`: always, or for a model of Hugging Face's hub. If it `counts`, a stream's events have
    numbers, and the last one the number of the prompt's tokens. If it `tells_inputs`, details have
    the prompt.
    """

    parameters: Table
    lists: bool = True
    begin: bytes = b"data:"
    end: bytes = b"\n\n"
    stream_type: str = SSE
    logprob: str = "logprob"
    repeats: Literal["never", "hub", "always"] = "never"
    counts: bool = False
    tells_inputs: bool = False


CONTAINERS: Mapping[str, Container] = {
    # axum 0.6 writes no space after the colon (guess, from its source).
    "tgi-1.1": Container(parameters=TGI_1, repeats="hub"),
    "tgi-3": Container(parameters=TGI_3, begin=b"data: ", repeats="always", counts=True),
    "lmi": Container(
        parameters=LMI,
        lists=False,
        begin=b"",
        end=b"\n",
        stream_type=JSON_LINES,
        logprob="log_prob",
        tells_inputs=True,
    ),
}
