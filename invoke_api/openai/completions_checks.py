"""Checks of bodies of `/v1/completions` that vLLM makes before it reads their members. Pure."""

from collections.abc import Mapping
from typing import Any

from invoke_api.openai.errors import vllm_refusal

MAX_PROMPTS = 1_024
KINDS = ("json", "regex", "choice")
ONE_KIND = (
    "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice')."
)
NO_SCHEMA = "When response_format type is 'json_schema', the 'json_schema' field must be provided."
MAX_SALT_CHARACTERS = 128


def _check_prompt(body: Mapping[str, Any]) -> None:
    prompt, embeds = body.get("prompt"), body.get("prompt_embeds")
    for name, value in (("prompt", prompt), ("prompt_embeds", embeds)):
        if not isinstance(value, list) or len(value) <= MAX_PROMPTS:
            continue
        if name == "prompt_embeds" or not all(isinstance(each, int) for each in value):
            raise vllm_refusal(
                f"{name} list length {len(value)} exceeds the maximum allowed count of"
                f" {MAX_PROMPTS}. To increase this limit, set the VLLM_MAX_COMPLETION_PROMPTS"
                " environment variable.",
                name,
            )
    if prompt in (None, "") and embeds in (None, []):
        raise vllm_refusal(
            "Either prompt or prompt_embeds must be provided and non-empty.", "prompt"
        )


def _check_stream_options(body: Mapping[str, Any]) -> None:
    if body.get("stream_options") and not body.get("stream"):
        raise vllm_refusal(
            "Stream options can only be defined when `stream=True`.", "stream_options"
        )


def _check_score_ids(body: Mapping[str, Any]) -> None:
    if body.get("logprob_token_ids") and body.get("use_beam_search"):
        raise vllm_refusal(
            "`logprob_token_ids` is not supported with beam search.", "logprob_token_ids"
        )
    if body.get("use_beam_search") and body.get("echo") and body.get("logprobs") is not None:
        raise vllm_refusal(
            "`echo` with `logprobs` is not supported with beam search because beam search does not"
            " compute prompt logprobs.",
            "echo",
        )
    if body.get("logprob_token_ids") and body.get("echo") and body.get("max_tokens") == 0:
        raise vllm_refusal(
            "`logprob_token_ids` is not supported when `echo=True` and `max_tokens=0` because no"
            " output tokens are generated.",
            "logprob_token_ids",
        )
    if body.get("logprob_token_ids") and body.get("logprobs") is None:
        raise vllm_refusal(
            "when using `logprob_token_ids`, `logprobs` must be set.", "logprob_token_ids"
        )


def _check_logprobs(body: Mapping[str, Any]) -> None:
    for name in ("prompt_logprobs", "logprobs"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float):
            raise vllm_refusal(f"`{name}` must be an integer.", name, value)
        if name == "prompt_logprobs" and body.get("stream") and (value > 0 or value == -1):
            raise vllm_refusal("`prompt_logprobs` are not available when `stream=True`.", name)
        if value < 0 and value != -1:
            raise vllm_refusal(f"`{name}` must be a positive value or -1.", name, value)


def _check_outputs(body: Mapping[str, Any]) -> None:
    outputs, wanted = body.get("structured_outputs"), body.get("response_format")
    kinds = [outputs.get(kind) for kind in KINDS] if isinstance(outputs, dict) else []
    if len(kinds) - kinds.count(None) > 1:
        raise vllm_refusal(ONE_KIND, "structured_outputs")
    told = wanted if isinstance(wanted, dict) else {}
    if told.get("type") == "json_schema" and told.get("json_schema") is None:
        raise vllm_refusal(NO_SCHEMA, "response_format")


def _check_salt(body: Mapping[str, Any]) -> None:
    salt = body.get("cache_salt")
    if salt is None:
        return
    if not isinstance(salt, str) or not salt:
        raise vllm_refusal(
            "Parameter 'cache_salt' must be a non-empty string if provided.", "cache_salt"
        )
    if len(salt) > MAX_SALT_CHARACTERS or not set("@/\\\0").isdisjoint(salt):
        raise vllm_refusal(
            "Parameter 'cache_salt' must be at most 128 characters and must not contain '@', '/',"
            " '\\\\', or NUL.",
            "cache_salt",
        )


# In vLLM's order.
CHECKS = (
    _check_prompt,
    _check_stream_options,
    _check_score_ids,
    _check_logprobs,
    _check_outputs,
    _check_salt,
)
