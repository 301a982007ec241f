"""The scripted engine: known answers, and a tokenizer that may be missing."""

from typing import Any

from engine.protocol import GenerationRequest
from engine.scripted import ScriptedEngine
from tests.support.receiving import text_of


async def answer_to(prompt: str, tokenizer: str = "v1", **asked: Any) -> str:
    engine = ScriptedEngine(tokenizer=tokenizer, context_length=1_024)
    await engine.start()
    request = GenerationRequest(
        request_id="r", prompt=engine.tokenizer().encode(prompt), max_tokens=500, **asked
    )
    return await text_of(engine, request)


async def test_the_same_prompt_gets_the_same_words_and_another_gets_others() -> None:
    first = await answer_to("Why?")

    assert await answer_to("Why?") == first
    assert await answer_to("Why not?") != first
    assert first.startswith(" Scripted answer ")


async def test_an_unknown_tokenizer_is_the_reason_of_its_failure() -> None:
    engine = ScriptedEngine(tokenizer="v9", context_length=1_024)
    await engine.start()

    assert engine.state().status == "failed"
    assert "'v9'" in (engine.state().reason or "")


async def test_an_answer_is_as_long_as_asked() -> None:
    whole = await answer_to("Why?")
    longer = await answer_to("Why?", min_tokens=100)

    assert longer == 2 * whole
    assert len(await answer_to("Why?", ignores_eos=True)) > 5 * len(whole)
