"""What vLLM is asked: a request's prompt and its sampling parameters, by vLLM's own names."""

from typing import TYPE_CHECKING, Any

from engine.protocol import GenerationRequest

if TYPE_CHECKING:
    from vllm import SamplingParams


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


def to_sampling(request: GenerationRequest, eos: int) -> "SamplingParams":
    """Greedy where the temperature or top_p is 0; a text ends at `eos` and nowhere else."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    greedy = request.temperature == 0 or request.top_p == 0  # vLLM wants top_p above 0
    return SamplingParams(
        max_tokens=request.max_tokens,
        temperature=0.0 if greedy else request.temperature,
        top_p=1.0 if greedy else request.top_p,
        top_k=request.top_k,
        seed=request.seed,
        # Characters and stop strings are the transcript's work, token by token, and the only token
        # that ends a text is the tokenizer's EOS, whatever the checkpoint adds to it.
        detokenize=False,
        ignore_eos=True,
        stop_token_ids=[eos],
        output_kind=RequestOutputKind.DELTA,
        structured_outputs=request.schema and StructuredOutputsParams(json=request.schema),
        skip_clone=True,  # nobody else has it
    )
