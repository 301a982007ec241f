"""Prompts of `/v1/completions`, from their bodies to the engine's requests. Pure."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from engine.errors import RequestRefused
from engine.protocol import GenerationRequest
from engine.tokenization.tokenizer import Tokenizer
from invoke_api.openai.completions_body import INT64, CompletionBody
from invoke_api.openai.completions_sampling import (
    check_bad_words,
    check_bounds,
    check_ids,
    scored_alternatives,
    stop_strings,
    to_bias,
    to_constraint,
    to_repetition,
)
from invoke_api.openai.errors import vllm_refusal
from invoke_api.pipeline.choices import ChoiceRequests

EMPTY = "The decoder prompt cannot be empty"
MAX_CHOICES = 1_024  # as many as an engine takes calls at once


class CompletionPrompt(NamedTuple):
    """One prompt: its token ids, and its text, which is empty for a prompt of token ids."""

    text: str
    tokens: tuple[int, ...]


def prompts_in(body: CompletionBody) -> Sequence[str | list[int]]:
    """Return the prompts of a body, one or several."""
    prompt = body.prompt
    if prompt is None:
        return []
    if isinstance(prompt, str):
        return [prompt]
    if prompt and isinstance(prompt[0], int):
        return [[each for each in prompt if isinstance(each, int)]]
    return [each for each in prompt if not isinstance(each, int)]


def read_prompts(
    body: CompletionBody, tokenizer: Tokenizer, context_length: int
) -> list[CompletionPrompt]:
    """Return the tokenised prompts. Raises `ValidationException` in vLLM's words."""
    _check_lengths(body, context_length)
    told = prompts_in(body)
    if not told:
        raise vllm_refusal("You must pass at least one prompt")
    found = []
    for prompt in told:
        if isinstance(prompt, str):
            tokens = _encode(prompt, body, tokenizer, context_length)
            found.append(CompletionPrompt(prompt, tokens))
        else:
            tokens = _truncate(tuple(prompt), body, context_length)
            found.append(CompletionPrompt("", tokens))
        if not tokens:
            raise vllm_refusal(EMPTY)
        if len(tokens) > context_length:
            raise _too_long(len(tokens), context_length)
    return found


def _check_lengths(body: CompletionBody, context_length: int) -> None:
    most, kept = body.max_tokens or 0, body.truncate_prompt_tokens
    if most > context_length:
        raise vllm_refusal(
            f"max_tokens={most} cannot be greater than max_model_len={context_length}."
            " Please request fewer output tokens.",
            "max_tokens",
            most,
        )
    if kept is not None and kept > context_length:
        raise vllm_refusal(
            f"truncate_prompt_tokens={kept} cannot be greater than max_model_len ="
            f" {context_length}. Please request a smaller truncation size.",
            "truncate_prompt_tokens",
            kept,
        )


def _encode(
    text: str, body: CompletionBody, tokenizer: Tokenizer, context_length: int
) -> tuple[int, ...]:
    text = _check_text(text, body, tokenizer, context_length)
    if body.truncate_prompt_tokens is not None:
        tokens = tokenizer.encode(text)
        if body.truncation_side is None and body.add_special_tokens:
            # The tokenizer cuts on the left, and keeps the BOS.
            kept = _kept_tokens(body, context_length)
            rest = _tail(tokens[1:], kept - 1) if kept else ()
            return (*tokens[:kept][:1], *rest)
    else:
        tokens = tokenizer.encode(text, enough=context_length)[: context_length + 1]
    return _truncate(tokens if body.add_special_tokens else tokens[1:], body, context_length)


def _check_text(text: str, body: CompletionBody, tokenizer: Tokenizer, context_length: int) -> str:
    """Return the text, or the end of it that may be kept.

    Raises `ValidationException` for a text that is too long whatever its tokens are.
    """
    if len(text) <= context_length:
        return text
    most = context_length * max(len(piece.decode(errors="ignore")) for piece in tokenizer.pieces)
    if len(text) <= most:
        return text
    if body.truncate_prompt_tokens is not None:
        return text[:most] if body.truncation_side == "right" else text[-most:]
    raise vllm_refusal(
        f"This model's maximum context length is {context_length} tokens. However, your prompt"
        f" contains {len(text)} characters (more than {most} characters, which is the upper bound"
        f" for {context_length} input tokens). Please reduce the length of the input prompt.",
        "input_text",
        len(text),
    )


def _kept_tokens(body: CompletionBody, context_length: int) -> int:
    """Return the number of a prompt's tokens to keep. -1 leaves room for one token of output."""
    kept = body.truncate_prompt_tokens
    assert kept is not None, "the caller has looked"
    return kept if kept >= 0 else context_length - bool(body.max_tokens)


def _truncate(
    tokens: tuple[int, ...], body: CompletionBody, context_length: int
) -> tuple[int, ...]:
    if body.truncate_prompt_tokens is None:
        return tokens
    kept = _kept_tokens(body, context_length)
    return tokens[:kept] if body.truncation_side == "right" else _tail(tokens, kept)


def _tail(tokens: tuple[int, ...], kept: int) -> tuple[int, ...]:
    return tokens[-kept:] if kept else ()


def _too_long(count: int, context_length: int) -> Exception:
    counted = f"{'at least ' if count == context_length + 1 else ''}{count}"
    return vllm_refusal(
        f"This model's maximum context length is {context_length} tokens. However, your prompt"
        f" contains {counted} input tokens, which exceeds this limit even without any output"
        " tokens. Please reduce the length of the input prompt.",
        "input_tokens",
        count,
    )


def to_choices(
    body: CompletionBody,
    prompts: Sequence[CompletionPrompt],
    context_length: int,
    tokenizer: Tokenizer,
    request_id: str,
) -> ChoiceRequests:
    """Return the engine's requests, `n` for each prompt.

    Raises `ValidationException`, and `RequestRefused` and `SchemaRefused` for what vLLM's engine
    refuses.
    """
    most = {prompt: _max_tokens(body, prompt, context_length) for prompt in prompts}
    for limit in most.values():
        check_bounds(body, limit)
    build = _template(body, tokenizer)
    _check_tokens(prompts, len(tokenizer.pieces))
    if len(prompts) * body.n > MAX_CHOICES:
        raise vllm_refusal(
            f"This server answers at most {MAX_CHOICES} choices in one request, got"
            f" {len(prompts) * body.n}."
        )
    requests = [
        build(f"{request_id}-{at}-{number}", prompt.tokens, most[prompt], number)
        for at, prompt in enumerate(prompts)
        for number in range(body.n)
    ]
    return ChoiceRequests(tuple(requests), sum(len(prompt.tokens) for prompt in prompts))


def _max_tokens(body: CompletionBody, prompt: CompletionPrompt, context_length: int) -> int:
    if body.echo and body.max_tokens == 0:
        return 1  # which nobody sees
    asked = 16 if body.max_tokens is None else body.max_tokens
    return min(asked, context_length - len(prompt.tokens))


def _check_tokens(prompts: Sequence[CompletionPrompt], vocabulary: int) -> None:
    for prompt in prompts:
        if (largest := max(prompt.tokens)) >= vocabulary:
            raise RequestRefused(f"Token id {largest} is out of vocabulary")


def _template(
    body: CompletionBody, tokenizer: Tokenizer
) -> Callable[[str, tuple[int, ...], int, int], GenerationRequest]:
    """Return a function that makes the request of one choice: by id, tokens, limit and number."""
    vocabulary = len(tokenizer.pieces)
    schema, constraint = to_constraint(body)
    bias = to_bias(body)
    check_ids(body, vocabulary)
    check_bad_words(body, lambda text: tokenizer.encode(text)[1:])
    seed = None if body.seed in (None, -1) else body.seed

    def build(
        request_id: str, tokens: tuple[int, ...], max_tokens: int, number: int
    ) -> GenerationRequest:
        return GenerationRequest(
            request_id=request_id,
            prompt=tokens,
            max_tokens=max_tokens,
            shortens=True,
            temperature=_or(body.temperature, 1.0),
            top_p=_or(body.top_p, 1.0),
            top_k=min(max(0, body.top_k or 0), vocabulary),
            min_p=body.min_p or 0.0,
            repetition_penalty=_or(body.repetition_penalty, 1.0),
            presence_penalty=body.presence_penalty or 0.0,
            frequency_penalty=body.frequency_penalty or 0.0,
            # vLLM gives each of `n` texts a seed of its own.
            seed=None if seed is None else min(seed + number, INT64 - 1),
            stop=stop_strings(body),
            stop_tokens=tuple(body.stop_token_ids or ()),
            keeps_stop=body.include_stop_str_in_output,
            ignores_eos=body.ignore_eos,
            min_tokens=body.min_tokens,
            logit_bias=bias,
            allowed_tokens=tuple(body.allowed_token_ids or ()),
            top_logprobs=body.logprobs,
            prompt_logprobs=scored_alternatives(body),
            bad_words=tuple(body.bad_words),
            repetition=to_repetition(body),
            cache_salt=body.cache_salt,
            schema=schema,
            constraint=constraint,
        )

    return build


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
