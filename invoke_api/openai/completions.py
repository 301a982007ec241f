"""vLLM's own `/v1/completions`: a prompt without a template, to any model of the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from time import time
from typing import ClassVar

from engine.tokenization.tokenizer import Tokenizer
from invoke_api.dialects.model_servers import SERVERS, ModelServer
from invoke_api.dialects.question import InvocationMetrics, Question
from invoke_api.models.registry import Model, Registry
from invoke_api.openai.completions_body import CompletionBody, parse_completion
from invoke_api.openai.completions_prompts import (
    CompletionPrompt,
    prompts_in,
    read_prompts,
    to_choices,
)
from invoke_api.openai.completions_sampling import check_supported, scored_alternatives
from invoke_api.openai.completions_writer import AnswerForm, CompletionsWriter
from invoke_api.openai.errors import vllm_refusal
from invoke_api.pipeline.admission import admit_caller
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.choices import ChoiceRequests
from invoke_api.pipeline.model_request import ModelOperation
from invoke_api.pipeline.offload import estimate_size
from invoke_api.wire.errors import ResourceNotFoundException

MAX_NAME_CHARACTERS = 2_048  # of a model: the service model's bound of `modelId`
BEAM_STREAM = "Streaming is not currently supported with beam search"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionsRequest:
    """A checked body. `name` is the client's name for the model, and `answer_id` its answer's id.

    The prompts are tokenised with the engine's requests, after the writer is made.
    """

    model: Model
    body: CompletionBody
    name: str
    request_id: str
    answer_id: str
    size: int
    streams: bool
    prompts: list[CompletionPrompt] = field(default_factory=list)
    prefix: ClassVar[str] = ""
    stream_type: ClassVar[str] = "text/event-stream; charset=utf-8"
    stream_headers: ClassVar[Mapping[str, str]] = {}
    # Imported models have vLLM's words for what an engine refuses, too.
    server: ClassVar[ModelServer] = SERVERS["imported"]

    def headers(self, _: InvocationMetrics) -> Mapping[str, str]:
        return {}

    def question(self) -> Question:
        told = prompts_in(self.body)
        texts = [each if isinstance(each, str) else " ".join(map(str, each)) for each in told]
        text = "\n".join(texts)
        return Question(text, text, 1)

    def generation(self, tokenizer: Tokenizer) -> ChoiceRequests:
        length = self.model.context_length
        self.prompts[:] = read_prompts(self.body, tokenizer, length)
        return to_choices(self.body, self.prompts, length, tokenizer, self.request_id)

    def writer(self, tokenizer: Tokenizer) -> CompletionsWriter:
        body = self.body
        options = body.stream_options
        usage = bool(options and options.include_usage)
        form = AnswerForm(
            echoes=bool(body.echo),
            only_echoes=bool(body.echo) and body.max_tokens == 0,
            ids=bool(body.return_token_ids),
            names_ids=bool(body.return_tokens_as_token_ids),
            usage=usage,
            running_usage=bool(usage and options and options.continuous_usage_stats),
            per_prompt=body.n,
            alternatives=body.logprobs,
            scores_prompt=scored_alternatives(body) is not None,
        )
        head = {
            "id": f"cmpl-{self.answer_id}",
            "object": "text_completion",
            "created": int(time()),
            "model": self.name,
        }
        return CompletionsWriter(head, form, self.prompts, tokenizer)


def check_completions(call: Call, _: ModelOperation) -> CompletionsRequest:
    """Admit the caller, check the body, and find the model that it names.

    Raises `InvokeError`s.
    """
    admit_caller(call)
    body = parse_completion(call.body, call.header_text.get("content-type", ""))
    if body.stream and body.use_beam_search:
        raise vllm_refusal(BEAM_STREAM)
    name = (body.model or "")[:MAX_NAME_CHARACTERS]
    model = call.model = find_served(call, name)
    check_supported(body)
    return CompletionsRequest(
        model=model,
        body=body,
        name=name or model.weights,
        request_id=call.request_id,
        answer_id=call.header_text.get("x-request-id") or body.request_id or token_hex(8),
        streams=bool(body.stream),
        size=estimate_size(call.body),
    )


def find_served(call: Call, name: str) -> Model:
    """Return the model, and note what the client called it. Raises `ResourceNotFoundException`.

    A service with a single model takes an empty name for it, as vLLM does.
    """
    call.model_id = name
    if call.entry:
        call.entry.identifier = call.entry.model_id = name
    registry = call.services.registry
    models = list(registry.models.values())
    found = registry.models.get(name) or find_by_weights(registry, name)
    if not name and len(models) == 1:
        [found] = models
    if found is None:
        known = ", ".join(dict.fromkeys(_served_name(model) for model in models))
        raise ResourceNotFoundException(
            f"The model `{name or None}` does not exist. Valid aliases: {known}.",
            members={"param": "model"},
        )
    return found


def find_by_weights(registry: Registry, weights: str) -> Model | None:
    """Return the model with these weights: without an adapter, and no stand-in, if there is one."""
    having = [model for model in registry.models.values() if model.weights == weights]
    own = sorted(having, key=lambda model: (model.adapter is not None, bool(model.stand_in)))
    return own[0] if own else None


def _served_name(model: Model) -> str:
    """Return a model's id if its weights are a folder of this machine, else their name."""
    return model.id if model.weights.startswith(("/", ".", "~")) else model.weights
