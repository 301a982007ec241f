"""An engine without a model: known answers in the tokens of Mistral's real tokenizer."""

import asyncio
import json
from functools import partial
from hashlib import sha256

from engine.errors import SchemaRefused
from engine.generation_task import GenerationTask, push_known_answer, truncate_answer
from engine.protocol import (
    Constraint,
    EngineState,
    Generation,
    GenerationRequest,
    Receiver,
    check_request,
)
from engine.schema_instances import make_arguments, make_instance
from engine.tokenization.mistral_files import is_tekken
from engine.tokenization.tokenizer import Tokenizer, load_tokenizer
from engine.tokenization.tool_calls import TOOL_CALLS_MARK, ToolCall, write_calls

SENTENCES = (
    " Nobody thought about it: no model was asked.",
    " The same prompt always gets the same words.",
    " Another prompt gets others, in another order.",
    " Tokens are counted by Mistral's own tokenizer.",
    " Accents as in Zürich and emoji 🦜 arrive whole.",
)
KINDS = {
    "regex": "a regular expression",
    "grammar": "a grammar",
    "structural_tag": "a structural tag",
}


class ScriptedEngine:
    """An engine that answers at once; the same prompt always gets the same answer.

    Sampling parameters change nothing. `max_tokens`, `min_tokens`, stop strings and stop tokens
    apply, and each adapter has answers of its own. With a schema, the answer is an instance of it;
    with a choice, one of the texts. If tools must be called, the answer calls the first one, with
    an instance of its schema.

    `tokenizer` is a version of Mistral's; `context_length` bounds prompt and answer, in tokens.
    """

    name = "scripted"

    def __init__(self, *, tokenizer: str, context_length: int) -> None:
        self._tokenizer_name = tokenizer
        self._tokenizer: Tokenizer | None = None
        self._context_length = context_length
        self._sentences: list[list[int]] = []
        self._running = 0
        self._state = EngineState("cold")

    async def start(self) -> None:
        self._state = EngineState("loading")
        try:
            # A Tekken takes a second and 120 MB to load, so the first call loads it.
            if not is_tekken(self._tokenizer_name):
                self._tokenizer = await asyncio.to_thread(load_tokenizer, self._tokenizer_name)
        except (KeyError, OSError) as error:
            self._state = EngineState(
                "failed", f"the tokenizer {self._tokenizer_name!r} could not be loaded: {error}"
            )
        else:
            self._state = EngineState("ready")

    def state(self) -> EngineState:
        return self._state

    def running(self) -> int:
        return self._running

    def tokenizer(self) -> Tokenizer:
        if self._state.status != "ready":
            self._state.check_ready()
        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._tokenizer_name)
        return self._tokenizer

    def generate(self, request: GenerationRequest, receiver: Receiver) -> Generation:
        self.tokenizer()  # raises unless the engine is ready
        request = check_request(request, self._context_length)
        if not request.is_constrained:
            return push_known_answer(self._answer(request), request.max_tokens, receiver)
        self._running += 1
        return GenerationTask(receiver, partial(self._push_constrained, request), self._leave)

    async def _push_constrained(self, request: GenerationRequest, task: GenerationTask) -> None:
        # Finding an instance of a schema takes some milliseconds.
        tokens = await asyncio.to_thread(self._answer, request)
        await task.push(*truncate_answer(tokens, request.max_tokens))

    def _leave(self) -> None:
        self._running -= 1

    def _answer(self, request: GenerationRequest) -> list[int]:
        """Return the tokens of the answer, with an EOS."""
        tokenizer = self.tokenizer()
        asked = sha256(repr(request.prompt).encode())
        if request.adapter:
            asked.update(request.adapter.name.encode())
        for image in request.images:
            asked.update(image.tobytes())
        for clip in request.audio:
            asked.update(clip.digest)
        digest = asked.hexdigest()
        words = f"Scripted answer {digest[:8]}."
        if request.must_call:
            tool = request.must_call[0]
            call = ToolCall(tool.name, make_arguments(json.loads(tool.parameters), words))
            text = write_calls(tokenizer.chat.calls_style, "", [call]).removeprefix(TOOL_CALLS_MARK)
            return [*tokenizer.encode_spelled(text), tokenizer.eos]
        if request.schema:
            instance = make_instance(json.loads(request.schema), words)
            text = json.dumps(instance, ensure_ascii=False)
            return [*tokenizer.encode_text(text), tokenizer.eos]
        if request.constraint:
            return [*tokenizer.encode_text(_choose(request.constraint, digest)), tokenizer.eos]
        space = " " if tokenizer.is_spaced else ""
        first = tokenizer.encode_text(space + words)
        return self._write_sentences(first, digest, request)

    def _write_sentences(
        self, first: list[int], digest: str, request: GenerationRequest
    ) -> list[int]:
        """Return the first words and all sentences, in the order that the digest gives."""
        tokenizer = self.tokenizer()
        if not self._sentences:
            self._sentences = list(map(tokenizer.encode_text, SENTENCES))
        answer = first
        for number in sorted(range(len(SENTENCES)), key=digest.__getitem__):
            if len(answer) > request.max_tokens:  # the rest would be cut off
                return answer
            answer = answer + self._sentences[number]
        return _lengthen(answer, tokenizer.eos, request)

    async def close(self) -> None:
        self._state = EngineState("cold")


def _lengthen(words: list[int], eos: int, request: GenerationRequest) -> list[int]:
    """Return the words and an EOS; the words repeatedly, if the answer must not end there."""
    least = request.max_tokens + 1 if request.ignores_eos else request.min_tokens
    repeats = max(1, -(-least // len(words)))
    return [*(words * repeats), eos]


def _choose(constraint: Constraint, digest: str) -> str:
    """Return one of the choices. Raises `SchemaRefused` for other constraints."""
    if constraint.kind != "choice":
        kind = KINDS[constraint.kind]
        raise SchemaRefused(f"The model can't hold an answer to {kind} where it runs.")
    return constraint.value[int(digest, 16) % len(constraint.value)]
