"""The contract of all engines: the scripted one, seven kinds of vLLM, and vLLM's server."""

import asyncio
import json
import multiprocessing
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from prometheus_client import REGISTRY

from engine.demo import options as demo
from engine.demo.brevity import shorten
from engine.demo.checkpoints import DEMOS, make_demo
from engine.errors import (
    ChatRefused,
    EngineBusy,
    EngineDead,
    EngineNotReady,
    EngineTimeout,
    PromptTooLong,
    RequestRefused,
    SchemaRefused,
)
from engine.lora import Adapter
from engine.protocol import (
    Constraint,
    Delta,
    Engine,
    EngineLimits,
    GenerationRequest,
    Repetition,
    Tool,
)
from engine.remote.engine import RemoteEngine
from engine.remote.server import RemoteServer
from engine.scripted import ScriptedEngine
from engine.tokenization.audio import open_input_audio
from engine.tokenization.images import open_image
from engine.tokenization.tool_calls import TOOL_CALLS_MARK, ToolCall, split_calls
from engine.vllm.engine import VllmEngine
from tests.support.adapters import make_adapter
from tests.support.images import png, to_url
from tests.support.receiving import RecordingReceiver, deltas_of
from tests.support.scheduling import on_engine
from tests.support.sounds import RATE, to_base64, tone
from tests.support.tekken import write_toy
from tests.support.vllm_server import requests_running
from tests.support.waiting import until_in_loop

# torch and vLLM warn of deprecations; elsewhere a warning is an error.
pytestmark = pytest.mark.filterwarnings("default")

CONTEXT = 4_096
# All instances are short, because demo models do not end a string or list.
WEATHER = {
    "type": "object",
    "properties": {"rains": {"type": "boolean"}, "wind": {"enum": ["none", "strong"]}},
    "required": ["rains", "wind"],
    "additionalProperties": False,
}
# The same with nested objects.
REPORT = {
    "type": "object",
    "properties": {
        "places": {
            "type": "array",
            "items": {"$ref": "#/$defs/place"},
            "minItems": 1,
            "maxItems": 2,
        },
        "unit": {"enum": ["degrees", "kelvin"]},
    },
    "required": ["places", "unit"],
    "additionalProperties": False,
    "$defs": {"place": {**WEATHER, "title": "A place"}},
}
TOOLS = (Tool("tell-weather", json.dumps(WEATHER)), Tool("report", json.dumps(REPORT)))
NUMBERS = count()
NOWHERE = "http://127.0.0.1:1"

# By name: demo checkpoint, vLLM's options, and the CPU cores of the workers.
VLLM: dict[str, tuple[str, dict[str, Any], str]] = {
    "vllm-dense": ("dense", {}, "auto"),
    "vllm-moe": ("moe", {}, "auto"),
    "vllm-tensor-parallel": (
        "dense",
        # One slot more than there are adapters: see `invoke_api.models.adapter_checks`.
        {"tensor_parallel_size": 2, "enable_lora": True, "max_lora_rank": 8, "max_loras": 4},
        "0|1",
    ),
    # Eager as they are with TORCHDYNAMO_DISABLE: vLLM (0.32) on the CPU makes what a later stage of
    # a pipeline needs only where it means to compile.
    "vllm-pipeline-parallel": (
        "dense",
        {
            "pipeline_parallel_size": 2,
            "enforce_eager": False,
            "compilation_config": {"mode": 1, "backend": "eager"},
        },
        "0|1",
    ),
    "vllm-data-parallel": ("dense", {"data_parallel_size": 2}, "auto"),
    "vllm-vision": ("vision", {}, "auto"),
    "vllm-speech": ("speech", {}, "auto"),
}

# By name: whether the server is asked for token ids.
REMOTE = {"remote": True, "remote-text": False}
ENGINES = ["scripted", *VLLM, *REMOTE]


def params(names: Iterable[str]) -> list[Any]:
    """Return these engines as parameters: the tests of an engine run one after another."""
    marks = {name: [pytest.mark.vllm, pytest.mark.xdist_group(name)] for name in VLLM}
    marks |= dict.fromkeys(REMOTE, on_engine("vllm_server"))
    return [pytest.param(name, marks=marks.get(name, ())) for name in names]


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("engine", params(names), indirect=True, scope="module")


# Engines that apply schemas. A server without token ids is not asked to.
holding = on("scripted", *VLLM, "remote")
# The scripted engine has neither a scheduler nor processes.
only_vllm = on(*VLLM)


@pytest_asyncio.fixture(scope="module", params=params(ENGINES))
async def engine(request: pytest.FixtureRequest, checkpoints: Path) -> AsyncIterator[Engine]:
    url = request.getfixturevalue("vllm_server") if request.param in REMOTE else NOWHERE
    with build(request.param, checkpoints, url) as engine:
        await engine.start()
        assert engine.state().status == "ready", engine.state()
        yield engine
        await engine.close()


@pytest_asyncio.fixture(scope="module")
async def tekken(checkpoints: Path) -> AsyncIterator[Engine]:
    """Yield an engine whose model writes calls in the style `arguments`."""
    folder = checkpoints / "tekken"
    write_toy(folder)
    engine = VllmEngine(
        weights=lambda: str(folder),
        tokenizer="tekken",
        context_length=CONTEXT,
        options=demo.OPTIONS,
        environment=demo.ENVIRONMENT,
        adapt=shorten,
    )
    await engine.start()
    assert engine.state().status == "ready", engine.state()
    yield engine
    await engine.close()


@contextmanager
def build(name: str, checkpoints: Path, url: str = NOWHERE) -> Iterator[Engine]:
    if name == "scripted":
        yield ScriptedEngine(tokenizer="v1", context_length=CONTEXT)
        return
    if name in REMOTE:
        server = RemoteServer(url=url, model="demo", token_ids=REMOTE[name])
        tokenizer = DEMOS["dense"].tokenizer
        yield RemoteEngine(
            server=server, weights="none", tokenizer=tokenizer, context_length=CONTEXT
        )
        return
    checkpoint, options, cores = VLLM[name]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "VLLM_CPU_OMP_THREADS_BIND", cores)
        yield VllmEngine(
            weights=partial(lambda checkpoint: str(make_demo(checkpoint, checkpoints)), checkpoint),
            tokenizer=DEMOS[checkpoint].tokenizer,
            context_length=CONTEXT,
            # vLLM's own statistics have the requests of its scheduler.
            options={**demo.OPTIONS, **options, "disable_log_stats": False},
            environment=demo.ENVIRONMENT,
            adapt=shorten,
        )


def ask(engine: Engine, prompt: str = "Why?", **more: Any) -> GenerationRequest:
    arguments = {"max_tokens": 200, "temperature": 0.0, **more}
    return GenerationRequest(
        request_id=f"request-{next(NUMBERS)}", prompt=engine.tokenizer().encode(prompt), **arguments
    )


async def run(engine: Engine, request: GenerationRequest) -> list[Delta]:
    return await deltas_of(engine, request)


async def text_of(engine: Engine, prompt: str = "Why?", **more: Any) -> str:
    return "".join(delta.text for delta in await run(engine, ask(engine, prompt, **more)))


async def test_max_tokens_is_exact(engine: Engine) -> None:
    for max_tokens in (1, 2, 5):
        deltas = await run(engine, ask(engine, max_tokens=max_tokens))

        assert len(deltas) == max_tokens
        assert [delta.finish for delta in deltas] == [None] * (max_tokens - 1) + ["length"]
        assert deltas[-1].usage
        assert deltas[-1].usage.output_tokens == max_tokens


async def test_a_natural_end_is_one_delta_a_token_and_the_eos_counts(engine: Engine) -> None:
    request = ask(engine)
    deltas = await run(engine, request)
    text = "".join(delta.text for delta in deltas)

    assert deltas[-1].finish == "stop"
    assert deltas[-1].text == ""
    assert deltas[-1].usage
    assert deltas[-1].usage.input_tokens == len(request.prompt)
    assert deltas[-1].usage.output_tokens == len(deltas)
    assert len(engine.tokenizer().encode_text(text)) == len(deltas) - 1


async def test_finish_and_usage_come_with_the_last_delta_only(engine: Engine) -> None:
    *others, _ = await run(engine, ask(engine))

    assert all(delta.finish is None and delta.usage is None for delta in others)


async def test_a_stop_string_is_cut_wherever_it_lies(engine: Engine) -> None:
    whole = await text_of(engine)
    for start, end in ((0, 3), (5, 6), (3, 12), (len(whole) - 2, len(whole))):
        stop = whole[start:end]
        deltas = await run(engine, ask(engine, stop=("never said", stop)))

        assert "".join(delta.text for delta in deltas) == whole[: whole.index(stop)], stop
        assert deltas[-1].finish == "stop"
        assert engine.running() == 0  # it was cancelled then


@holding
async def test_an_answer_is_held_to_a_schema(engine: Engine) -> None:
    texts = [await text_of(engine, temperature=1.0, schema=json.dumps(WEATHER)) for _ in range(5)]
    for text in texts:
        Draft202012Validator(WEATHER).validate(json.loads(text))


async def call(engine: Engine, prompt: str = "Why?", **more: Any) -> list[ToolCall]:
    """Return the calls of an answer to a prompt that ends with `[TOOL_CALLS]`."""
    request = ask(engine, prompt, spelled=True, **more)
    mark = engine.tokenizer().encode_spelled(TOOL_CALLS_MARK)
    deltas = await run(engine, replace(request, prompt=(*request.prompt, *mark)))
    text, calls = split_calls(TOOL_CALLS_MARK + "".join(delta.text for delta in deltas))

    assert (text, deltas[-1].finish) == ("", "stop")
    return calls


@holding
async def test_a_forced_tool_is_called(engine: Engine) -> None:
    # The scripted engine calls the first tool; a demo model calls any, without end.
    schemas = {tool.name: Draft202012Validator(json.loads(tool.parameters)) for tool in TOOLS}
    for prompt in ("Why?", "How?", "When?"):
        for temperature in (0.0, 1.0):
            more = {"temperature": temperature, "one_call": True}
            [called] = await call(engine, prompt, must_call=TOOLS, **more)

            schemas[called.name].validate(called.arguments)


@holding
async def test_the_one_tool_that_must_be_called_is_called_once(engine: Engine) -> None:
    for tool in TOOLS:
        [called] = await call(engine, must_call=(tool,), one_call=True)

        assert called.name == tool.name
        Draft202012Validator(json.loads(tool.parameters)).validate(called.arguments)


@on("scripted", *VLLM)
@pytest.mark.parametrize("parameters", ["{}", "true", '{"type": "string"}', '{"anyOf": [{}]}'])
async def test_a_tool_is_called_whatever_its_schema_is(engine: Engine, parameters: str) -> None:
    [called] = await call(engine, must_call=(Tool("odd", parameters),), one_call=True)

    assert called.name == "odd"


@pytest.mark.vllm
@pytest.mark.xdist_group("vllm-tekken")
async def test_a_model_of_2025_is_held_to_calls_as_it_writes_them(tekken: Engine) -> None:
    for temperature in (0.0, 1.0):
        for tools in (TOOLS, TOOLS[1:]):
            more: dict[str, Any] = {"must_call": tools, "one_call": True, "spelled": True}
            text = await text_of(tekken, temperature=temperature, **more)
            name, _, arguments = text.partition("[ARGS]")
            schemas = {tool.name: json.loads(tool.parameters) for tool in tools}

            Draft202012Validator(schemas[name]).validate(json.loads(arguments))


@on("vllm-dense", "remote")
async def test_a_tool_whose_schema_can_not_be_held_is_called_all_the_same(engine: Engine) -> None:
    # The arguments may be any object; a demo model may not end them.
    tools = (Tool("odd", '{"type": "object", "properties": {"a": {"type": "nope"}}}'),)
    text = await text_of(engine, must_call=tools, spelled=True, max_tokens=40)

    assert text.replace(" ", "").startswith('[{"name":"odd","arguments":{')


@holding
async def test_a_call_without_room_is_cut(engine: Engine) -> None:
    deltas = await run(engine, ask(engine, must_call=TOOLS, spelled=True, max_tokens=3))

    assert (len(deltas), deltas[-1].finish) == (3, "length")


@on("scripted", *VLLM, "remote")
async def test_an_answer_is_one_of_the_choices(engine: Engine) -> None:
    choices = ("positive", "negative", "so and so")
    constraint = Constraint("choice", choices)
    texts = [await text_of(engine, temperature=1.0, constraint=constraint) for _ in range(5)]

    assert set(texts) <= set(choices)


@on("vllm-tensor-parallel", "remote")
async def test_an_answer_matches_an_expression_or_a_grammar(engine: Engine) -> None:
    number = await text_of(engine, constraint=Constraint("regex", "[0-9]{3}-[a-f]{2}"))
    word = await text_of(engine, constraint=Constraint("grammar", 'root ::= "yes" | "no"'))
    for wrong in (Constraint("regex", "(("), Constraint("grammar", "root ::= nothing")):
        with pytest.raises(SchemaRefused):
            await run(engine, ask(engine, constraint=wrong))

    assert re.fullmatch("[0-9]{3}-[a-f]{2}", number)
    assert word in ("yes", "no")


@pytest.mark.parametrize("schema", ['{"type": "nope"}', '{"type": 1}'])
async def test_what_is_no_schema_is_refused_and_the_next_call_answered(
    engine: Engine, schema: str
) -> None:
    with pytest.raises(SchemaRefused) as refused:
        await run(engine, ask(engine, schema=schema))

    assert len(str(refused.value)) > 10
    assert await text_of(engine)


ADAPTED = ["scripted", "vllm-tensor-parallel", "remote"]


@on(*ADAPTED)
async def test_an_adapter_and_its_base_answer_at_once(engine: Engine, checkpoints: Path) -> None:
    tuned = Adapter("tuned", str(make_adapter(checkpoints / "tuned")))
    alone = [await text_of(engine, adapter=each, max_tokens=8) for each in (None, tuned)]
    together = await asyncio.gather(
        *(text_of(engine, adapter=each, max_tokens=8) for each in (None, tuned) * 3)
    )

    assert alone[0] != alone[1]
    assert together == alone * 3


@on("vllm-tensor-parallel")
async def test_adapters_of_one_engine_differ_and_a_bad_one_is_the_reason(
    engine: Engine, checkpoints: Path
) -> None:
    folders = [make_adapter(checkpoints / f"tuned-{seed}", seed=seed) for seed in (1, 2)]
    texts = await asyncio.gather(
        *(text_of(engine, adapter=Adapter("", str(folder)), max_tokens=8) for folder in folders)
    )
    large = make_adapter(checkpoints / "large", rank=16)
    for bad, reason in ((large, "rank 16"), (checkpoints / "none", "there is no folder")):
        with pytest.raises(EngineDead, match=reason):
            await run(engine, ask(engine, adapter=Adapter("", str(bad))))

    assert texts[0] != texts[1]
    assert engine.state().status == "ready"
    assert await text_of(engine)


@on("remote")
async def test_an_adapter_that_a_server_does_not_have_is_none(engine: Engine) -> None:
    with pytest.raises(EngineDead, match="404"):
        await run(engine, ask(engine, adapter=Adapter("never-heard-of")))
    await until_in_loop(lambda: engine.state().status == "ready")

    assert await text_of(engine)


@on("vllm-moe")
async def test_a_call_too_many_is_refused_at_once_and_one_waits_no_longer_than_it_may(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_limits", EngineLimits(calls=1))
    receiver = RecordingReceiver()
    generation = engine.generate(ask(engine, "turn left", max_tokens=2_000), receiver)
    await receiver.wait_for_pushes()
    with pytest.raises(EngineBusy, match="1 calls run or wait already"):
        engine.generate(ask(engine), RecordingReceiver())
    generation.cancel()
    monkeypatch.undo()
    watch = getattr(engine, "_health_check")  # noqa: B009 - private elsewhere
    monkeypatch.setattr(watch, "_limits", EngineLimits(first_token_seconds=0.0001))
    with pytest.raises(EngineTimeout):
        await run(engine, ask(engine, "turn left", max_tokens=4_000))
    monkeypatch.undo()

    assert engine.running() == 0
    assert await text_of(engine)


@on("vllm-vision")
async def test_images_change_what_is_said(engine: Engine) -> None:
    async def answer(*colors: str) -> tuple[str, int]:
        content: list[Any] = [{"type": "text", "text": "What is this?"}]
        for color in colors:
            url = {"url": to_url(png(color, (200, 300)))}
            content.append({"type": "image_url", "image_url": url})
        prompt = engine.tokenizer().chat.encode([{"role": "user", "content": content}])
        request = GenerationRequest(
            request_id=f"request-{next(NUMBERS)}",
            prompt=prompt.tokens,
            images=prompt.images,
            max_tokens=60,
            temperature=0.0,
        )
        deltas = await run(engine, request)
        usage = deltas[-1].usage
        assert usage
        return "".join(delta.text for delta in deltas), usage.input_tokens - len(prompt.tokens)

    colors = ["white", "black", "red", "blue", "lime", "yellow", "gray", "navy"]
    texts = [await answer(color) for color in colors]

    assert [await answer(color) for color in colors] == texts
    assert len({text for text, _ in texts}) > 1
    assert {more for _, more in texts} == {0}


@on("vllm-speech")
async def test_audio_changes_what_is_said(engine: Engine) -> None:
    async def answer(*clips: bytes) -> tuple[str, int]:
        content: list[Any] = [{"type": "text", "text": "What is being said?"}]
        content += [{"type": "input_audio", "input_audio": to_base64(clip)} for clip in clips]
        prompt = engine.tokenizer().chat.encode([{"role": "user", "content": content}])
        request = GenerationRequest(
            request_id=f"request-{next(NUMBERS)}",
            prompt=prompt.tokens,
            audio=prompt.audio,
            max_tokens=60,
            temperature=0.0,
        )
        deltas = await run(engine, request)
        usage = deltas[-1].usage
        assert usage
        return "".join(delta.text for delta in deltas), usage.input_tokens - len(prompt.tokens)

    asked = [[tone(seconds, hertz)] for seconds in (1, 29) for hertz in (200, 1_000, 5_000)]
    asked += [[tone(31)], [tone(1), tone(2)]]
    texts = [await answer(*clips) for clips in asked]

    assert [await answer(*clips) for clips in asked] == texts
    assert len({text for text, _ in texts}) > 1
    assert {more for _, more in texts} == {0}


@on("vllm-dense", "vllm-speech", *REMOTE)
async def test_images_that_an_engine_can_not_take_are_refused(engine: Engine) -> None:
    image = open_image(to_url(png()))
    with pytest.raises(ChatRefused):
        await run(engine, ask(engine, images=(image,)))

    assert await text_of(engine)


@on("vllm-dense", "vllm-vision", *REMOTE)
async def test_audio_that_an_engine_can_not_take_is_refused(engine: Engine) -> None:
    clip = open_input_audio(to_base64(tone()), RATE)
    with pytest.raises(ChatRefused):
        await run(engine, ask(engine, audio=(clip,)))

    assert await text_of(engine)


async def test_an_empty_stop_string_is_refused(engine: Engine) -> None:
    with pytest.raises(RequestRefused):
        await run(engine, ask(engine, stop=("x", "")))


async def test_temperature_0_and_top_p_0_are_greedy(engine: Engine) -> None:
    greedy = await text_of(engine, temperature=0.0)

    assert [await text_of(engine, temperature=0.0) for _ in range(3)] == [greedy] * 3
    assert [await text_of(engine, temperature=1.0, top_p=0.0) for _ in range(3)] == [greedy] * 3
    # Inside a sentence: at the beginning, two words may be equally likely.
    inside: dict[str, Any] = {"prompt": " Nobody trained", "max_tokens": 5}
    assert await text_of(engine, **inside, temperature=1.0, top_k=1) == await text_of(
        engine, **inside, temperature=0.0
    )


async def test_the_same_seed_gives_the_same_text(engine: Engine) -> None:
    for seed in (1, 2, 3):
        first = await text_of(engine, temperature=1.0, seed=seed)

        assert await text_of(engine, temperature=1.0, seed=seed) == first


async def test_penalties_and_biases_change_what_is_said(engine: Engine) -> None:
    # The scripted engine ignores them; all other engines are biased to other tokens.
    inside: dict[str, Any] = {"prompt": "turn left", "max_tokens": 100}
    plain = await text_of(engine, **inside)
    [first, *_] = engine.tokenizer().encode_text(plain)
    biased = await text_of(engine, **inside, logit_bias={first: -100.0})
    penalised = await text_of(engine, **inside, frequency_penalty=2.0, presence_penalty=2.0)

    assert (biased == plain) is (engine.name == "scripted")
    assert (penalised == plain) is (engine.name == "scripted")


@on("scripted", *VLLM, "remote")
async def test_log_probabilities_come_with_their_tokens(engine: Engine) -> None:
    plain = await run(engine, ask(engine, max_tokens=8))
    deltas = await run(engine, ask(engine, max_tokens=8, top_logprobs=3))
    told = [delta.logprobs for delta in deltas if delta.logprobs]

    assert [delta.text for delta in deltas] == [delta.text for delta in plain]
    assert all(delta.logprobs is None for delta in plain)
    assert len(told) == len(deltas) == 8
    assert b"".join(each.chosen.token for each in told).decode() == "".join(
        delta.text for delta in deltas
    )
    for each in told:
        assert each.chosen.logprob <= 0
        assert each.chosen.logprob == each.likeliest[0].logprob  # two may be alike
        values = [likely.logprob for likely in each.likeliest]
        assert values == sorted(values, reverse=True)


@on("scripted", *VLLM)
async def test_the_prompts_log_probabilities_come_with_the_first_token(engine: Engine) -> None:
    request = ask(engine, max_tokens=3, prompt_logprobs=2)
    first, *others = await run(engine, request)

    assert [row[0][0] for row in first.prompt_rows] == [*request.prompt[1:]]
    assert not any(delta.prompt_rows for delta in others)
    for (_, logprob, *ranks), *likeliest in first.prompt_rows:
        assert logprob <= 0
        assert ranks[0] >= 1
        assert (likeliest[0][1] == logprob) is (ranks[0] == 1)


@on(*VLLM, "remote")
async def test_bad_words_are_not_said(engine: Engine) -> None:
    inside: dict[str, Any] = {"prompt": "turn left", "max_tokens": 20}
    plain = await text_of(engine, **inside)
    changed = await text_of(engine, **inside, bad_words=("right",))

    assert "right" in plain
    assert "right" not in changed


@on(*VLLM, "remote")
async def test_an_answer_that_repeats_itself_ends(engine: Engine) -> None:
    twice = Repetition(least=1, most=4, times=3)
    *_, last = await run(engine, ask(engine, "turn left", max_tokens=99, repetition=twice))

    assert (last.finish, last.stopped_by) == ("repetition", "repetition_detected")
    assert last.usage is not None
    assert last.usage.output_tokens < 99


@on("remote-text")
@pytest.mark.parametrize(
    "more", [{"bad_words": ("x",)}, {"repetition": Repetition(1, 2, 3)}, {"cache_salt": "x"}]
)
async def test_a_server_of_text_is_not_told_what_only_vllm_knows(
    engine: Engine, more: dict[str, Any]
) -> None:
    with pytest.raises(RequestRefused):
        await run(engine, ask(engine, **more))


@on("remote-text")
async def test_a_server_of_text_tells_no_log_probabilities(engine: Engine) -> None:
    with pytest.raises(RequestRefused):
        await run(engine, ask(engine, top_logprobs=0))


async def test_a_character_of_several_tokens_comes_whole(engine: Engine) -> None:
    deltas = await run(engine, ask(engine, "Hello! Greetings"))
    text = "".join(delta.text for delta in deltas)

    assert "Zürich" in text
    assert "🦜" in text
    assert "\ufffd" not in text
    assert sum(delta.text == "" for delta in deltas) == 4  # the parrot is four tokens; the EOS


async def test_requests_run_side_by_side(engine: Engine) -> None:
    requests = [ask(engine, max_tokens=number) for number in range(1, 9)]
    completions = await asyncio.gather(*(run(engine, request) for request in requests))

    assert [len(completion) for completion in completions] == list(range(1, 9))


async def test_cancelling_frees_the_request_at_once_and_its_receiver_hears_no_more(
    engine: Engine,
) -> None:
    # The demo checkpoints continue " left" by " right" and so on for ever.
    receiver, request = RecordingReceiver(), ask(engine, "turn left", max_tokens=4_000)
    generation = engine.generate(request, receiver)
    await receiver.wait_for_pushes()
    heard = len(receiver.pushes)
    assert engine.running() == (0 if receiver.is_over else 1)
    generation.cancel()
    assert engine.running() == 0
    generation.cancel()
    await run(engine, ask(engine))

    assert (len(receiver.pushes), receiver.surplus, receiver.error) == (heard, 0, None)
    assert engine.running() == 0


async def test_who_cancels_before_the_first_token_hears_nothing(engine: Engine) -> None:
    # The scripted engine gives all other answers at once.
    more = {"schema": json.dumps(WEATHER)} if engine.name == "scripted" else {}
    for rounds in range(8):
        receiver = RecordingReceiver()
        generation = engine.generate(ask(engine, max_tokens=9, **more), receiver)
        for _ in range(rounds):
            await asyncio.sleep(0)
        generation.cancel()
        heard = len(receiver.pushes)
        await run(engine, ask(engine))

        assert (len(receiver.pushes), receiver.surplus) == (heard, 0)
        assert engine.running() == 0


async def test_the_last_push_says_why_and_nothing_follows(engine: Engine) -> None:
    for max_tokens, finish in ((5, "length"), (200, "stop")):
        receiver = RecordingReceiver()
        generation = engine.generate(ask(engine, max_tokens=max_tokens), receiver)
        await receiver.wait_for_end()
        generation.cancel()
        generation.pause()
        generation.resume()
        await run(engine, ask(engine))

        assert (receiver.finish, receiver.surplus, receiver.error) == (finish, 0, None)
        assert 0 < len(receiver.tokens) <= max_tokens
        assert all(receiver.pushes)


async def test_a_paused_receiver_hears_nothing_and_then_all_in_order(engine: Engine) -> None:
    request = ask(engine, "turn left", max_tokens=300)
    whole, receiver = RecordingReceiver(), RecordingReceiver()
    engine.generate(request, whole)
    await whole.wait_for_end()
    generation = engine.generate(replace(request, request_id="paused"), receiver)
    for _ in range(3):
        generation.pause()
        heard = len(receiver.pushes)
        await run(engine, ask(engine, max_tokens=10))
        assert len(receiver.pushes) == heard
        generation.resume()
        await receiver.wait_for_pushes(heard + 1)
    await receiver.wait_for_end()

    assert (receiver.tokens, receiver.finish, receiver.surplus) == (whole.tokens, whole.finish, 0)


async def test_one_that_is_cancelled_while_it_is_paused_is_over(engine: Engine) -> None:
    receiver = RecordingReceiver()
    generation = engine.generate(ask(engine, "turn left", max_tokens=4_000), receiver)
    generation.pause()
    heard = len(receiver.pushes)
    await run(engine, ask(engine, max_tokens=10))
    generation.cancel()
    generation.resume()
    await run(engine, ask(engine))

    assert (len(receiver.pushes), receiver.error) == (heard, None)
    assert engine.running() == 0


async def test_an_error_comes_once_and_is_the_end(engine: Engine) -> None:
    receiver = RecordingReceiver()
    with suppress(SchemaRefused):  # some errors are raised at once
        engine.generate(ask(engine, schema='{"type": "nope"}'), receiver)
        await receiver.wait_for_end()
        assert isinstance(receiver.error, SchemaRefused)
    await run(engine, ask(engine))

    assert (receiver.pushes, receiver.surplus) == ([], 0)
    assert engine.running() == 0


async def test_nothing_is_lost_when_many_run_and_some_are_paused_or_cancelled(
    engine: Engine,
) -> None:
    # All are greedy with the same prompt, so that each is a beginning of the longest.
    requests = [ask(engine, "turn left", max_tokens=20 + 5 * number) for number in range(24)]
    receivers = [RecordingReceiver() for _ in requests]
    running = [
        engine.generate(request, receiver)
        for request, receiver in zip(requests, receivers, strict=True)
    ]
    for generation in running[1::3]:
        generation.pause()
    await receivers[0].wait_for_pushes(3)
    for generation in running[2::3]:
        generation.cancel()
    await receivers[0].wait_for_end()
    for generation in running[1::3]:
        generation.resume()
    for number, receiver in enumerate(receivers):
        if number % 3 != 2:
            await receiver.wait_for_end()

    for number, (request, receiver) in enumerate(zip(requests, receivers, strict=True)):
        assert receiver.tokens == receivers[-2].tokens[: len(receiver.tokens)]
        assert (receiver.surplus, receiver.error) == (0, None)
        if number % 3 != 2 and engine.name != "scripted":
            assert (len(receiver.tokens), receiver.finish) == (request.max_tokens, "length")
    assert engine.running() == 0


@only_vllm
async def test_vllms_scheduler_forgets_who_left(engine: Engine) -> None:
    async with leaving_early(engine):
        await until_in_loop(lambda: scheduled() == 1)
    # On two busy CPU cores, two workers that wait for each other may take seconds for a step.
    async with asyncio.timeout(20):
        # The scheduler reports only after a step, so another request must run.
        while scheduled() != 0:
            await run(engine, ask(engine, max_tokens=1))


@on(*REMOTE)
async def test_a_servers_scheduler_forgets_who_left(engine: Engine, vllm_server: str) -> None:
    async with leaving_early(engine):
        await until_running(1, engine, vllm_server)
    await until_running(0, engine, vllm_server)


@asynccontextmanager
async def leaving_early(engine: Engine) -> AsyncIterator[None]:
    receiver = RecordingReceiver()
    generation = engine.generate(ask(engine, "turn left", max_tokens=4_000), receiver)
    await receiver.wait_for_pushes()
    yield
    generation.cancel()


async def until_running(number: int, engine: Engine, url: str) -> None:
    # Far less than the time for 4,000 tokens.
    async with asyncio.timeout(5):
        while await asyncio.to_thread(requests_running, url) != number:
            # The scheduler reports only after a step, so another request must run.
            await run(engine, ask(engine, max_tokens=1))


def scheduled() -> float:
    """Return the number of running requests that vLLM's scheduler reported last."""
    values = [  # one for each core of data parallelism
        sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
        if sample.name == "vllm:num_requests_running"
    ]
    assert values
    return sum(values)


async def test_a_prompt_that_leaves_no_room_is_refused(engine: Engine) -> None:
    request = ask(engine, max_tokens=CONTEXT)
    with pytest.raises(PromptTooLong) as caught:
        await run(engine, request)

    assert caught.value.context_length == CONTEXT
    assert engine.running() == 0


async def test_a_default_that_leaves_no_room_is_shortened(engine: Engine) -> None:
    prompt = " word" * (CONTEXT - 10)
    request = ask(engine, prompt, max_tokens=CONTEXT, shortens=True)
    room = CONTEXT - len(request.prompt)

    assert 0 < len(await run(engine, request)) <= room
    with pytest.raises(PromptTooLong):
        await run(engine, ask(engine, prompt * 2, max_tokens=CONTEXT, shortens=True))


async def test_a_prompt_that_just_fits_is_answered(engine: Engine) -> None:
    prompt = " word" * (CONTEXT - 10)
    request = ask(engine, prompt, max_tokens=1)
    room = CONTEXT - len(request.prompt)

    assert len(await run(engine, ask(engine, prompt, max_tokens=room))) <= room


@pytest.mark.parametrize("name", ENGINES)
async def test_before_it_is_started_an_engine_is_not_ready(name: str, checkpoints: Path) -> None:
    with build(name, checkpoints) as engine:
        request = GenerationRequest(request_id="r", prompt=(1,), max_tokens=1)

        assert engine.state().status == "cold"
        assert engine.running() == 0
        with pytest.raises(EngineNotReady):
            await run(engine, request)
        await engine.close()


@only_vllm
async def test_vllm_keeps_what_it_has_read_of_a_prompt_for_the_next(engine: Engine) -> None:
    llm = getattr(engine, "_llm")  # noqa: B009 - private elsewhere
    assert llm.vllm_config.cache_config.enable_prefix_caching is True


@on("vllm-data-parallel")
async def test_vllm_shares_requests_among_its_cores_and_forgets_those_that_have_ended(
    engine: Engine,
) -> None:
    client = getattr(engine, "_llm").engine_core  # noqa: B009 - private elsewhere
    running = asyncio.gather(*(run(engine, ask(engine, max_tokens=50)) for _ in range(20)))
    await until_in_loop(lambda: len(set(client.reqs_in_flight.values())) == 2)
    await running

    await until_in_loop(lambda: not client.reqs_in_flight)
    assert client.engine_inflight.total() == 0


@only_vllm
async def test_the_death_of_vllms_core_is_noticed(engine: Engine) -> None:
    # The last test but one of each engine, because the engine does not survive it.
    killing = asyncio.create_task(kill_cores_after(0.2))
    with pytest.raises(EngineDead):
        await asyncio.wait_for(run(engine, ask(engine, "turn left", max_tokens=4_000)), timeout=20)
    await killing

    assert engine.state().status == "failed"
    assert engine.running() == 0
    with pytest.raises(EngineDead):
        engine.tokenizer()


@on("vllm-dense")
async def test_it_can_be_started_again_after_that(engine: Engine) -> None:
    await engine.start()

    assert engine.state().status == "ready"
    assert await text_of(engine)


async def kill_cores_after(seconds: float) -> None:
    await asyncio.sleep(seconds)
    for process in multiprocessing.active_children():
        process.kill()
