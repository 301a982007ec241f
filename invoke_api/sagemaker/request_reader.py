"""Bodies of InvokeEndpoint, read as each container does."""

from collections.abc import Callable, Mapping
from random import getrandbits
from typing import Any, TypedDict

from invoke_api.models.endpoints import Endpoint
from invoke_api.models.registry import Model
from invoke_api.pipeline.call import Call
from invoke_api.pipeline.offload import estimate_size
from invoke_api.sagemaker.chat_model import as_chat
from invoke_api.sagemaker.chat_requests import LmiChatRequest, TgiChatRequest, read_lmi_chat
from invoke_api.sagemaker.completion_request import TgiCompletionRequest
from invoke_api.sagemaker.containers.chat_body import NO_FORM, read_tgi_chat
from invoke_api.sagemaker.containers.completion_body import read_tgi_completion
from invoke_api.sagemaker.containers.errors import LMI_STATUS, lmi_error
from invoke_api.sagemaker.containers.kinds import CONTAINERS
from invoke_api.sagemaker.containers.tgi_body import (
    BodyRefused,
    TgiRequest,
    parse_body,
    read_tgi_body,
)
from invoke_api.sagemaker.containers.tgi_chat_writer import DONE
from invoke_api.sagemaker.containers.tgi_generation import (
    MAX_ENGINE_SEED,
    count_sequences,
    samples,
    wants_details,
)
from invoke_api.sagemaker.endpoint_request import EndpointRequest, InputsRequest
from invoke_api.sagemaker.errors import EndpointErrors
from invoke_api.wire.errors import ModelError

MAX_DRAWN = 1_024  # seeds: more sequences are refused later


class Shared(TypedDict):
    """The members that the requests of all kinds have."""

    model: Model
    endpoint: Endpoint
    request_id: str
    is_framed: bool
    size: int


def read_request(
    call: Call, endpoint: Endpoint, model: Model, *, is_framed: bool
) -> EndpointRequest:
    """Return the request in a body. Raises `ModelError` for one that the container refuses."""
    shared = Shared(
        model=model,
        endpoint=endpoint,
        request_id=call.request_id,
        is_framed=is_framed,
        size=estimate_size(call.body),
    )
    try:
        value = parse_body(call.body, call.header_text.get("content-type", ""))
        return READERS[endpoint.container](call, value, shared)
    except BodyRefused as refusal:
        if endpoint.container == "lmi":
            raise ModelError(LMI_STATUS, lmi_error(refusal.text)) from None
        raise ModelError(refusal.status, refusal.text) from None


def _read_inputs(call: Call, value: Any, shared: Shared) -> EndpointRequest:  # noqa: ANN401 - any JSON
    """Return the request in a body of `inputs`. Raises `BodyRefused`."""
    endpoint = shared["endpoint"]
    container = CONTAINERS[endpoint.container]
    repeats = container.repeats == "always" or (
        container.repeats == "hub" and endpoint.has_hub_model
    )
    asked = read_tgi_body(value, call.body.decode(), container, full_text=repeats)
    return InputsRequest(**shared, asked=asked, seeds=_draw_seeds(asked))


def _read_lmi(call: Call, value: Any, shared: Shared) -> EndpointRequest:  # noqa: ANN401 - any JSON
    """Return the request in a body of LMI's forms. Raises `BodyRefused` and `ModelError`."""
    if not isinstance(value, dict) or "messages" not in value:
        return _read_inputs(call, value, shared)
    shared["model"] = as_chat(shared["model"])
    return LmiChatRequest(**shared, inner=read_lmi_chat(call, shared["model"], value))


def _read_tgi_3(call: Call, value: Any, shared: Shared) -> EndpointRequest:  # noqa: ANN401 - any JSON
    """Return the request in a body of the first of TGI 3's forms that it has.

    Raises `BodyRefused`: with TGI's own error, or with serde's about a body of none of the forms.
    """
    try:
        return _read_inputs(call, value, shared)
    except BodyRefused as refusal:
        if not isinstance(value, dict):
            raise BodyRefused(refusal.status, NO_FORM) from None
    if isinstance(call.errors, EndpointErrors):
        call.errors.done, call.errors.is_chat = DONE, "messages" in value
    try:
        return _read_openai_form(call, value, shared)
    except BodyRefused as refusal:
        text = refusal.text if refusal.text.startswith("{") else NO_FORM
        raise BodyRefused(refusal.status, text) from None


def _read_openai_form(call: Call, value: Mapping[str, Any], shared: Shared) -> EndpointRequest:
    """Return the request in a body of a chat or of completions. Raises `BodyRefused`."""
    text = call.body.decode()
    if "messages" in value:
        shared["model"] = as_chat(shared["model"])
        return TgiChatRequest(**shared, chat=read_tgi_chat(value, text, shared["model"]))
    if "prompt" in value:
        completion = read_tgi_completion(value, text, shared["endpoint"])
        return TgiCompletionRequest(**shared, completion=completion)
    raise BodyRefused(422, NO_FORM)


READERS: Mapping[str, Callable[[Call, Any, Shared], EndpointRequest]] = {
    "tgi-1.1": _read_inputs,
    "tgi-3": _read_tgi_3,
    "lmi": _read_lmi,
}


def _draw_seeds(asked: TgiRequest) -> tuple[int, ...]:
    """Return a seed for each sequence, if the answer tells them. TGI draws them, too."""
    parameters, count = asked.parameters, count_sequences(asked.parameters)
    if (seed := parameters["seed"]) is not None:  # LMI has sequences of one seed: the next ones
        return tuple((seed + number) & MAX_ENGINE_SEED for number in range(min(count, MAX_DRAWN)))
    if samples(parameters) and wants_details(asked):
        return tuple(getrandbits(63) for _ in range(min(count, MAX_DRAWN)))
    return ()
