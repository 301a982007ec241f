"""The parameters of each container's body, with their types and defaults. Pure.

Sources: router/src/lib.rs of huggingface/text-generation-inference, tags v1.1.0 and v3.3.7, and the
page "LMI handlers inference API schema" of deepjavalibrary/djl-serving. Guess: LMI's types are as
strict as TGI's.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Integer(NamedTuple):
    """An integer type of Rust: its name and its bounds."""

    name: str
    least: int
    most: int


U32 = Integer("u32", 0, 2**32 - 1)
U64 = Integer("u64", 0, 2**64 - 1)
USIZE = Integer("usize", 0, 2**64 - 1)
I32 = Integer("i32", -(2**31), 2**31 - 1)
F32, BOOL, STRING, STRINGS, MAP = "f32", "a boolean", "a string", "a sequence", "a map"
INTEGERS, NUMBERS = "a sequence of integers", "a sequence of numbers"
Kind = Integer | str


class Parameter(NamedTuple):
    """A parameter's type and default. Only those that `may_be_null` take null.

    `key` is its name in the body, if it has another one here.
    """

    kind: Kind
    default: Any = None
    may_be_null: bool = True
    key: str | None = None


Table = Mapping[str, Parameter]
# The parameters of all containers.
COMMON: Table = {
    "best_of": Parameter(USIZE),
    "temperature": Parameter(F32),
    "repetition_penalty": Parameter(F32),
    "top_k": Parameter(I32),
    "top_p": Parameter(F32),
    "do_sample": Parameter(BOOL, default=False, may_be_null=False),
    "return_full_text": Parameter(BOOL),
    "details": Parameter(BOOL, default=False, may_be_null=False),
    "decoder_input_details": Parameter(BOOL, default=False, may_be_null=False),
    "seed": Parameter(U64),
}
TGI_1: Table = {
    **COMMON,
    "typical_p": Parameter(F32),
    "max_new_tokens": Parameter(U32, default=20, may_be_null=False),
    "stop": Parameter(STRINGS, default=(), may_be_null=False),
    "truncate": Parameter(USIZE),
    "watermark": Parameter(BOOL, default=False, may_be_null=False),
    "top_n_tokens": Parameter(U32),
}
TGI_3: Table = {
    **TGI_1,
    "max_new_tokens": Parameter(U32),  # as many as fit
    "frequency_penalty": Parameter(F32),
    "grammar": Parameter(MAP),
    "adapter_id": Parameter(STRING),
}
LMI: Table = {
    **COMMON,
    "max_new_tokens": Parameter(U32, default=30),
    "stop": Parameter(STRINGS, default=(), key="stop_sequences"),
    "min_p": Parameter(F32),
    "presence_penalty": Parameter(F32),
    "frequency_penalty": Parameter(F32),
    "n": Parameter(USIZE),
    "num_beams": Parameter(USIZE),
    "stop_token_ids": Parameter(INTEGERS, default=()),
    "include_stop_str_in_output": Parameter(BOOL, default=False),
    "ignore_eos_token": Parameter(BOOL, default=False),
}
# The members of a chat that TGI reads, but for the conversation.
TGI_CHAT: Table = {
    "model": Parameter(STRING),
    "frequency_penalty": Parameter(F32),
    "logit_bias": Parameter(NUMBERS),
    "logprobs": Parameter(BOOL),
    "top_logprobs": Parameter(U32),
    "max_tokens": Parameter(U32),
    "max_completion_tokens": Parameter(U32),
    "n": Parameter(U32),
    "presence_penalty": Parameter(F32),
    "stop": Parameter(STRINGS),
    "stream": Parameter(BOOL, default=False, may_be_null=False),
    "seed": Parameter(U64),
    "temperature": Parameter(F32),
    "top_p": Parameter(F32),
    "tool_prompt": Parameter(STRING),
    "response_format": Parameter(MAP),
    "stream_options": Parameter(MAP, default={}, may_be_null=False),
}
# The members of completions that TGI reads, but for the prompt.
TGI_COMPLETION: Table = {
    "model": Parameter(STRING),
    "max_tokens": Parameter(U32),
    "temperature": Parameter(F32),
    "top_p": Parameter(F32),
    "stream": Parameter(BOOL, default=False, may_be_null=False),
    "seed": Parameter(U64),
    "suffix": Parameter(STRING),
    "repetition_penalty": Parameter(F32),
    "frequency_penalty": Parameter(F32),
    "stop": Parameter(STRINGS),
}
