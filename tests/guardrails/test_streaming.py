"""Secrets split over every border of tokens: what a stream lets out was looked at."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import pairwise
from threading import Event
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from engine.protocol import Delta, Deltas, Usage
from invoke_api.dialects.calls import AnswerReader, CallReader, TextReader
from invoke_api.guardrails.assessing import Part, assess
from invoke_api.guardrails.guarding import LONG_SEARCH, SHARE, STRIDE, Guarding
from invoke_api.guardrails.guardrail import Guardrail
from invoke_api.guardrails.normalizing import Reading, fold
from tests.guardrails.made import SILENCED, read, sensitive, words

SECRETS = ["123-45-6789", "jane@y.zz", "customer joe", "joe main street"]
HIDING, _ = read(
    **sensitive(
        {"EMAIL": "ANONYMIZE", "US_SOCIAL_SECURITY_NUMBER": "ANONYMIZE"},
        {"Customer": r"(?i)customer \w+", "Address": r"(?i)\w+ main street"},
    )
)
BLOCKING, _ = read(**words("cactus", "blue moon"))
MARKS = ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[TOOL_", '[TOOL_CALLS]f[ARGS]{"a": 1}', "["]
FILLERS = ["safe", "é", "{}", "\u200b", "漢字", "and so on and so on and so on and so on"]
READERS = st.sampled_from(["text", "spaced", "offered", "forced"])


def made(reader: str) -> AnswerReader:
    if reader == "text":
        return TextReader()
    offered = frozenset({"f"} if reader != "spaced" else ())
    return CallReader(reader == "forced", reader == "spaced", offered)


def disguises(secret: str) -> st.SearchStrategy[str]:
    """The secret as it is, in full-width letters, and with invisible characters inside."""
    wide = "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in secret)
    thin = st.lists(
        st.sampled_from(["", "\u200b", "\u2060", "\u00ad"]),
        min_size=len(secret),
        max_size=len(secret),
    ).map(lambda gaps: "".join(each + gap for each, gap in zip(secret, gaps, strict=True)))
    return st.one_of(st.just(secret), st.just(wide), st.just(secret.upper()), thin)


def answers(secrets: list[str]) -> st.SearchStrategy[str]:
    secret = st.sampled_from(secrets).flatmap(disguises)
    pieces = st.one_of(secret, st.sampled_from(FILLERS), st.sampled_from(MARKS))
    return st.lists(pieces, max_size=12).map(" ".join)


def cut(text: str, cuts: set[int]) -> list[Delta]:
    borders = sorted({0, len(text), *(each for each in cuts if each < len(text))})
    deltas = [Delta(text[start:end]) for start, end in pairwise(borders)]
    return [*deltas, Delta("", "stop", Usage(1, 1))]


CUTS = st.sets(st.integers(1, 300), max_size=300)


def streamed(guarding: Guarding, deltas: list[Delta], batch: int) -> list[Delta]:
    """What goes out, delta by delta."""

    async def source() -> AsyncIterator[list[Delta]]:
        for start in range(0, len(deltas), batch):
            yield deltas[start : start + batch]

    async def read() -> list[Delta]:
        batches = guarding.stream(cast("Deltas", source()))
        return [delta async for each in batches for delta in each]

    return asyncio.run(read())


def guarding(guardrail: Guardrail, reader: str, **more: Any) -> Guarding:
    made_for = Guarding(guardrail=guardrail, region="r", account="a", **more)
    made_for.read_by(made(reader))
    return made_for


@given(text=answers(SECRETS), cuts=CUTS, batch=st.integers(1, 9), reader=READERS)
@example("customer joe main street", set(range(30)), 1, "text")
@example("a [TOOL_CALLS] 123-[ARGS]45-6789", set(range(40)), 1, "spaced")
def test_a_held_stream_tells_what_the_whole_answer_tells_and_no_secret(
    text: str, cuts: set[int], batch: int, reader: str
) -> None:
    held, at_once = guarding(HIDING, reader), guarding(HIDING, reader)
    whole = asyncio.run(at_once.check_output(text, "stop"))
    told = streamed(held, cut(text, cuts), batch)
    said = "".join(delta.text for delta in told)

    assert said == whole
    assert [secret for secret in SECRETS if secret in fold(said)] == []
    assert not assess(HIDING, "OUTPUT", [Part(said)]).intervened
    assert [delta.finish for delta in told if delta.finish] == ["stop"]


@given(text=answers(["cactus", "blue moon"]), cuts=CUTS, batch=st.integers(1, 9), reader=READERS)
@example("safe " * 40 + "cactus" + " safe" * 40, set(range(300)), 1, "text")
def test_a_passed_stream_ends_with_the_message_soon_after_what_is_blocked(
    text: str, cuts: set[int], batch: int, reader: str
) -> None:
    deltas = cut(text, cuts)
    shown = whole(text, reader)
    told = streamed(guarding(BLOCKING, reader, is_async=True), deltas, batch)
    said = "".join(delta.text for delta in told)
    found = assess(BLOCKING, "OUTPUT", [Part(shown)]).is_blocked

    if not said.endswith(SILENCED):
        assert (said, found) == (shown, False)
        return
    out = said.removesuffix(SILENCED)
    longest = max(len(delta.text) for delta in deltas)
    ahead = max(STRIDE, len(out) // SHARE) + longest
    assert shown.startswith(out)
    assert not assess(BLOCKING, "OUTPUT", [Part(out[: max(0, len(out) - ahead)])]).is_blocked
    assert [delta.text for delta in told if delta.text][-1] == SILENCED
    assert [delta.finish for delta in told if delta.finish] == ["stop"]


def whole(text: str, reader: str) -> str:
    taken = made(reader)
    shown = taken.take(text)
    return shown + taken.finish()[0]


class Waiting:
    """A seeker that needs the loop to go on while it searches."""

    def __init__(self) -> None:
        self.begun, self.ended = Event(), Event()

    def spans(self, reading: Reading) -> Iterator[tuple[int, int]]:
        self.begun.set()
        assert self.ended.wait(timeout=10)
        yield 0, len(reading.text)


def test_a_long_answer_is_searched_while_the_loop_goes_on() -> None:
    waiting = Waiting()
    filters = (replace(HIDING.filters[0], seeker=waiting),)
    judge = guarding(replace(HIDING, filters=filters), "text")

    async def run() -> str:
        answer = asyncio.create_task(judge.check_output("a" * (LONG_SEARCH + 1), "stop"))
        await asyncio.to_thread(waiting.begun.wait, 10)
        waiting.ended.set()
        return await answer

    assert asyncio.run(run()) == "{EMAIL}"
