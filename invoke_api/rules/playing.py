"""A verdict played: deltas from a text, at a pace, that break where they are told."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from random import Random

from engine.protocol import Delta, Deltas, GenerationRequest, check_request
from engine.tokenizer import Tokenizer
from engine.transcript import Transcript
from invoke_api.rules.rule import Fault, Pace


class Broken(Exception):
    """The connection is to be cut here; `torn` sends a frame with a wrong checksum before."""

    def __init__(self, *, torn: bool = False) -> None:
        super().__init__("a rule breaks the connection here")
        self.torn = torn


async def speak(
    text: str, tokenizer: Tokenizer, request: GenerationRequest, context_length: int
) -> Deltas:
    """The text as an engine would say it: token by token, `max_tokens` and `stop` in force."""
    check_request(request, context_length)
    transcript = Transcript(tokenizer, request)
    yield transcript.push_all([*tokenizer.encode_text(text), tokenizer.eos])


async def silence() -> Deltas:
    """No deltas at all."""
    nothing: tuple[Sequence[Delta], ...] = ()
    for batch in nothing:
        yield batch


async def singly(deltas: Deltas) -> Deltas:
    """The same deltas one by one, for those below, which count and wait between two of them."""
    async with aclosing(deltas):
        async for batch in deltas:
            for delta in batch:
                yield (delta,)


async def paced(deltas: Deltas, pace: Pace) -> Deltas:
    """The same single deltas, none earlier than the pace allows."""
    random = Random(pace.seed)  # noqa: S311 - chance, not secrecy
    wait = pace.first_token
    async with aclosing(deltas):
        async for single in deltas:
            if wait:
                await asyncio.sleep(wait * (1 + pace.jitter * (2 * random.random() - 1)))
            yield single
            wait = 1 / pace.tokens_per_second if pace.tokens_per_second else 0.0


async def faulty(deltas: Deltas, fault: Fault, model_id: str) -> Deltas:
    """So many of these single deltas as the fault lets pass, and then the fault.

    Raises the fault's `InvokeError`, or `Broken`. One that ends before stays whole.
    """
    passed = 0
    async with aclosing(deltas):
        if fault.after_tokens is not None:
            async for single in deltas:
                if passed == fault.after_tokens:
                    break
                yield single
                passed += 1
            else:
                return
    if fault.error:
        raise fault.error(model_id)
    if fault.breakage == "hang":
        await asyncio.Event().wait()
    raise Broken(torn=fault.breakage == "torn_frame")
