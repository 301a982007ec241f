"""Conversion of requests to vLLM's prompts and sampling parameters."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine.errors import ChatRefused, SchemaRefused
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from engine.vllm.errors import to_engine_error
from engine.vllm.structured_outputs import StructuredOutput, to_structured_outputs

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.v1.engine.async_llm import AsyncLLM


async def add_request(
    llm: "AsyncLLM", request: GenerationRequest, tokenizer: Tokenizer, lora: "LoRARequest | None"
) -> None:
    """Add the request to vLLM.

    If vLLM refuses the structured outputs, try the next of `to_structured_outputs`. Raises
    `EngineError`s, although vLLM may have added the request.
    """
    style = tokenizer.chat.calls_style if request.must_call else ""
    *tighter, last = to_structured_outputs(request, style)
    for structured in tighter:
        with suppress(ChatRefused, SchemaRefused):
            await _add(llm, request, tokenizer, structured, lora)
            return
    await _add(llm, request, tokenizer, last, lora)


async def _add(
    llm: "AsyncLLM",
    request: GenerationRequest,
    tokenizer: Tokenizer,
    structured: StructuredOutput | None,
    lora: "LoRARequest | None",
) -> None:
    headers = request.trace_headers
    try:
        prompt, sampling = to_prompt(request), to_sampling(request, tokenizer, structured)
        await llm.add_request(
            request.request_id,
            prompt,
            sampling,
            lora_request=lora,
            # Without the endpoint vLLM would warn that it drops them.
            trace_headers=headers if headers and traces(llm) else None,
        )
    except Exception as error:
        if told := to_engine_error(error, request):
            raise told from error
        raise


def traces(llm: "AsyncLLM") -> bool:
    """Tell whether vLLM exports spans: the model's option `otlp_traces_endpoint` is set."""
    return llm.vllm_config.observability_config.otlp_traces_endpoint is not None


def to_prompt(request: GenerationRequest) -> Any:  # noqa: ANN401 - vLLM's
    """Return the prompt in vLLM's form.

    Tokens alone need no processing. With images or audio, vLLM processes the prompt in a thread,
    and a model refuses the key of a modality that it does not have.
    """
    from vllm.inputs import tokens_input

    ids = list(request.prompt)
    media: dict[str, list[Any]] = {
        "image": list(request.images),
        "audio": [clip.to_array() for clip in request.audio],  # at the model's rate
    }
    given = {kind: parts for kind, parts in media.items() if parts}
    if given:
        return {"prompt_token_ids": ids, "multi_modal_data": given}
    return tokens_input(ids, cache_salt=request.cache_salt)


def to_sampling(
    request: GenerationRequest, tokenizer: Tokenizer, structured: StructuredOutput | None
) -> "SamplingParams":
    """Return vLLM's sampling parameters: greedy if the temperature or top_p is 0.

    The tokenizer's EOS and the request's stop tokens end a text. `structured` is one of
    `to_structured_outputs`. Raises vLLM's errors for bad words.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import (
        RepetitionDetectionParams,
        RequestOutputKind,
        StructuredOutputsParams,
    )

    repetition = request.repetition
    greedy = request.temperature == 0 or request.top_p == 0  # vLLM refuses top_p 0
    sampling = SamplingParams(
        max_tokens=request.max_tokens,
        temperature=0.0 if greedy else request.temperature,
        top_p=1.0 if greedy else request.top_p,
        top_k=request.top_k,
        min_p=request.min_p,
        repetition_penalty=request.repetition_penalty,
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        logit_bias=dict(request.logit_bias) or None,
        logprobs=request.top_logprobs,
        prompt_logprobs=request.prompt_logprobs,
        min_tokens=request.min_tokens,
        allowed_token_ids=list(request.allowed_tokens) or None,
        # Our detokenizer finds characters and stop strings. Only the tokenizer's EOS and the
        # request's own tokens end a text, even if the checkpoint names further tokens.
        detokenize=False,
        ignore_eos=True,
        stop_token_ids=ending_tokens(request, tokenizer.eos),
        bad_words=list(request.bad_words) or None,
        output_kind=RequestOutputKind.DELTA,
        structured_outputs=structured and StructuredOutputsParams(**structured),
        repetition_detection=repetition
        and RepetitionDetectionParams(
            max_pattern_size=repetition.most,
            min_pattern_size=repetition.least,
            min_count=repetition.times,
        ),
        skip_clone=True,  # it is not used elsewhere
    )
    if request.bad_words:
        sampling.update_from_tokenizer(WordTokenizer(tokenizer))
    return sampling


class WordTokenizer:
    """The part of vLLM's tokenizers by which it finds the ids of bad words.

    Its own tokenizer is not loaded here.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.max_token_id = len(tokenizer.pieces) - 1

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        ids = self._tokenizer.encode(text)
        return [*(ids if add_special_tokens else ids[1:])]


def ending_tokens(request: GenerationRequest, eos: int) -> list[int]:
    """Return the ids of the tokens that end the answer to a request."""
    return [*([] if request.ignores_eos else [eos]), *request.stop_tokens]
