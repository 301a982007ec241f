"""A model server that answers as the scripted engine does, for rows on the remote engine."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from engine.protocol import GenerationRequest
from engine.scripted import ScriptedEngine
from engine.tokenization.mistral_files import is_tekken
from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from tests.support.completions_server import END, CompletionsServer, Play, event, send
from tests.support.receiving import RecordingReceiver

MODELS = [
    model
    for model in load_registry(DEFAULT_REGISTRY).models.values()
    if not is_tekken(model.tokenizer)  # Tekken is not in the package of the others
]


class Speaker(ScriptedEngine):
    def say(self, prompt: list[int]) -> list[int]:
        """Return the tokens of the answer to this prompt, with the EOS."""
        ear = RecordingReceiver()
        asked = GenerationRequest(request_id="", prompt=tuple(prompt), max_tokens=1_000)
        self.generate(asked, ear)
        return ear.tokens


@contextmanager
def model_server_running() -> Iterator[str]:
    """Yield the URL of the server, which has all models with an installed tokenizer."""
    server = CompletionsServer([], models=[{"id": model.weights} for model in MODELS])
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        server.plays.append(speak_as_asked(server, await load_speakers()))
        async with server.running():
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert started.wait(timeout=60)
    try:
        yield server.url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=30)
        loop.close()


async def load_speakers() -> dict[str, Speaker]:
    speakers = {}
    for model in MODELS:
        speaker = Speaker(tokenizer=model.tokenizer, context_length=1_000_000)
        await speaker.start()
        speakers[model.weights] = speaker
    return speakers


def speak_as_asked(server: CompletionsServer, speakers: dict[str, Speaker]) -> Play:
    """Send one token per event, as many as the request asks for."""

    async def play(writer: asyncio.StreamWriter) -> None:
        asked = server.asked[-1]  # rows are sent one after the other
        tokens = speakers[asked["model"]].say(asked["prompt"])
        told = tokens[: asked["max_tokens"]]
        finish = "stop" if told == tokens else "length"
        events = [event(token_ids=[token]) for token in told[:-1]]
        await send(writer, *events, event(token_ids=told[-1:], finish=finish))
        writer.write(END)

    return play
