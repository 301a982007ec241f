"""llama-index-llms-sagemaker-endpoint: SageMakerLLM, whose handler is written for whole answers."""

import json
import sys
from importlib.util import find_spec, module_from_spec

# SageMakerLLM takes Llama 2's prompt template from `llama_utils` of this package. The package's
# `__init__` imports llama.cpp for a class that SageMakerLLM does not use, and llama.cpp has to be
# compiled for minutes. So only `llama_utils` is imported, and not `__init__`.
spec = find_spec("llama_index.llms.llama_cpp")
sys.modules[spec.name] = module_from_spec(spec)

from llama_index.llms.sagemaker_endpoint import SageMakerLLM  # noqa: E402
from llama_index.llms.sagemaker_endpoint.utils import IOHandler  # noqa: E402

NAME = "huggingface-llm-mistral-7b-instruct"
# The default handler cuts the prompt off the answer.
PARAMETERS = {"max_new_tokens": 100, "return_full_text": True}


class Events(IOHandler):
    """A handler of TGI's events. SageMakerLLM cuts off the prompt, so it comes first here."""

    def serialize_input(self, request, model_kwargs):
        self._prompt, self._held = request, b""
        return json.dumps({"inputs": request, "parameters": model_kwargs, "stream": True}).encode()

    def deserialize_streaming_output(self, response):
        *lines, self._held = (self._held + response).split(b"\n")
        text, self._prompt = self._prompt, ""
        for line in filter(None, lines):
            token = json.loads(line.removeprefix(b"data:"))["token"]
            text += "" if token["special"] else token["text"]
        return text

    _prompt: str = ""
    _held: bytes = b""


llm = SageMakerLLM(endpoint_name=NAME, model_kwargs=PARAMETERS)
streaming = SageMakerLLM(
    endpoint_name=NAME, model_kwargs={"max_new_tokens": 100}, content_handler=Events()
)
*_, last = streaming.stream_complete("How will the weather be?")

print(
    json.dumps(
        {
            "plain": {"text": llm.complete("How is the weather?").text},
            "streamed": {"text": last.text},
            "throttled": {"text": llm.complete("Are you there?").text},
        }
    )
)
