"""A verdict played: deltas from a text, at a pace, that break where they are told."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from itertools import chain

from engine.protocol import Delta, Deltas, GenerationRequest, check_request
from engine.tokenizer import Tokenizer
from engine.tool_calls import write_calls
from engine.transcript import BATCH, Transcript
from invoke_api.rules.book import Verdict
from invoke_api.rules.rule import Fault, Pace
from invoke_api.rules.tokens import KEPT, LONG_TEXT, encode
from invoke_api.wire.errors import ValidationException


class Broken(Exception):
    """The connection is to be cut here; `torn` sends a frame with a wrong checksum before."""

    def __init__(self, *, torn: bool = False) -> None:
        super().__init__("the connection breaks here")
        self.torn = torn


async def speak(
    verdict: Verdict, tokenizer: Tokenizer, request: GenerationRequest, context_length: int
) -> Deltas:
    """A rule's answer as an engine would give it: `max_tokens` and `stop` in force, token by token.

    A long one comes in batches, and the loop runs between two of them.

    Raises `ValidationException` for calls of tools by a model that knows none.
    """
    request = check_request(request, context_length)
    transcript = Transcript(tokenizer, request)
    text = _write(verdict, tokenizer, request)
    if len(text) <= LONG_TEXT:
        tokens: Sequence[int] = encode(tokenizer, text, spelled=request.spelled)
    else:
        tokens = await KEPT.encode(tokenizer, text, spelled=request.spelled)
    if len(tokens) < BATCH:
        yield transcript.push_all([*tokens, tokenizer.eos])
        return
    for batch in transcript.batches(chain(tokens, (tokenizer.eos,))):
        yield batch
        await asyncio.sleep(0)


def _write(verdict: Verdict, tokenizer: Tokenizer, request: GenerationRequest) -> str:
    """The rule's text as the model would write it."""
    text = verdict.text or ""
    if not request.spelled:
        if verdict.calls:
            raise ValidationException(
                f"Rule {verdict.rule_id} calls tools, which a request of a prompt can't offer."
            )
        return text
    if text and tokenizer.is_spaced and not text.startswith(" "):
        text = " " + text  # as the model would begin, and as will be taken off again
    if verdict.calls:
        text = write_calls(tokenizer.chat.calls_style, text, verdict.calls)
    return text


async def refusing(error: Exception) -> Deltas:
    """No deltas, but this error."""
    async for batch in silence():
        yield batch
    raise error


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


async def bounded(deltas: Deltas) -> Deltas:
    """The same deltas in batches of at most `BATCH`; the loop runs between two of a larger one."""
    async with aclosing(deltas):
        async for batch in deltas:
            for start in range(0, len(batch), BATCH):
                if start:
                    await asyncio.sleep(0)
                yield batch[start : start + BATCH]


async def paced(deltas: Deltas, pace: Pace) -> Deltas:
    """The same single deltas, none earlier than the pace allows."""
    waits = pace.waits()
    async with aclosing(deltas):
        async for single in deltas:
            if wait := next(waits):
                await asyncio.sleep(wait)
            yield single


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
