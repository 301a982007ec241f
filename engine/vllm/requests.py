"""What vLLM is asked: a request's prompt and its sampling parameters, by vLLM's own names."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from engine.errors import ChatRefused, SchemaRefused
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from engine.vllm.errors import to_engine_error
from engine.vllm.structured_outputs import Held, to_held

if TYPE_CHECKING:
    from vllm import SamplingParams
    from vllm.lora.request import LoRARequest
    from vllm.v1.engine.async_llm import AsyncLLM


async def ask(
    llm: "AsyncLLM", request: GenerationRequest, tokenizer: Tokenizer, lora: "LoRARequest | None"
) -> None:
    """Add the request to vLLM.

    If vLLM does not take what holds the answer, ask again with the next of `to_held`. Raises
    `EngineError`s; then the request may be there all the same.
    """
    style = tokenizer.chat.calls_style if request.must_call else ""
    *tighter, last = to_held(request, style)
    for held in tighter:
        with suppress(ChatRefused, SchemaRefused):
            await _add(llm, request, tokenizer.eos, held, lora)
            return
    await _add(llm, request, tokenizer.eos, last, lora)


async def _add(
    llm: "AsyncLLM",
    request: GenerationRequest,
    eos: int,
    held: Held | None,
    lora: "LoRARequest | None",
) -> None:
    prompt, sampling = to_prompt(request), to_sampling(request, eos, held)
    try:
        await llm.add_request(request.request_id, prompt, sampling, lora_request=lora)
    except Exception as error:
        if told := to_engine_error(error, request):
            raise told from error
        raise


def to_prompt(request: GenerationRequest) -> Any:  # noqa: ANN401 - vLLM's
    """Tokens alone are as vLLM wants them; vLLM has a thread look at images and audio first.

    A model refuses the key of what it does not take itself.
    """
    from vllm.inputs import tokens_input

    ids = list(request.prompt)
    media: dict[str, list[Any]] = {
        "image": list(request.images),
        "audio": [clip.to_array() for clip in request.audio],  # which have the model's rate
    }
    given = {kind: parts for kind, parts in media.items() if parts}
    return {"prompt_token_ids": ids, "multi_modal_data": given} if given else tokens_input(ids)


def to_sampling(request: GenerationRequest, eos: int, held: Held | None) -> "SamplingParams":
    """Greedy where the temperature or top_p is 0; a text ends at `eos` and nowhere else.

    `held` is what holds the answer, as `to_held` gives it.
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    greedy = request.temperature == 0 or request.top_p == 0  # vLLM wants top_p above 0
    return SamplingParams(
        max_tokens=request.max_tokens,
        temperature=0.0 if greedy else request.temperature,
        top_p=1.0 if greedy else request.top_p,
        top_k=request.top_k,
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        logit_bias=dict(request.logit_bias) or None,
        logprobs=request.top_logprobs,
        # Characters and stop strings are the detokenizer's work, token by token, and the only token
        # that ends a text is the tokenizer's EOS, whatever the checkpoint adds to it.
        detokenize=False,
        ignore_eos=True,
        stop_token_ids=[eos],
        output_kind=RequestOutputKind.DELTA,
        structured_outputs=held and StructuredOutputsParams(**held),
        skip_clone=True,  # nobody else has it
    )
