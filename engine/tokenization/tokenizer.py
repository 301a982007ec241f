"""Mistral's tokenizers: text to ids, and ids back to the bytes they stand for."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol

from sentencepiece import SentencePieceProcessor

from engine.tokenization.chat_template import ChatTemplate, load_template
from engine.tokenization.control_tokens import TOOL_MARKS, Marks
from engine.tokenization.mistral_files import carried, is_tekken


class Tokenizer(Protocol):
    """What turns text into one model's token ids, and back.

    `pieces` holds, by token id, the UTF-8 bytes that a token adds to the text: none for control
    tokens. `spelled` is the same with the names of `TOOL_MARKS` for these. `is_spaced` tells
    whether the first word of an answer has a space in front.
    """

    bos: int
    eos: int
    pieces: tuple[bytes, ...]
    spelled: tuple[bytes, ...]
    is_spaced: bool

    def encode(self, text: str, *, enough: int | None = None) -> tuple[int, ...]:
        """Token ids of a prompt: one BOS, then the text, in which control pieces count as such.

        A text that is sure to be more than `enough` tokens is read only until it is.
        """
        ...

    def encode_text(self, text: str) -> list[int]:
        """Token ids of plain text that follows other text: no BOS and no space put in front."""
        ...

    def encode_spelled(self, text: str) -> list[int]:
        """The same for a text in which `TOOL_MARKS` are the tokens of these names."""
        ...

    def to_prompt(self, tokens: Sequence[int]) -> str:
        """What `encode` made these tokens of; control tokens that came otherwise by their names."""
        ...

    @property
    def chat(self) -> ChatTemplate:
        """How this model's conversations are written. Slow at its first use, some 0.7 s."""
        ...


class SentencePieceTokenizer:
    """One tokenizer file, read whole: building one takes some 50 ms and no later call is slow.

    `dummy_prefix` says whether text gets a space put in front, as Mistral's first tokenizer was
    trained. `gap` ids lie between the first three and the others: a text has then the ids of a
    later version, which put its control tokens there.
    """

    is_spaced = True

    def __init__(self, model_file: Path, *, dummy_prefix: bool, gap: int = 0) -> None:
        self._file = model_file
        self._processor = SentencePieceProcessor(model_file=str(model_file))
        self._words = Words(self._processor)
        self._prefix = " " if dummy_prefix else ""
        self._gap = gap
        self.bos: int = self._processor.bos_id()
        self.eos: int = self._processor.eos_id()
        pieces = _piece_bytes(self._processor)
        self.pieces = (*pieces[:3], *(b"" for _ in range(gap)), *pieces[3:])
        self._longest = max(map(len, self._processor.id_to_piece(list(range(len(pieces))))))
        self._controls = _named_controls(self._processor)
        self._split = re.compile("(" + "|".join(map(re.escape, self._controls)) + ")").split
        marks = {name: self._controls[name] for name in TOOL_MARKS if name in self._controls}
        self._marks = Marks(marks, self.encode_text)
        self.spelled = self._marks.spell(self.pieces)

    @cached_property
    def chat(self) -> ChatTemplate:
        return load_template(self._file, self._words.encode)

    def encode(self, text: str, *, enough: int | None = None) -> tuple[int, ...]:
        if enough is not None:
            text = text[: enough * self._longest]
        return (self.bos, *self._shift(self._encode_segments(text)))

    def encode_text(self, text: str) -> list[int]:
        return self._shift(self._words.encode(text))

    def encode_spelled(self, text: str) -> list[int]:
        return self._marks.encode(text)

    def to_prompt(self, tokens: Sequence[int]) -> str:
        return b"".join(self._prompt_pieces(tokens[1:])).decode(errors="replace")

    def _prompt_pieces(self, tokens: Sequence[int]) -> Iterator[bytes]:
        begins = True
        for token in tokens:
            name = self._names.get(token)
            piece = self.pieces[token] if name is None else name
            yield piece.removeprefix(b" ") if begins and self._prefix else piece
            begins = name is not None

    @cached_property
    def _names(self) -> dict[int, bytes]:
        """What is written for a control token in a prompt, by its id."""
        ids = self._shift(list(self._controls.values()))
        return {token: name.encode() for token, name in zip(ids, self._controls, strict=True)}

    def _encode_segments(self, text: str) -> list[int]:
        # Hugging Face's tokenizers cut control pieces out of the raw text first and encode what
        # lies between; that `<s>` in a prompt counts as a second BOS shows Bedrock doing the same.
        tokens: list[int] = []
        for segment in self._split(text):
            if segment in self._controls:
                tokens.append(self._controls[segment])
            elif segment:
                tokens += self._words.encode(self._prefix + segment)
        return tokens

    def _shift(self, tokens: list[int]) -> list[int]:
        if not self._gap:
            return tokens
        return [token + self._gap if token > 2 else token for token in tokens]


def _piece_bytes(processor: SentencePieceProcessor) -> tuple[bytes, ...]:
    tokens = list(range(processor.get_piece_size()))
    pieces = zip(
        processor.id_to_piece(tokens),
        processor.is_byte(tokens),
        processor.is_control(tokens),
        processor.is_unknown(tokens),
        strict=True,
    )
    return tuple(
        b""
        if control or unknown
        else bytes([int(piece[3:-1], 16)])  # a byte piece is written <0x0A>
        if byte
        else piece.replace(SPACE, " ").encode()
        for piece, byte, control, unknown in pieces
    )


def _named_controls(processor: SentencePieceProcessor) -> dict[str, int]:
    tokens = list(range(processor.get_piece_size()))
    controls = {
        piece: token
        for token, piece in zip(tokens, processor.id_to_piece(tokens), strict=True)
        if processor.is_control(token)
    }
    # `[control_8]` and its like are reserved ids, not words of the prompt language.
    return {piece: token for piece, token in controls.items() if not piece.startswith("[control_")}


class Version(NamedTuple):
    """`file` is inside mistral-common; the others are `SentencePieceTokenizer`'s."""

    file: str
    dummy_prefix: bool = False
    gap: int = 0


# By their names in the registry.
# Guess: v2 and later put none. Bedrock's recorded count for Small 2402 fits only so; the counts
# recorded for 7B (v1) fit either way, and mistral-common's reference puts the space there.
MISTRAL = {
    "v1": Version("tokenizer.model.v1", dummy_prefix=True),
    "v2": Version("mistral_instruct_tokenizer_240216.model.v2"),
    "v3": Version("mistral_instruct_tokenizer_240323.model.v3"),
    "v7": Version("mistral_instruct_tokenizer_241114.model.v7m1"),
    # The same pieces as v1, where v3 has them: for weights that both kinds of prompts share.
    "v1-in-v3": Version("tokenizer.model.v1", dummy_prefix=True, gap=768),
}


def load_tokenizer(name: str, weights: str | None = None) -> Tokenizer:
    """One of Mistral's own tokenizers by its version, out of mistral-common.

    A Tekken is read from these weights, a folder or a hub id, or else made of the vocabulary that
    mistral-common carries. Raises `KeyError` for an unknown version, `OSError` without the file.
    """
    if is_tekken(name):
        from engine.tokenization.tekken import load_tekken  # mistral-common takes 0.7 s to import

        return load_tekken(name, weights)
    version = MISTRAL[name]
    return SentencePieceTokenizer(
        carried(version.file), dummy_prefix=version.dummy_prefix, gap=version.gap
    )


SPACE = "\u2581"  # SentencePiece writes a space as U+2581
WORD = re.compile(r" *[^ \n]+|\n| +")
ACROSS = re.compile(rf"[^{SPACE}\0]{SPACE}|\n")  # what no piece may have
MOST = 32_768  # words that are kept, some 250 bytes each
LONGEST = 32  # characters of those


class Words(dict[str, list[int]]):
    """By words, each with the spaces before it, their tokens where they follow other text.

    Raises `ValueError` for a vocabulary whose pieces do not end where words begin.
    """

    def __init__(self, processor: SentencePieceProcessor) -> None:
        self._processor = processor
        pieces: list[str] = processor.id_to_piece(list(range(processor.get_piece_size())))
        if across := ACROSS.search("\0".join(pieces)):
            raise ValueError(f"a piece with {across[0]!r} goes on where a word begins")
        self._newline = self._ask("")[1]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text that follows other text."""
        if SPACE in text:  # a space, and no word begins there for `WORD`
            return self._ask(text)[2:]
        words = WORD.findall(text)
        new = [word for word in set(words) if word not in self and word != "\n"]
        if new:
            self.update(self._learn(new))
        tokens = list(chain.from_iterable(map(self.__getitem__, words)))
        for word in new:
            if len(word) > LONGEST:
                self.pop(word, None)
        if len(self) > MOST:
            self.clear()
        return tokens

    def __missing__(self, word: str) -> list[int]:
        """Of a newline, and of what another thread has cleared meanwhile."""
        tokens = self._ask(word)[2:]
        if len(word) <= LONGEST:
            self[word] = tokens
        return tokens

    def _learn(self, words: Collection[str]) -> Iterator[tuple[str, list[int]]]:
        """All at once, as lines of one text: a call of SentencePiece's costs as much as a word."""
        tokens = self._ask("\n".join(words) + "\n")
        begin = 2
        for word in words:
            end = tokens.index(self._newline, begin)
            yield word, tokens[begin:end]
            begin = end + 1

    def _ask(self, text: str) -> list[int]:
        """The tokens, after one for a space and one for a newline.

        SentencePiece puts a space in front, which would join the first word: not a newline.
        """
        tokens: list[int] = self._processor.encode("\n" + text)
        return tokens
