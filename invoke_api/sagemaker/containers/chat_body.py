"""Bodies of Chat Completions that containers take on their own path. Pure.

TGI 3 makes a request of its own form of them (router/src/{lib,sagemaker}.rs, v3.3.7): its bounds
and words are those of `tgi_generation.py`. `n`, `logit_bias` and `tool_prompt` change nothing here,
and in TGI only the last one does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from invoke_api.models.registry import Model
from invoke_api.sagemaker.containers.errors import tgi_error
from invoke_api.sagemaker.containers.grammar import is_grammar
from invoke_api.sagemaker.containers.parameters import TGI_3, TGI_CHAT
from invoke_api.sagemaker.containers.tgi_body import BodyRefused, TgiRequest, read_members
from invoke_api.wire.errors import ValidationException

# serde's words for a body that is none of TGI's three forms. Guess: without a place, from serde's
# source.
NO_FORM = (
    "Failed to deserialize the JSON body into the target type: data did not match any variant of"
    " untagged enum SagemakerRequest"
)
EXCLUSIVE = "Tool error: Grammar and tools are mutually exclusive"
CONVERSATION = ("messages", "tools", "tool_choice")  # the members that the model's template reads
CONTENT = "(a conversation)"  # stands for the prompt in checks of its emptiness


@dataclass(frozen=True, slots=True, kw_only=True)
class TgiChatBody:
    """A chat as TGI reads it.

    `body` is the conversation as OpenAI's API has it, and `asked` has the parameters in TGI's form.
    """

    asked: TgiRequest
    body: dict[str, Any]
    name: str | None
    scores: bool
    tells_usage: bool


def read_tgi_chat(value: Mapping[str, Any], text: str, model: Model) -> TgiChatBody:
    """Return the chat in a parsed body with this text. Raises `BodyRefused`."""
    given = read_members(value, TGI_CHAT, text, ())
    wanted = given["response_format"]
    if wanted is not None and not is_grammar(wanted):
        raise BodyRefused(422, NO_FORM)
    options = given["stream_options"]
    usage = options.get("include_usage", False)
    if not isinstance(usage, bool):
        raise BodyRefused(422, NO_FORM)
    conversation = {key: value[key] for key in CONVERSATION if value.get(key) is not None}
    try:
        body = model.fill_body(conversation)
    except ValidationException as error:
        raise BodyRefused(422, NO_FORM) from error
    if wanted and body.get("tools"):
        raise BodyRefused(422, tgi_error(EXCLUSIVE, "tool_error"))
    return TgiChatBody(
        asked=TgiRequest(
            inputs=CONTENT, stream=given["stream"], parameters=_to_parameters(given, wanted)
        ),
        body=body,
        name=given["model"],
        scores=bool(given["logprobs"]),
        tells_usage=usage,
    )


def _to_parameters(given: Mapping[str, Any], grammar: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the parameters of TGI's own form, as TGI translates them."""
    presence, temperature = given["presence_penalty"], given["temperature"]
    is_greedy, most = temperature == 0, given["max_tokens"]
    own = {name: parameter.default for name, parameter in TGI_3.items()}
    return {
        **own,
        "do_sample": not is_greedy,
        "temperature": None if is_greedy else temperature,
        "repetition_penalty": None if presence is None else presence + 2.0,
        "frequency_penalty": given["frequency_penalty"],
        "top_p": given["top_p"],
        "max_new_tokens": given["max_completion_tokens"] if most is None else most,
        "stop": given["stop"] or (),
        "seed": given["seed"],
        "top_n_tokens": given["top_logprobs"],
        "grammar": grammar,
        "details": bool(given["logprobs"]),
    }
