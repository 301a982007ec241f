"""Errors of the model servers for unknown keys and invalid values."""

from typing import Any

from tests.fidelity.case import GUESS, Case, invalid
from tests.fidelity.converse import PREFIX, STDAPI, refused
from tests.fidelity.error_events import document, event, streamed
from tests.support.servers import (
    LARGE,
    LARGE_3,
    LARGE_2407,
    MINISTRAL_3B,
    MIXTRAL,
    PIXTRAL,
    SEVEN_B,
    SMALL,
)

QWEN = (
    "BerriAI/litellm#17471 (2025-12, of Qwen behind the same server), in the document that"
    " recordings of 2026 have. In 2026-08 Converse accepted such keys and ignored them"
)
FORMS = "serde's sentences, in the form that is recorded of reasoning_effort"
IN_VLLM = "vLLM's sentence, in the form that is recorded of vLLM's other refusals"
DESERIALIZE_FAILED = "Failed to deserialize the JSON body into the target type: "
KEYS = (
    *("audio", "frequency_penalty", "function_call", "functions", "include_reasoning"),
    *("logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "messages", "metadata"),
    *("modalities", "model", "n", "parallel_tool_calls", "prediction", "presence_penalty"),
    *("prompt_cache_key", "reasoning_effort", "response_format", "safety_identifier", "seed"),
    *("service_tier", "stop", "store", "stream", "stream_options", "temperature", "text"),
    *("tool_choice", "tools", "top_k", "top_logprobs", "top_p", "user", "verbosity"),
    "web_search_options",
)
# The probes' prompt.
FRIENDS = (
    "Three friends split a bill. Ana paid 3/5 of the total, Ben paid 12 euros, and Cleo paid the"
    " rest, which was half of what Ben paid. What was the total? Answer with the number only."
)
OK = "Reply with the single word OK."
NO_TOOLS = "When using `tool_choice`, `tools` must be set."
NO_SUCH_TOOL = "The tool specified in `tool_choice` does not match any of the specified `tools`"
FORCED = {
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": {"type": "function", "function": {"name": "g"}},
}
MINIMAL = (
    "SubmitRequestFailure: SubmitRequestFailure: code=-32602, msg=1 validation error for"
    " ChatCompletionRequest\nreasoning_effort\n  Input should be 'none', 'low', 'medium' or 'high'"
    " [type=literal_error, input_value='minimal', input_type=str]\n    For further information"
    " visit https://errors.pydantic.dev/2.13/v/literal_error"
)
TOO_LONG = (
    "This model's maximum context length is 262144 tokens. However, you requested 262144 output"
    " tokens and your prompt contains at least 1 input tokens, for a total of at least 262145"
    " tokens. Please reduce the length of the input prompt or the number of requested output"
    " tokens. (parameter=input_tokens, value=1)"
)

NO_PREFILL = (
    "Cannot set `add_generation_prompt` to True when the last message is from the assistant."
    " Consider using `continue_final_message` instead."
)


def unknown(key: str) -> str:
    known = ", ".join(f"`{each}`" for each in KEYS)
    return f"{DESERIALIZE_FAILED}unknown variant `{key}`, expected one of {known}"


def invoked(name: str, message: str, seen: str, why: str = "", **body: Any) -> Case:
    """Return a row with an error of Large 3's InvokeModel, streamed and not."""
    chat = {"messages": [{"role": "user", "content": "Hi"}], **body}
    return invalid(name, document(message), seen, why=why, model=LARGE_3, body=chat)


def told(model: str, text: str, tokens: int, more: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [{"role": "user", "content": [{"text": text}]}],
        "inferenceConfig": {"maxTokens": tokens},
        "additionalModelRequestFields": more,
    }


def in_pydantics_words(kind: str, key: str, value: str, type_: str) -> str:
    return (
        f"{PREFIX}Validation Error: 1 validation error for {kind}\n{key}\n  Extra inputs are not"
        f" permitted [type=extra_forbidden, input_value={value}, input_type={type_}]\n    For"
        " further information visit https://errors.pydantic.dev/2.10/v/extra_forbidden"
    )


OF_2407 = (
    '{"detail":[{"type":"extra_forbidden","loc":["body","function-after[has_tool_execution_data_for'
    '_all_tools(), ChatCompletionRequest]","top_k"],"msg":"Extra inputs are not permitted","input":'
    '10},{"type":"missing","loc":["body","CompletionRequest","prompt"],"msg":"Field required",'
    '"input":BODY},{"type":"extra_forbidden","loc":["body","CompletionRequest","messages"],"msg":'
    '"Extra inputs are not permitted","input":MESSAGES},{"type":"extra_forbidden","loc":["body",'
    '"CompletionRequest","top_k"],"msg":"Extra inputs are not permitted","input":10},{"type":'
    '"missing","loc":["body","FIMCompletionRequest","prompt"],"msg":"Field required","input":BODY},'
    '{"type":"extra_forbidden","loc":["body","FIMCompletionRequest","messages"],"msg":"Extra inputs'
    ' are not permitted","input":MESSAGES},{"type":"extra_forbidden","loc":["body",'
    '"FIMCompletionRequest","top_k"],"msg":"Extra inputs are not permitted","input":10}],"body":'
    "BODY}"
)
OCR = (
    ',{"type":"missing","loc":["body","OCRRequest","document"],"msg":"Field required","input":'
    'BODY},{"type":"extra_forbidden","loc":["body","OCRRequest","messages"],"msg":"Extra inputs are'
    ' not permitted","input":MESSAGES},{"type":"extra_forbidden","loc":["body","OCRRequest",'
    '"max_tokens"],"msg":"Extra inputs are not permitted","input":64},{"type":"extra_forbidden",'
    '"loc":["body","OCRRequest","top_k"],"msg":"Extra inputs are not permitted","input":10}'
)
CHECKED = "function-after[has_tool_execution_data_for_all_tools(), ChatCompletionRequest]"
OF_PIXTRAL = OF_2407.replace(CHECKED, "ChatCompletionRequest").replace(
    '],"body":BODY}', f'{OCR}],"body":BODY}}'
)


def filled(form: str, messages: str) -> str:
    body = f'{{"messages":{messages},"max_tokens":64,"top_k":10}}'
    return PREFIX + form.replace("BODY", body).replace("MESSAGES", messages)


def extra(name: str, message: str, body: dict[str, Any], region: str = "us-east-1") -> Case:
    """Return a row with a key that Converse forwards and the server does not know. Recorded."""
    model = body.pop("model")
    operations = ("converse", "converse-stream")
    more = {"operations": operations, "model": model, "region": region, "body": body}
    return invalid(name, message, STDAPI, **more)


EXTRA = [
    *(
        extra(
            f"a key that {name} does not know",
            in_pydantics_words(kind, "stdapi_probe_unknown", "1", "int"),
            told(model, OK, 64, {"stdapi_probe_unknown": 1}),
        )
        for name, model, kind in (
            ("7B", SEVEN_B, "TextToTextCompletionRequest"),
            ("Mixtral", MIXTRAL, "TextToTextCompletionRequest"),
            ("Small 2402", SMALL, "ThirdPartyChatCompletionRequest"),
            ("Large 2402", LARGE, "ThirdPartyChatCompletionRequest"),
        )
    ),
    extra(
        "a map that 7B does not know",
        in_pydantics_words(
            "TextToTextCompletionRequest",
            "reasoning_config",
            "{'budget_tokens': 1024, 'type': 'enabled'}",
            "dict",
        ),
        told(
            SEVEN_B, FRIENDS, 4096, {"reasoning_config": {"type": "enabled", "budget_tokens": 1024}}
        ),
    ),
    extra(
        "top_k to Large 2407",
        filled(OF_2407, f'[{{"role":"user","content":"{OK}"}}]'),
        told(LARGE_2407, OK, 64, {"top_k": 10}),
        region="us-west-2",
    ),
    extra(
        "top_k to Pixtral",
        filled(OF_PIXTRAL, f'[{{"role":"user","content":[{{"type":"text","text":"{OK}"}}]}}]'),
        told(PIXTRAL, OK, 64, {"top_k": 10}),
    ),
    *(
        extra(
            f"reasoning_config to {name}",
            PREFIX
            + document(
                f"{DESERIALIZE_FAILED}Invalid 'reasoning_effort': unknown variant"
                " `budget_tokens`, expected one of `high`, `low`, `medium`, `minimal`, `none`,"
                f" `xhigh` at line 1 column {column}"
            ),
            told(
                model,
                FRIENDS,
                4096,
                {"reasoning_config": {"type": "enabled", "budget_tokens": 1024}},
            ),
        )
        for name, model, column in (
            ("Large 3", LARGE_3, 374),
            ("Ministral 8B", "mistral.ministral-3-8b-instruct", 368),
            ("Magistral", "mistral.magistral-small-2509", 365),
            ("Devstral", "mistral.devstral-2-123b", 360),
        )
    ),
    extra(
        "a reasoning_effort that vLLM does not take",
        PREFIX + document(MINIMAL),
        told(MINISTRAL_3B, FRIENDS, 4096, {"reasoning_effort": "minimal"}),
    ),
]

BODIES = [
    invoked("a key that Large 3 does not know", unknown("prompt"), QWEN, prompt="a"),
    invoked(
        "another",
        unknown("thinking"),
        "a client's report of DeepSeek and gpt-oss behind the same server, 2026-01",
        thinking={"type": "enabled"},
    ),
    invoked(
        "two answers",
        "'n' is not supported for values greater than 1",
        f"{STDAPI}, of Qwen on bedrock-mantle",
        n=2,
    ),
    *(
        invoked(name, f"{DESERIALIZE_FAILED}Invalid {message}", GUESS, FORMS, **body)
        for name, message, body in (
            (
                "a temperature that is a text",
                "'temperature': invalid type: string \"hot\", expected f32 at line 1 column 137",
                {"temperature": "hot"},
            ),
            (
                "a negative max_tokens",
                "'max_tokens': invalid value: integer `-1`, expected u32 at line 1 column 133",
                {"max_tokens": -1},
            ),
        )
    ),
    invoked(
        "min_p and repetition_penalty are keys of vLLM's and not of the server before it",
        unknown("min_p"),
        GUESS,
        "the recorded list of keys has neither",
        min_p=0.1,
        repetition_penalty=1.1,
    ),
    invoked(
        "audio in the answer",
        "'audio' is not supported",
        GUESS,
        "the server knows the key; the form is that of n",
        audio={"voice": "a"},
    ),
    invoked(
        "another model than that of the path",
        "The value in the model field must match the one in the header.",
        GUESS,
        "the User Guide's rule (model-parameters-openai) as a sentence",
        model="mistral.mistral-7b-instruct-v0:2",
    ),
]

REFUSALS = [
    Case(
        name="a stream from InvokeModel",
        seen=GUESS,
        why="the User Guide's rule (model-parameters-openai) as a sentence",
        operations=("invoke",),
        model=LARGE_3,
        body={"messages": [{"role": "user", "content": "Hi"}], "stream": True},
        status=400,
        code="ValidationException",
        message=document(
            "The value in the stream field must match the API operation that you use."
        ),
    ),
    *(
        Case(
            name=f"{name}, {operation}",
            seen=GUESS,
            why=why,
            operations=(operation,),
            model=LARGE_3,
            body={"messages": [{"role": "user", "content": "Hi"}], **body},
            status=400,
            code="ValidationException",
            message=said,
            in_stream=operation != "invoke",
        )
        for name, message, body, why in (
            (
                "a penalty over 2",
                "presence_penalty must be in [-2, 2], got 3.",
                {"presence_penalty": 3},
                IN_VLLM,
            ),
            ("a forced call without tools", NO_TOOLS, {"tool_choice": "required"}, IN_VLLM),
            ("a forced call of a tool that is not offered", NO_SUCH_TOOL, FORCED, IN_VLLM),
            (
                "more tokens than fit",
                TOO_LONG,
                {"max_tokens": 262_144},
                "vLLM's sentence as recorded of Qwen and GLM behind the same server, 2026",
            ),
        )
        for operation, said in (
            ("invoke", document(event(message))),
            ("invoke-with-response-stream", streamed(message)),
        )
    ),
    refused(
        "a conversation that is too long for Large 3",
        PREFIX + document(event(TOO_LONG)),
        GUESS,
        why="vLLM's sentence as recorded of Qwen and GLM behind the same server, 2026",
        operations=("converse",),
        model=LARGE_3,
        inferenceConfig={"maxTokens": 262_144},
    ),
    refused(
        "a conversation that is too long for Large 3, streamed",
        PREFIX + streamed(TOO_LONG),
        "a client's model catalogue, of Writer's Palmyra behind the same server, 2026-10",
        operations=("converse-stream",),
        model=LARGE_3,
        in_stream=True,
        inferenceConfig={"maxTokens": 262_144},
    ),
    *(
        refused(
            f"a last turn of the assistant's to {name}",
            PREFIX + document(event(NO_PREFILL)),
            STDAPI,
            operations=("converse",),
            model=model,
            messages=[
                {"role": "user", "content": [{"text": "Name a colour."}]},
                {"role": "assistant", "content": [{"text": "The colour is"}]},
            ],
        )
        for name, model in (
            ("Large 3", LARGE_3),
            ("Ministral 8B", "mistral.ministral-3-8b-instruct"),
            ("Magistral", "mistral.magistral-small-2509"),
            ("Devstral", "mistral.devstral-2-123b"),
        )
    ),
    refused(
        "maxTokens over Magistral's",
        "The maximum tokens you requested exceeds the model limit of 131072."
        " Try again with a maximum tokens value that is lower than 131072.",
        GUESS,
        why="Nova's sentence (2026-06), with the limit that ListFoundationModels reports",
        model="mistral.magistral-small-2509",
        inferenceConfig={"maxTokens": 131_073},
    ),
    refused(
        "messages beside Large 3's messages",
        PREFIX + document(f"{DESERIALIZE_FAILED}duplicate field `messages`"),
        GUESS,
        why="serde's sentence",
        model=LARGE_3,
        additionalModelRequestFields={"messages": []},
    ),
]

TAKEN = [
    Case(
        name=f"{name} is accepted",
        seen=seen,
        why=why,
        model=LARGE_3,
        body={"messages": [{"role": "user", "content": "Hi"}], **body},
    )
    for name, seen, why, body in (
        (
            "model, the same",
            "the User Guide, model-parameters-openai",
            "",
            {"model": LARGE_3},
        ),
        ("max_completion_tokens", QWEN, "", {"max_completion_tokens": 5}),
        ("top_k", f"{STDAPI}, of Converse", "", {"top_k": 10}),
        ("reasoning_effort low", f"{STDAPI}, of Converse", "", {"reasoning_effort": "low"}),
        ("n 1", QWEN, "", {"n": 1}),
        ("stop as a text", GUESS, "OpenAI's", {"stop": "zzz"}),
        ("null", GUESS, "OpenAI's optional members may be null", {"seed": None, "stop": None}),
        (
            "a key that has no effect on an answer",
            QWEN,
            "",
            {
                "user": "a",
                "safety_identifier": "b",
                "metadata": {"c": "d"},
                "prompt_cache_key": "e",
                "store": False,
            },
        ),
        (
            "a penalty and a seed",
            f"{STDAPI}, of Qwen on bedrock-mantle",
            "",
            {"frequency_penalty": 0.5, "seed": 42},
        ),
    )
]

TABLE = [*EXTRA, *BODIES, *REFUSALS, *TAKEN]
