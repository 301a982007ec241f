"""The word cache: a text has the same tokens as from SentencePiece directly."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from engine.tokenization import tokenizer as words
from engine.tokenization.mistral_files import carried
from engine.tokenization.tokenizer import MISTRAL, SPACE, WordCache

FILES = sorted({version.file for version in MISTRAL.values()})
# Spaces, newlines, and characters that are bytes or pieces of their own: all may end a piece.
BITS = [" ", "  ", "\n", "\t", "\r\n", SPACE, "\0", "Zürich", "日本語", "🦜", "e\u0301", "\u00a0"]
BITS += ["the", "ing", "12", "{}", "[REF]", "[REFERENCE_DOC_1]", "<s>", "<0x0A>", "x" * 40]
TEXTS = st.lists(st.sampled_from(BITS) | st.text(max_size=5)).map("".join)


@pytest.fixture(scope="module", params=FILES)
def processor(request: pytest.FixtureRequest) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(carried(request.param)))


@given(TEXTS)
def test_word_by_word_is_all_at_once(processor: SentencePieceProcessor, text: str) -> None:
    known = WordCache(processor)
    expected = processor.encode("\n" + text)[2:]

    assert [known.encode(text), known.encode(text)] == [expected, expected]


@given(st.lists(TEXTS, max_size=4))
def test_so_it_is_when_few_words_are_kept(
    processor: SentencePieceProcessor, texts: list[str]
) -> None:
    known = WordCache(processor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "MAX_CACHED_WORDS", 3)
        for text in texts:
            assert known.encode(text) == processor.encode("\n" + text)[2:]
            assert len(known) <= 3


def test_threads_share_them(
    processor: SentencePieceProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "MAX_CACHED_WORDS", 50)
    known = WordCache(processor)

    def read(reader: int) -> bool:
        texts = [f"{line} new\nword{reader * line} " * 9 for line in range(200)]
        return all(known.encode(text) == processor.encode("\n" + text)[2:] for text in texts)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))


def test_long_words_are_not_kept(processor: SentencePieceProcessor) -> None:
    known = WordCache(processor)
    known.encode("so long: " + "x" * 33)

    assert sorted(known) == [" long:", "so"]
    assert known["x" * 33] == known.encode("x" * 33)  # as from another thread
    assert len(known) == 2


class Strange:
    """A vocabulary with a piece of two words."""

    def get_piece_size(self) -> int:
        return 2

    def id_to_piece(self, tokens: list[int]) -> list[str]:
        return [["a", f"New{SPACE}York"][token] for token in tokens]


def test_a_vocabulary_with_pieces_across_words_is_refused() -> None:
    with pytest.raises(ValueError, match=f"w{SPACE}"):
        WordCache(Strange())  # type: ignore[arg-type]  # all methods that are used
