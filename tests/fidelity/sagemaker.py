"""SageMaker Runtime's endpoints with TGI 1.1 inside, as JumpStart makes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.fidelity.case import GUESS

NAME = "huggingface-llm-mistral-7b-instruct"
MODELLED = "botocore 1.44.8, sagemaker-runtime 2017-05-13"
SOURCE = "the source of TGI v1.1.0"
RECORDED = "a recorded answer with TGI inside"
REPORTED = "quoted in clients' issues"
VARIANT = {"x-Amzn-Invoked-Production-Variant": "AllTraffic"}
INVALID = "Input validation error: "
FAILED = "Failed to deserialize the JSON body into the target type: "
TOKEN = '{"token":{"id":<ID>,"text":"<TEXT>","logprob":<LOGPROB>,"special":false},'

BEST_OF_TWO = {"best_of": 2, "do_sample": True, "details": True, "max_new_tokens": 1}
SEQUENCE = (
    '"finish_reason":"length","generated_tokens":1,"seed":<ID>,"prefill":[],"tokens":['
    '{"id":<ID>,"text":"<TEXT>","logprob":<LOGPROB>,"special":false}]'
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One request and its answer, in which `<NAMES>` stand for what differs each time."""

    name: str
    seen: str
    why: str = ""
    endpoint: str = NAME
    step: str = "invocations"
    body: Any = field(default_factory=lambda: {"inputs": "Hi"})
    content_type: str = "application/json"
    status: int = 200
    answer: str
    headers_back: Mapping[str, str] = field(default_factory=dict)


def wrapped(name: str, seen: str, body: Any, status: int, inner: str, **more: Any) -> Row:
    """Return the row of a request that the container refuses."""
    group = f"/aws/sagemaker/Endpoints/{NAME}"
    document = {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL",
        "LogStreamArn": f"arn:aws:logs:us-east-1:123456789012:log-group:{group}",
        "Message": (
            f'Received client error ({status}) from primary with message "{inner}". See'
            " https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
            f"#logEventViewer:group={group} in account 123456789012 for more information."
        ),
        "OriginalMessage": inner,
        "OriginalStatusCode": status,
    }
    return Row(
        name=name,
        seen=seen,
        body=body,
        status=424,
        answer=orjson.dumps(document).decode(),
        headers_back={"x-amzn-ErrorType": "ModelError"},
        **more,
    )


def invalid(sentence: str, **parameters: Any) -> Row:
    """Return the row of a parameter out of its bounds."""
    inner = orjson.dumps({"error": INVALID + sentence, "error_type": "validation"}).decode()
    body = {"inputs": parameters.pop("inputs", "Hi"), "parameters": parameters}
    return wrapped(sentence, SOURCE, body, 422, inner)


TOO_MANY = (
    "`inputs` tokens + `max_new_tokens` must be <= 8192. Given: 2 `inputs` tokens and 8191"
    " `max_new_tokens`"
)
TABLE = [
    Row(
        name="a whole answer",
        seen=SOURCE,
        answer='[{"generated_text":"<TEXT>"}]',
        headers_back={"Content-Type": "application/json", **VARIANT},
    ),
    Row(
        name="a whole answer with details",
        seen=SOURCE,
        body={"inputs": "Hi", "parameters": {"details": True, "max_new_tokens": 1}},
        answer='[{"generated_text":"<TEXT>","details":{"finish_reason":"length",'
        '"generated_tokens":1,"seed":null,"prefill":[],"tokens":[{"id":<ID>,"text":"<TEXT>",'
        '"logprob":<LOGPROB>,"special":false}]}}]',
    ),
    Row(
        name="the tokens of the prompt",
        seen=SOURCE,
        body={"inputs": "Hi", "parameters": {"decoder_input_details": True, "max_new_tokens": 1}},
        answer='[{"generated_text":"<TEXT>","details":{"finish_reason":"length",'
        '"generated_tokens":1,"seed":null,"prefill":[{"id":1,"text":"<s>","logprob":null},'
        '{"id":<ID>,"text":"<TEXT>","logprob":<LOGPROB>}],"tokens":['
        '{"id":<ID>,"text":"<TEXT>","logprob":<LOGPROB>,"special":false}]}}]',
    ),
    Row(
        name="the best of two sequences",
        seen=SOURCE,
        body={"inputs": "Hi", "parameters": BEST_OF_TWO},
        answer=f'[{{"generated_text":"<TEXT>","details":{{{SEQUENCE},"best_of_sequences":['
        f'{{"generated_text":"<TEXT>",{SEQUENCE}}}]}}}}]',
    ),
    Row(
        name="the best of two sequences, in a stream",
        seen=SOURCE,
        step="invocations-response-stream",
        body={"inputs": "Hi", "stream": True, "parameters": BEST_OF_TWO},
        answer='data:{"error":"Input validation error: `best_of` != 1 is not supported when'
        ' streaming tokens","error_type":"validation"}\n\n',
    ),
    Row(
        name="a stream, its frames put together",
        seen=SOURCE,
        step="invocations-response-stream",
        body={"inputs": "Hi", "stream": True, "parameters": {"max_new_tokens": 2}},
        answer=f'data:{TOKEN}"generated_text":null,"details":null}}\n\n'
        f'data:{TOKEN}"generated_text":"<TEXT>","details":null}}\n\n',
        headers_back={
            "Content-Type": "application/vnd.amazon.eventstream",
            "X-Amzn-SageMaker-Content-Type": "text/event-stream",
            **VARIANT,
        },
    ),
    Row(
        name="a stream that the container refuses",
        seen=SOURCE,
        step="invocations-response-stream",
        body={"inputs": "", "stream": True},
        answer='data:{"error":"Input validation error: `inputs` cannot be empty",'
        '"error_type":"validation"}\n\n',
    ),
    Row(
        name="a whole answer in a stream's frames",
        seen=GUESS,
        why="SageMaker passes a container's bytes on",
        step="invocations-response-stream",
        answer='[{"generated_text":"<TEXT>"}]',
    ),
    Row(
        name="an unknown endpoint",
        seen=REPORTED,
        endpoint="nobody",
        status=400,
        answer='{"Message":"Endpoint nobody of account 123456789012 not found."}',
        headers_back={"x-amzn-ErrorType": "ValidationError"},
    ),
    Row(
        name="an asynchronous call",
        seen=GUESS,
        why="no endpoint of JumpStart's is asynchronous",
        step="async-invocations",
        status=400,
        answer='{"Message":"Endpoint huggingface-llm-mistral-7b-instruct is not an asynchronous'
        ' inference endpoint."}',
    ),
    wrapped(
        "no `inputs`",
        RECORDED,
        {"parameters": {}},
        422,
        f"{FAILED}missing field `inputs` at line 1 column 17",
    ),
    wrapped(
        "a wrong type",
        GUESS,
        {"inputs": "a", "parameters": {"top_k": "b"}},
        422,
        f'{FAILED}parameters.top_k: invalid type: string "b", expected i32 at line 1 column 39',
        why="serde's own words, with axum's path",
    ),
    wrapped(
        "another content type",
        SOURCE,
        {"inputs": "a"},
        415,
        "Expected request with `Content-Type: application/json`",
        content_type="text/plain",
    ),
    invalid("`best_of` must be > 0 and <= 2. Given: 3", best_of=3),
    invalid("you must use sampling when `best_of` is > 1", best_of=2),
    invalid("`temperature` must be strictly positive", temperature=0),
    invalid("`repetition_penalty` must be strictly positive", repetition_penalty=-1),
    invalid("`top_p` must be > 0.0 and < 1.0", top_p=1.0),
    invalid("`typical_p` must be > 0.0 and < 1.0", typical_p=1.0),
    invalid("`top_k` must be strictly positive", top_k=0),
    invalid("`max_new_tokens` must be strictly positive", max_new_tokens=0),
    invalid("`stop` supports up to 4 stop sequences. Given: 5", stop=list("abcde")),
    invalid("`seed` must not be set when `best_of` > 1", best_of=2, seed=1, do_sample=True),
    invalid("`top_n_tokens` must be >= 0 and <= 5. Given: 6", top_n_tokens=6),
    invalid("`inputs` cannot be empty", inputs=""),
    invalid("`truncate` must be strictly positive and less than 8191. Given: 9000", truncate=9_000),
    invalid(TOO_MANY, max_new_tokens=8_191),
]
