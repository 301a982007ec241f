"""Calls of imported models by their ARNs, through a service: forms, streams, Converse, adapters."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from engine.protocol import check_request
from engine.tokenization.tokenizer import load_tokenizer
from invoke_api.dialects.imported import ImportedDialect
from invoke_api.models.registry import load_registry
from invoke_api.testing import Bedrock
from invoke_api.yaml_files import ConfigError
from tests.support.images import png, to_url
from tests.support.servers import COMMAND, GUARDRAILS, command_running, wait_until_ready

ARN = "arn:aws:bedrock:us-east-1:123456789012:imported-model/{}".format
NAMES = ("base12345678", "tuned1234567", "other1234567", "seeing123456")
BASE, TUNED, OTHER, SEEING = map(ARN, NAMES)
DEPLOYED = "arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/tuned1234567"
PROMPT = "How is the rainbow formed?"
USER = {"role": "user", "content": PROMPT}
CAR = {"type": "object", "properties": {"brand": {"enum": ["Fiat"]}}, "required": ["brand"]}


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "catalogued": False,
        "dialect": "imported",
        "tokenizer": "v3",
        "context_length": 4_096,
        "engine": "scripted",
        "weights": "./weights",
        "demo": "dense",
        **more,
    }


REGISTRY = {
    "models": [
        entry("base"),
        entry("tuned", lora={"name": "tuned"}),
        entry("other", lora={"adapter": "./adapters/other"}),
        entry("seeing", tokenizer="v7", input_modalities=["TEXT", "IMAGE"]),
    ],
    "arns": [
        {"arn": BASE, "model": "base"},
        {"arn": TUNED, "model": "tuned"},
        {"arn": OTHER, "model": "other"},
        {"arn": SEEING, "model": "seeing"},
        {"arn": DEPLOYED, "model": "tuned"},
    ],
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("registry") / "registry.yaml"
    file.write_text(yaml.safe_dump(REGISTRY))
    return file


@pytest.fixture(scope="module")
def url(registry: Path) -> Iterator[str]:
    options = ["--engine", "scripted", "--registry", str(registry), "--guardrails", str(GUARDRAILS)]
    with command_running([*COMMAND, *options]) as url:
        wait_until_ready(url, seconds=30)
        yield url


@pytest.fixture
def bedrock(url: str) -> Iterator[Bedrock]:
    emulated = Bedrock(url, model=BASE)
    yield emulated
    emulated.reset()


@pytest.fixture
def runtime(bedrock: Bedrock) -> Iterator[Any]:
    made = bedrock.client()
    yield made
    made.close()


def ask(runtime: Any, model: str = BASE, **body: Any) -> dict[str, Any]:
    answer = runtime.invoke_model(modelId=model, body=json.dumps(body))
    with answer["body"] as raw:
        document: dict[str, Any] = json.load(raw)
    return document


def stream(runtime: Any, model: str = BASE, **body: Any) -> list[dict[str, Any]]:
    answer = runtime.invoke_model_with_response_stream(modelId=model, body=json.dumps(body))
    return [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]


def text_of(document: dict[str, Any]) -> str:
    """Return the text of a whole answer or of a chunk, in any form."""
    if "generation" in document:
        return str(document["generation"])
    [choice] = document["choices"]
    message = choice.get("message") or choice.get("delta") or {"content": choice.get("text")}
    return str(message["content"])


FORMS = [
    {"prompt": PROMPT, "max_gen_len": 30},
    {"prompt": PROMPT},
    {"prompt": PROMPT, "max_tokens": 30},
    {"messages": [USER], "max_tokens": 30},
    {"messages": [USER]},
]


@pytest.mark.parametrize("body", FORMS)
def test_the_chunks_say_what_the_whole_answer_says(runtime: Any, body: dict[str, Any]) -> None:
    whole, chunks = ask(runtime, **body), stream(runtime, **body)
    metrics = chunks[-1]["amazon-bedrock-invocationMetrics"]

    assert "".join(map(text_of, chunks)) == text_of(whole)
    assert len(chunks) == metrics["outputTokenCount"]
    assert len({chunk.get("id") for chunk in chunks}) == 1
    if "usage" in whole:
        assert chunks[-1]["usage"] == whole["usage"]
        assert whole["usage"]["completion_tokens"] == metrics["outputTokenCount"]
    else:
        assert whole["generation_token_count"] == metrics["outputTokenCount"]
        assert whole["prompt_token_count"] == metrics["inputTokenCount"]


def test_no_template_is_put_around_a_prompt(runtime: Any) -> None:
    tokens = len(load_tokenizer("v3").encode(PROMPT))

    assert ask(runtime, prompt=PROMPT)["prompt_token_count"] == tokens
    assert ask(runtime, prompt=PROMPT, max_tokens=1)["usage"]["prompt_tokens"] == tokens
    assert ask(runtime, messages=[USER])["usage"]["prompt_tokens"] == tokens + 2  # [INST], [/INST]


def test_converse_answers_as_messages_do(runtime: Any) -> None:
    conversation = [{"role": "user", "content": [{"text": PROMPT}]}]
    answer = runtime.converse(modelId=BASE, messages=conversation)
    events = list(runtime.converse_stream(modelId=BASE, messages=conversation)["stream"])
    [block] = answer["output"]["message"]["content"]
    whole = ask(runtime, messages=[USER])

    assert block["text"] == text_of(whole)
    assert answer["usage"]["inputTokens"] == whole["usage"]["prompt_tokens"]
    assert events[-1]["metadata"]["usage"] == answer["usage"]


def test_converse_has_no_tools(runtime: Any) -> None:
    tool = {"toolSpec": {"name": "get", "inputSchema": {"json": {"type": "object"}}}}
    with pytest.raises(ClientError, match="This model doesn't support tool use"):
        runtime.converse(
            modelId=BASE,
            messages=[{"role": "user", "content": [{"text": PROMPT}]}],
            toolConfig={"tools": [tool]},
        )


def test_converse_takes_the_parameters_of_the_body(runtime: Any) -> None:
    answer = runtime.converse(
        modelId=BASE,
        messages=[{"role": "user", "content": [{"text": PROMPT}]}],
        additionalModelRequestFields={"structured_outputs": {"json": CAR}, "stop": "Z"},
    )

    assert json.loads(answer["output"]["message"]["content"][0]["text"]) == {"brand": "Fiat"}


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": PROMPT, "response_format": {"type": "json_schema", "json_schema": CAR}},
        {
            "prompt": PROMPT,
            "max_tokens": 50,
            "response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": CAR}},
        },
        {"prompt": PROMPT, "max_tokens": 50, "structured_outputs": {"json": CAR}},
        {"messages": [USER], "structured_outputs": {"json": CAR}},
    ],
)
def test_an_answer_is_held_to_a_schema(runtime: Any, body: dict[str, Any]) -> None:
    assert json.loads(text_of(ask(runtime, **body))) == {"brand": "Fiat"}


@pytest.mark.parametrize("body", [{"prompt": PROMPT, "max_tokens": 9}, {"messages": [USER]}])
def test_an_answer_is_one_of_several(runtime: Any, body: dict[str, Any]) -> None:
    choices = ["positive", "negative"]

    assert text_of(ask(runtime, **body, structured_outputs={"choice": choices})) in choices
    for refused in ({"regex": "a+"}, {"grammar": "root ::= 'a'"}):  # by the scripted engine
        with pytest.raises(ClientError, match="The model can't hold an answer to a"):
            ask(runtime, **body, structured_outputs=refused)


def test_bedrocks_completion_has_log_probabilities_by_the_ids_of_tokens(runtime: Any) -> None:
    body: dict[str, Any] = {"prompt": PROMPT, "max_gen_len": 4, "return_logprobs": True}
    whole, chunks = ask(runtime, **body), stream(runtime, **body)
    tokens = load_tokenizer("v3").encode_text(text_of(whole))

    assert whole["logprobs"] == [{str(token): 0.0} for token in tokens]
    assert [chunk["logprobs"] for chunk in chunks] == [[each] for each in whole["logprobs"]]
    assert ask(runtime, **{**body, "return_logprobs": False})["logprobs"] is None


def test_openais_completion_has_log_probabilities_in_columns(runtime: Any) -> None:
    body: dict[str, Any] = {"prompt": PROMPT, "max_tokens": 4, "logprobs": 1}
    whole, chunks = ask(runtime, **body), stream(runtime, **body)
    [choice] = whole["choices"]
    told = choice["logprobs"]

    assert list(told) == ["text_offset", "token_logprobs", "tokens", "top_logprobs"]
    assert "".join(told["tokens"]) == choice["text"]
    assert told["top_logprobs"] == [{token: 0.0} for token in told["tokens"]]
    assert [
        choice["text"][at:][: len(token)]
        for at, token in zip(told["text_offset"], told["tokens"], strict=True)
    ] == told["tokens"]
    for name, column in told.items():
        assert [chunk["choices"][0]["logprobs"][name] for chunk in chunks] == [
            [each] for each in column
        ]
    assert "logprobs" not in ask(runtime, prompt=PROMPT, max_tokens=4)["choices"][0]


def test_openais_chat_has_log_probabilities_token_by_token(runtime: Any) -> None:
    body: dict[str, Any] = {
        "messages": [USER],
        "max_tokens": 4,
        "logprobs": True,
        "top_logprobs": 1,
    }
    whole, chunks = ask(runtime, **body), stream(runtime, **body)
    [choice] = whole["choices"]
    rows = choice["logprobs"]["content"]

    assert [list(row) for row in rows] == [["token", "logprob", "bytes", "top_logprobs"]] * 4
    assert "".join(row["token"] for row in rows).lstrip() == choice["message"]["content"]
    assert [bytes(row["bytes"]).decode() for row in rows] == [row["token"] for row in rows]
    assert [chunk["choices"][0]["logprobs"]["content"] for chunk in chunks] == [
        [row] for row in rows
    ]
    assert "logprobs" not in ask(runtime, messages=[USER], max_tokens=4)["choices"][0]


@pytest.mark.parametrize("stop", [" no model", [" no model"]])
def test_a_stop_may_be_one_string_or_several(runtime: Any, stop: object) -> None:
    for body in ({"prompt": PROMPT}, {"messages": [USER]}):
        document = ask(runtime, **body, stop=stop)

        assert text_of(document).endswith(":") or " no model" not in text_of(document)
        assert (document.get("stop_reason") or document["choices"][0]["finish_reason"]) == "stop"


def test_a_schema_that_allows_anything_is_one(registry: Path) -> None:
    schema = load_registry(registry).models["base"].schema
    wanted = {"type": "json_schema", "json_schema": {}}
    filled = schema.parse(json.dumps({"prompt": "Hi", "response_format": wanted}).encode())

    assert ImportedDialect().to_request(filled, load_tokenizer("v3"), 100, "r").schema == "{}"


@pytest.mark.parametrize(
    "form",
    [
        {"prompt": "Hi", "max_gen_len": 9},
        {"prompt": "Hi", "max_tokens": 9},
        {"messages": [USER], "max_tokens": 9},
        {"messages": [USER], "max_completion_tokens": 9},
    ],
)
def test_every_parameter_reaches_the_engine(registry: Path, form: dict[str, Any]) -> None:
    schema = load_registry(registry).models["base"].schema
    body: dict[str, Any] = {"temperature": 0.25, "top_p": 0.75, "top_k": 7, "stop": "x", "seed": 3}
    penalties = (0.0, 0.0)
    if "max_gen_len" not in form:  # OpenAI's
        body |= {"frequency_penalty": 0.5, "presence_penalty": -0.5, "logit_bias": {"7": 2}}
        penalties = (0.5, -0.5)
    filled = schema.parse(json.dumps(form | body).encode())
    request = ImportedDialect().to_request(filled, load_tokenizer("v3"), 100, "r")

    assert (request.max_tokens, request.temperature, request.top_p) == (9, 0.25, 0.75)
    assert (request.top_k, request.stop, request.seed) == (7, ("x",), 3)
    assert (request.frequency_penalty, request.presence_penalty) == penalties
    assert request.logit_bias == ({7: 2.0} if any(penalties) else {})


def test_messages_without_a_limit_take_what_fits(registry: Path, runtime: Any) -> None:
    schema = load_registry(registry).models["base"].schema
    filled = schema.parse(json.dumps({"messages": [USER]}).encode())
    request = ImportedDialect().to_request(filled, load_tokenizer("v3"), 4_096, "r")

    assert check_request(request, 4_096).max_tokens == 4_096 - len(request.prompt)
    assert ask(runtime, messages=[USER])["choices"][0]["finish_reason"] == "stop"


def test_images_are_seen_and_a_url_is_refused(runtime: Any) -> None:
    image = {"type": "image_url", "image_url": {"url": to_url(png("red", (64, 64)))}}
    web = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    text = {"type": "text", "text": "What is this?"}
    seen = ask(runtime, SEEING, messages=[{"role": "user", "content": [text, image, image]}])
    blind = ask(runtime, SEEING, messages=[{"role": "user", "content": [text]}])

    assert seen["usage"]["prompt_tokens"] > blind["usage"]["prompt_tokens"] + 30
    for model, part, sentence in (
        (SEEING, web, "An image_url must be a data URL"),
        (BASE, image, "This model takes text only"),
    ):
        with pytest.raises(ClientError, match=sentence):
            ask(runtime, model, messages=[{"role": "user", "content": [text, part]}])


def test_a_rule_knows_what_is_asked(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.reply("By light.", last_user_message={"regex": "rainbow"}, model_id="base")

    assert text_of(ask(runtime, prompt=PROMPT)) == "By light."
    assert text_of(ask(runtime, messages=[USER])) == "By light."
    assert [call["model_id"] for call in bedrock.requests] == ["base", "base"]


@pytest.mark.parametrize(
    "body", [{"prompt": "A Cactus"}, {"messages": [{"role": "user", "content": "A Cactus"}]}]
)
def test_a_guardrail_reads_what_is_asked(runtime: Any, body: dict[str, Any]) -> None:
    answer = runtime.invoke_model(
        modelId=BASE,
        body=json.dumps(body),
        guardrailIdentifier="abcdef123456",
        guardrailVersion="DRAFT",
    )
    with answer["body"] as raw:
        document = json.load(raw)

    assert document["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert text_of(document) == "You shouldn't ask this question"


def test_one_that_is_not_ready_is_waited_for(bedrock: Bedrock, runtime: Any) -> None:
    bedrock.rule(state="not-ready", times=2, when={"model_id": "base"})
    answer = runtime.invoke_model(modelId=BASE, body=json.dumps({"prompt": PROMPT}))
    answer["body"].close()

    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert [call["status"] for call in bedrock.requests] == [429, 429, 200]


def test_each_adapter_has_answers_of_its_own_behind_every_arn(runtime: Any) -> None:
    texts = [text_of(ask(runtime, model, prompt=PROMPT)) for model in (BASE, TUNED, OTHER)]

    assert len(set(texts)) == 3
    assert text_of(ask(runtime, DEPLOYED, prompt=PROMPT)) == texts[1]
    assert "".join(map(text_of, stream(runtime, TUNED, prompt=PROMPT))) == texts[1]


def test_a_model_of_this_dialect_names_no_schema(tmp_path: Path) -> None:
    document = {"models": [entry("base", schema="mistral-7b-instruct.json")]}
    file = tmp_path / "registry.yaml"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError, match="should not be valid under"):
        load_registry(file)
