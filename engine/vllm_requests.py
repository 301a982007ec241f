"""What vLLM is asked: a request's prompt and its sampling parameters, by vLLM's own names."""

from typing import TYPE_CHECKING, Any

from engine.protocol import GenerationRequest

if TYPE_CHECKING:
    from vllm import SamplingParams


def to_prompt(request: GenerationRequest) -> Any:  # noqa: ANN401 - vLLM's
    """Tokens alone are as vLLM wants them; what has images in it vLLM has a thread look at first.

    A model that takes text only refuses the key of images itself.
    """
    from vllm.inputs import tokens_input

    ids = list(request.prompt)
    if not request.images:
        return tokens_input(ids)
    images = {"image": list(request.images)}
    return {"prompt_token_ids": ids, "multi_modal_data": images}


def to_sampling(request: GenerationRequest, eos: int) -> "SamplingParams":
    """Greedy where the temperature or top_p is 0; a text ends at `eos` and nowhere else."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    held_to = request.held_to
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
        # Characters and stop strings are the transcript's work, token by token, and the only token
        # that ends a text is the tokenizer's EOS, whatever the checkpoint adds to it.
        detokenize=False,
        ignore_eos=True,
        stop_token_ids=[eos],
        output_kind=RequestOutputKind.DELTA,
        structured_outputs=StructuredOutputsParams(**held_to) if held_to else None,
        skip_clone=True,  # nobody else has it
    )
