"""Secrets split between tokens at every place: a stream emits assessed text only."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from threading import Event
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from engine.generation_task import BATCH_TOKENS
from engine.protocol import Delta, Usage
from invoke_api.dialects.tool_call_reader import AnswerReader, CallReader, TextReader
from invoke_api.guardrails.guardrail import Guardrail
from invoke_api.guardrails.normalization import SearchedText, fold
from invoke_api.guardrails.output_stage import (
    MAX_INLINE_SEARCH,
    MIN_UNASSESSED_CHARACTERS,
    UNASSESSED_SHARE,
    OutputStage,
)
from invoke_api.guardrails.scanner import TextBlock, assess
from invoke_api.guardrails.session import GuardrailSession
from tests.guardrails.made import SILENCED, read, sensitive, words
from tests.support.waiting import until_in_loop

SECRETS = ["123-45-6789", "jane@y.zz", "customer joe", "joe main street", "customer jane@y.zz"]
NAME = re.compile(r"\{[A-Z]\w+\}")  # replaces a match; no other text here has this form
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
    """Return the secret, also in full-width letters and with invisible characters inside."""
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


def streamed(guarding: GuardrailSession, deltas: list[Delta], batch: int) -> list[Delta]:
    """Return the emitted deltas."""
    return [delta for each in batches_of(guarding, deltas, batch) for delta in each]


def batches_of(
    guarding: GuardrailSession, deltas: list[Delta], batch: int
) -> list[Sequence[Delta]]:
    async def run() -> list[Sequence[Delta]]:
        out: list[Sequence[Delta]] = []
        is_over = asyncio.Event()

        def emit(deltas: Sequence[Delta]) -> None:
            out.append(deltas)
            if deltas[-1].finish:
                is_over.set()

        stage = OutputStage(guarding, emit, raising, holds=not guarding.is_async)
        for start in range(0, len(deltas), batch):
            stage.feed(deltas[start : start + batch])
        async with asyncio.timeout(10):
            await is_over.wait()
        return out

    return asyncio.run(run())


def raising(error: Exception) -> None:
    raise error


def test_what_a_guardrail_has_held_goes_on_in_batches() -> None:
    held = [Delta(" a")] * 999 + [Delta("", "stop", Usage(1, 1_000))]
    found = batches_of(guarding(HIDING, "text"), held, 1_000)

    assert [delta for batch in found for delta in batch] == held
    assert max(map(len, found)) == BATCH_TOKENS


def guarding(guardrail: Guardrail, reader: str, **more: Any) -> GuardrailSession:
    made_for = GuardrailSession(guardrail=guardrail, region="r", account="a", **more)
    made_for.read_by(made(reader))
    return made_for


@given(text=answers(SECRETS), cuts=CUTS, batch=st.integers(1, 9), reader=READERS)
@example("customer joe main street", set(range(30)), 1, "text")
@example("a [TOOL_CALLS] 123-[ARGS]45-6789", set(range(40)), 1, "spaced")
def test_a_held_stream_tells_what_the_whole_answer_tells_and_no_secret(
    text: str, cuts: set[int], batch: int, reader: str
) -> None:
    held, at_once = guarding(HIDING, reader), guarding(HIDING, reader)
    answer = "".join(each.text for each in streamed(at_once, [Delta(text, "stop")], 1))
    told = streamed(held, cut(text, cuts), batch)
    said = "".join(delta.text for delta in told)

    assert said == answer
    assert [secret for secret in SECRETS if secret in fold(said)] == []
    assert NAME.sub("", said) == uncovered(whole(text, reader))
    assert not assess(HIDING, "OUTPUT", [TextBlock(said)]).intervened
    assert [delta.finish for delta in told if delta.finish] == ["stop"]


def uncovered(text: str) -> str:
    """Return the characters outside of all matches."""
    covered: set[int] = set()
    for each in HIDING.filters:
        assert each.matcher
        for start, end in each.matcher.spans(SearchedText(text)):
            covered |= {*range(start, end)}
    return "".join(letter for place, letter in enumerate(text) if place not in covered)


@given(text=answers(["cactus", "blue moon"]), cuts=CUTS, batch=st.integers(1, 9), reader=READERS)
@example("safe " * 40 + "cactus" + " safe" * 40, set(range(300)), 1, "text")
def test_a_passed_stream_ends_with_the_message_soon_after_what_is_blocked(
    text: str, cuts: set[int], batch: int, reader: str
) -> None:
    deltas = cut(text, cuts)
    shown = whole(text, reader)
    told = streamed(guarding(BLOCKING, reader, is_async=True), deltas, batch)
    said = "".join(delta.text for delta in told)
    found = assess(BLOCKING, "OUTPUT", [TextBlock(shown)]).is_blocked

    if not said.endswith(SILENCED):
        assert (said, found) == (shown, False)
        return
    out = said.removesuffix(SILENCED)
    longest = max(len(delta.text) for delta in deltas)
    ahead = max(MIN_UNASSESSED_CHARACTERS, len(out) // UNASSESSED_SHARE) + longest
    assert shown.startswith(out)
    assert not assess(BLOCKING, "OUTPUT", [TextBlock(out[: max(0, len(out) - ahead)])]).is_blocked
    assert [delta.text for delta in told if delta.text][-1] == SILENCED
    assert [delta.finish for delta in told if delta.finish] == ["stop"]


def whole(text: str, reader: str) -> str:
    taken = made(reader)
    shown = taken.take(text)
    return shown + taken.finish()[0]


class Waiting:
    """A matcher that needs the event loop to run while it searches."""

    def __init__(self) -> None:
        self.begun, self.ended = Event(), Event()

    def spans(self, reading: SearchedText) -> Iterator[tuple[int, int]]:
        self.begun.set()
        assert self.ended.wait(timeout=10)
        yield 0, len(reading.text)


def test_a_long_answer_is_searched_while_the_loop_goes_on() -> None:
    waiting = Waiting()
    filters = (replace(HIDING.filters[0], matcher=waiting),)
    judge = guarding(replace(HIDING, filters=filters), "text")

    long = Delta("a" * (MAX_INLINE_SEARCH + 1), "stop")

    async def run() -> list[Sequence[Delta]]:
        told: list[Sequence[Delta]] = []
        stage = OutputStage(judge, told.append, raising, holds=True)
        stage.feed([long])
        await asyncio.to_thread(waiting.begun.wait, 10)
        assert not told
        waiting.ended.set()
        await until_in_loop(lambda: bool(told))
        return told

    assert asyncio.run(run()) == [[long._replace(text="{EMAIL}")]]


def test_what_comes_during_a_search_waits_for_it_and_one_that_is_given_up_tells_nothing() -> None:
    waiting = Waiting()
    filters = (replace(HIDING.filters[0], matcher=waiting),)
    judge = guarding(replace(HIDING, filters=filters), "text", is_async=True)

    async def run() -> list[Sequence[Delta]]:
        told: list[Sequence[Delta]] = []
        stage = OutputStage(judge, told.append, raising, holds=False)
        stage.feed([Delta("a" * (MAX_INLINE_SEARCH + 1))])
        await asyncio.to_thread(waiting.begun.wait, 10)
        stage.feed([Delta(" b"), Delta("", "stop", Usage(1, 3))])
        assert not told
        stage.cancel()
        waiting.ended.set()
        await asyncio.sleep(0.05)
        return told

    assert asyncio.run(run()) == []
