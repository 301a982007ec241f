"""Completions on the path of TGI 3's endpoints."""

from dataclasses import dataclass
from time import time

from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.model_servers import ModelServer
from invoke_api.dialects.question import Question
from invoke_api.pipeline.choices import ChoiceRequests
from invoke_api.sagemaker.containers.completion_body import TgiCompletionBody, to_completions
from invoke_api.sagemaker.containers.errors import TGI_SERVER
from invoke_api.sagemaker.containers.tgi_completion_writer import TgiCompletionWriter
from invoke_api.sagemaker.endpoint_request import TEXT_DIALECT, EndpointRequest


@dataclass(slots=True, kw_only=True)
class TgiCompletionRequest(EndpointRequest):
    """Completions for TGI 3, one for each prompt."""

    completion: TgiCompletionBody

    @property
    def server(self) -> ModelServer:
        return TGI_SERVER

    @property
    def container_streams(self) -> bool:
        return self.completion.stream

    def question(self) -> Question:
        return TEXT_DIALECT.to_question({"prompt": self.completion.text})

    def container_generation(self, tokenizer: Tokenizer) -> ChoiceRequests:
        return to_completions(self.completion, self.endpoint, tokenizer, self.request_id)

    def container_writer(self, tokenizer: Tokenizer) -> TgiCompletionWriter:
        return TgiCompletionWriter(str(self.model.weights), int(time()), tokenizer.eos)
