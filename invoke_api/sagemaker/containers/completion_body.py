"""TGI 3's body of completions, which its endpoint takes beside `inputs` and chats. Pure.

Source: router/src/{lib,server}.rs of huggingface/text-generation-inference v3.3.7. `model` changes
nothing here: in TGI it is the name of an adapter, and no endpoint here has loaded any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.tokenization.tokenizer import Tokenizer
from invoke_api.models.endpoints import Endpoint
from invoke_api.pipeline.choices import ChoiceRequests
from invoke_api.sagemaker.containers.chat_body import NO_FORM
from invoke_api.sagemaker.containers.errors import tgi_error
from invoke_api.sagemaker.containers.parameters import STRINGS, TGI_3, TGI_COMPLETION, Parameter
from invoke_api.sagemaker.containers.tgi_body import BodyRefused, TgiRequest, read_members
from invoke_api.sagemaker.containers.tgi_generation import to_tgi_generation

DEFAULT_TOKENS = 100
SUFFIX = "Suffix is not supported and can be achieved by preprocessing the prompt."
PROMPTS = {"prompt": Parameter(STRINGS, may_be_null=False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TgiCompletionBody:
    """Completions as TGI reads them: one request in its own form for each prompt."""

    asked: tuple[TgiRequest, ...]
    stream: bool

    @property
    def text(self) -> str:
        return "\n".join(each.inputs for each in self.asked)


def read_tgi_completion(
    value: Mapping[str, Any], text: str, endpoint: Endpoint
) -> TgiCompletionBody:
    """Return the completions in a parsed body with this text. Raises `BodyRefused`."""
    given = read_members(value, TGI_COMPLETION, text, ())
    prompts = value["prompt"]
    if isinstance(prompts, str):
        prompts = [prompts]
    read_members({"prompt": prompts}, PROMPTS, text, ())
    if not prompts:
        raise BodyRefused(422, NO_FORM)
    if given["suffix"] is not None:
        raise BodyRefused(422, tgi_error(SUFFIX, "suffix not supported"))
    most = endpoint.max_client_batch_size
    if len(prompts) > most:
        said = f"Number of prompts exceeds the maximum allowed batch size of {most}"
        raise BodyRefused(422, tgi_error(said, "batch size exceeded"))
    parameters = _to_parameters(given)
    return TgiCompletionBody(
        asked=tuple(TgiRequest(inputs=prompt, parameters=parameters) for prompt in prompts),
        stream=given["stream"],
    )


def _to_parameters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of TGI's own form, as TGI translates them."""
    temperature, most = given["temperature"], given["max_tokens"]
    is_greedy = temperature == 0
    return {
        **{name: parameter.default for name, parameter in TGI_3.items()},
        "do_sample": not is_greedy,
        "temperature": None if is_greedy else temperature,
        "repetition_penalty": given["repetition_penalty"],
        "frequency_penalty": given["frequency_penalty"],
        "top_p": given["top_p"],
        "max_new_tokens": DEFAULT_TOKENS if most is None else most,
        "stop": given["stop"] or (),
        "seed": given["seed"],
    }


def to_completions(
    body: TgiCompletionBody, endpoint: Endpoint, tokenizer: Tokenizer, request_id: str
) -> ChoiceRequests:
    """Return the engine's requests for all prompts. Raises `RequestRefused` in TGI's words."""
    requests = tuple(
        to_tgi_generation(asked, endpoint, tokenizer, f"{request_id}-{number}")
        for number, asked in enumerate(body.asked)
    )
    return ChoiceRequests(requests, sum(len(each.prompt) for each in requests), cuts_text=False)
