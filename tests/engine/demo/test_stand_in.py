"""SmolLM2 in place of Mistral's models, on engines that answer what a test says."""

from collections.abc import Sequence
from typing import Any

import pytest

from engine.demo.chatml import DEFAULT_SYSTEM
from engine.demo.stand_in import MIN_ROOM, NOT_IN_TEXT, WINDOW, StandIn, find_obstacle
from engine.errors import EngineDead, EngineNotReady, PromptTooLong, RequestRefused
from engine.protocol import EngineState, Finish, GenerationRequest, Receiver, Repetition, Tool
from engine.tokenization.byte_level import ByteLevelTokenizer
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer

START, END = 256, 257
CONTEXT = 32_768


class Bytes(ByteLevelTokenizer):
    """A tokenizer with a token for each byte, so that characters are cut between tokens."""

    def __init__(self) -> None:
        self.special = {"<|im_start|>": START, "<|im_end|>": END}
        self.bos, self.eos = START, END
        self.pieces = (*(bytes([byte]) for byte in range(256)), b"", b"")

    def encode_text(self, text: str) -> list[int]:
        return list(text.encode())


class Stub:
    """An engine that keeps its requests, and whose answers a test pushes."""

    name = "vllm"

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.status: EngineState = EngineState("ready")
        self.asked: list[GenerationRequest] = []
        self.receivers: list[Receiver] = []
        self.done: list[str] = []

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    def state(self) -> EngineState:
        return self.status

    def running(self) -> int:
        return 1

    def tokenizer(self) -> Tokenizer:
        self.status.check_ready()
        return self._tokenizer

    def generate(self, request: GenerationRequest, receiver: Receiver) -> "Stub":
        self.asked.append(request)
        self.receivers.append(receiver)
        return self

    def cancel(self) -> None:
        self.done.append("cancel")

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")


class Recorder:
    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.batches: list[list[int]] = []
        self.finish: Finish | None = None
        self.errors: list[Exception] = []

    def push(
        self, tokens: Sequence[int], finish: Finish | None = None, rows: Sequence[Any] = ()
    ) -> None:
        assert self.finish is None, "nothing comes after the end"
        assert not rows
        self.batches.append([*tokens])
        self.tokens += tokens
        self.finish = finish

    def end(self, error: Exception) -> None:
        self.errors.append(error)


class Scene:
    """A stand-in with its two engines, and one call."""

    def __init__(self, tokenizer: str = "v3") -> None:
        self.mistrals = load_tokenizer(tokenizer)
        self.text, self.tiny = Stub(Bytes()), Stub(self.mistrals)
        self.stand_in = StandIn(self.text, self.tiny, lambda: self.mistrals, CONTEXT)
        self.recorder = Recorder()

    def call(self, prompt: str = "[INST] Why?[/INST]", **more: Any) -> Any:
        ids = self.mistrals.encode(prompt)
        arguments: dict[str, Any] = {"max_tokens": 100, **more}
        request = GenerationRequest(request_id="r", prompt=ids, **arguments)
        return self.stand_in.generate(request, self.recorder)

    def say(self, text: str, finish: Finish | None = None) -> None:
        """Push a token for each byte."""
        for byte in text.encode():
            self.text.receivers[-1].push([byte])
        if finish:
            self.text.receivers[-1].push([END] if finish == "stop" else [], finish)


def test_the_prompt_goes_in_smollm2s_template() -> None:
    scene = Scene()
    scene.call(temperature=0.5, seed=7, stop=("x",), spelled=True)
    [asked] = scene.text.asked

    pieces = {START: b"<|im_start|>", END: b"<|im_end|>"}
    text = b"".join(pieces.get(token) or bytes([token]) for token in asked.prompt).decode()
    assert text == (
        f"<|im_start|>system\n{DEFAULT_SYSTEM}<|im_end|>\n"
        "<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert (asked.temperature, asked.seed) == (0.5, 7)
    assert (asked.stop, asked.spelled) == ((), False), "they are applied to Mistral's tokens"
    assert asked.max_tokens == WINDOW - len(asked.prompt)
    assert set(asked.stop_tokens) == {START, END}


@pytest.mark.parametrize(("name", "space"), [("v1", " "), ("v3", " "), ("v7", " "), ("tekken", "")])
def test_the_answer_comes_as_mistrals_tokens(name: str, space: str) -> None:
    scene = Scene(name)
    scene.call()
    answer = "Zürich 🦜 is\n\nin 日本語, 1234."
    scene.say(answer, "stop")

    mistrals = scene.mistrals
    assert scene.recorder.tokens == [*mistrals.encode_text(space + answer), mistrals.eos]
    assert scene.recorder.finish == "stop"
    assert len(scene.recorder.batches) > 3, "it comes word by word"


def test_a_character_that_the_limit_cuts_is_replaced() -> None:
    scene = Scene()
    scene.call()
    scene.text.receivers[0].push(list("a 🦜".encode())[:-1])
    scene.text.receivers[0].push([], "length")

    assert scene.recorder.tokens == scene.mistrals.encode_text(" a \N{REPLACEMENT CHARACTER}")
    assert scene.recorder.finish == "length"


def test_max_tokens_counts_mistrals_tokens_and_ends_the_generation() -> None:
    scene = Scene()
    scene.call(max_tokens=3)
    scene.say("one two three four five six")

    assert scene.recorder.tokens == scene.mistrals.encode_text(" one two three")
    assert scene.recorder.finish == "length"
    assert scene.text.done == ["cancel"]


def test_a_constrained_answer_begins_without_a_space() -> None:
    scene = Scene()
    scene.call(schema='{"type": "integer"}')
    scene.say("12", "stop")

    assert scene.recorder.tokens[:-1] == scene.mistrals.encode_text("12")
    assert '"maximum"' in (scene.text.asked[0].schema or "")


def test_forced_calls_are_forced_of_smollm2() -> None:
    scene = Scene()
    scene.call("[INST] Why?[/INST][TOOL_CALLS]", must_call=(Tool("f", "{}"),))
    [asked] = scene.text.asked

    assert [tool.name for tool in asked.must_call] == ["f"]
    assert asked.one_call


def test_the_callers_handle_is_that_of_smollm2() -> None:
    scene = Scene()
    handle = scene.call()
    handle.pause()
    handle.resume()
    handle.cancel()
    scene.say("too late", "stop")

    assert scene.text.done == ["pause", "resume", "cancel"]
    assert scene.recorder.batches == []


def test_an_error_of_smollm2_is_the_callers() -> None:
    scene = Scene()
    scene.call()
    scene.say("one two ")
    scene.text.receivers[0].end(EngineDead("no"))

    assert [type(error) for error in scene.recorder.errors] == [EngineDead]
    assert scene.tiny.asked == []


OBSTACLES: list[tuple[str, dict[str, Any]]] = [
    ("an image", {"images": (object(),)}),
    ("audio", {"audio": (object(),)}),
    ("log probabilities", {"top_logprobs": 0}),
    ("log probabilities", {"prompt_logprobs": 0}),
    ("token ids", {"logit_bias": {5: 1.0}}),
    ("token ids", {"stop_tokens": (5,)}),
    ("token ids", {"allowed_tokens": (5,)}),
    ("token ids", {"ignores_eos": True}),
    ("token ids", {"min_tokens": 3}),
    ("token ids", {"bad_words": ("x",)}),
    ("token ids", {"repetition": Repetition(1, 2, 3)}),
]


@pytest.mark.parametrize(("reason", "more"), OBSTACLES)
def test_what_text_can_not_carry_goes_to_the_tiny_network_as_it_is(
    reason: str, more: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene()
    caplog.set_level("INFO")
    scene.call(**more)
    scene.call(**more)

    assert scene.text.asked == []
    assert len(scene.tiny.asked) == 2
    assert scene.tiny.receivers[0] is scene.recorder
    assert find_obstacle(scene.tiny.asked[0]) == reason
    assert caplog.text.count(f"can't take {reason}: the tiny random network answers") == 1


def test_each_obstacle_has_a_case() -> None:
    assert {reason for reason, _ in OBSTACLES} | {"a long prompt"} == NOT_IN_TEXT.keys()


@pytest.mark.parametrize("words", [WINDOW, WINDOW // 5])  # by Mistral's count, by SmolLM2's
def test_a_prompt_that_leaves_no_room_goes_to_the_tiny_network(words: int) -> None:
    scene = Scene()
    scene.call("lighthouse " * words, max_tokens=MIN_ROOM)

    assert scene.text.asked == []
    assert len(scene.tiny.asked) == 1


def test_what_no_engine_takes_is_refused() -> None:
    scene = Scene()
    with pytest.raises(PromptTooLong):
        scene.call(max_tokens=CONTEXT)
    with pytest.raises(RequestRefused):
        scene.call(stop=("",))


def test_a_long_answer_is_allowed() -> None:
    scene = Scene()
    scene.call(max_tokens=8_192)  # the most that Mistral 7B takes on Bedrock

    assert len(scene.text.asked) == 1


def test_its_state_is_that_of_smollm2() -> None:
    scene = Scene()
    scene.text.status = EngineState("loading")

    assert scene.stand_in.state() == EngineState("loading")
    with pytest.raises(EngineNotReady):
        scene.stand_in.tokenizer()


def test_each_stand_in_counts_its_own_calls_and_those_of_its_tiny_network() -> None:
    scene, behind = Scene(), 1  # call of the stub in place of the tiny network
    other = StandIn(scene.text, scene.tiny, lambda: scene.mistrals, CONTEXT)
    calls = []
    for _ in range(4):
        scene.recorder = Recorder()
        calls.append(scene.call(max_tokens=3))

    assert scene.stand_in.running() == 4 + behind
    assert other.running() == behind
    receivers = scene.text.receivers
    receivers[0].push([END], "stop")
    calls[1].cancel()
    receivers[2].end(EngineDead("gone"))
    receivers[3].push(list(b"one two three four "))
    assert scene.stand_in.running() == behind


def test_a_call_that_the_engine_refuses_does_not_run() -> None:
    scene = Scene()

    def refuse(*_: object) -> None:
        raise EngineNotReady("loading")

    scene.text.generate = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(EngineNotReady):
        scene.call()
    assert scene.stand_in.running() == 1, "that of the stub in place of the tiny network"
