"""An engine without a model: known answers, cut into the tokens of Mistral's real tokenizer."""

import asyncio
import json
from functools import partial
from hashlib import sha256

from engine.errors import SchemaRefused
from engine.generation_task import Production, cut, play
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
from engine.tokenization.tool_calls import MARK, ToolCall, write_calls

SENTENCES = (
    " Nobody thought about it: no model was asked.",
    " The same prompt always gets the same words.",
    " Another prompt gets others, in another order.",
    " Tokens are counted by Mistral's own tokenizer.",
    " Accents as in Zürich and emoji 🦜 arrive whole.",
)


class ScriptedEngine:
    """Answers at once and always alike; sampling parameters change nothing, limits and stops do.

    So do adapters: each has answers of its own.

    Where a schema is asked for, the answer is an instance of it; of a choice, it is one. If tools
    must be called, it is a call of the first one, with an instance of its parameters' schema.

    `tokenizer` is a version of Mistral's; `context_length` counts prompt and answer, in tokens.
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
            # A Tekken takes a second and 120 MB to load: for calls, not for every start.
            if not is_tekken(self._tokenizer_name):
                self._tokenizer = await asyncio.to_thread(load_tokenizer, self._tokenizer_name)
        except (KeyError, OSError) as error:
            self._state = EngineState("failed", f"no tokenizer {self._tokenizer_name!r}: {error}")
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
        if not request.is_held:
            return play(self._answer(request), request.max_tokens, receiver)
        self._running += 1
        return Production(receiver, partial(self._push_held, request), self._leave)

    async def _push_held(self, request: GenerationRequest, production: Production) -> None:
        # An instance of a schema takes some milliseconds to find, and may be long.
        tokens = await asyncio.to_thread(self._answer, request)
        await production.push(*cut(tokens, request.max_tokens))

    def _leave(self) -> None:
        self._running -= 1

    def _answer(self, request: GenerationRequest) -> list[int]:
        """Return the tokens of the answer to a prompt, and an EOS, however it is sampled."""
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
            text = write_calls(tokenizer.chat.calls_style, "", [call]).removeprefix(MARK)
            return [*tokenizer.encode_spelled(text), tokenizer.eos]
        if request.schema:
            instance = make_instance(json.loads(request.schema), words)
            text = json.dumps(instance, ensure_ascii=False)
            return [*tokenizer.encode_text(text), tokenizer.eos]
        if request.constraint:
            return [*tokenizer.encode_text(_choose(request.constraint, digest)), tokenizer.eos]
        if not self._sentences:
            self._sentences = list(map(tokenizer.encode_text, SENTENCES))
        space = " " if tokenizer.is_spaced else ""
        first = tokenizer.encode_text(space + words)
        order = sorted(range(len(SENTENCES)), key=digest.__getitem__)
        sentences = [token for number in order for token in self._sentences[number]]
        return [*first, *sentences, tokenizer.eos]

    async def close(self) -> None:
        self._state = EngineState("cold")


def _choose(constraint: Constraint, digest: str) -> str:
    """Return one of the choices. Raises `SchemaRefused` for what is none."""
    if constraint.kind != "choice":
        kind = {"regex": "a regular expression", "grammar": "a grammar"}[constraint.kind]
        raise SchemaRefused(f"The model can't hold an answer to {kind} where it runs.")
    return constraint.value[int(digest, 16) % len(constraint.value)]
