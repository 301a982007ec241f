"""Mistral's SentencePiece tokenizers, and the interface of all tokenizers."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple, Protocol

from sentencepiece import SentencePieceProcessor

from engine.tokenization.chat_template import ChatTemplate, load_template
from engine.tokenization.control_tokens import TOOL_CONTROL_TOKENS, ControlTokens
from engine.tokenization.mistral_files import BYTE_LEVEL, carried, is_tekken

SPACE = "\u2581"  # SentencePiece writes a space as U+2581
WORD = re.compile(r" *[^ \n]+|\n| +")
CROSSES_WORDS = re.compile(rf"[^{SPACE}\0]{SPACE}|\n")  # no piece may do so
MAX_CACHED_WORDS = 32_768  # some 250 bytes each
MAX_CACHED_CHARACTERS = 32  # of a word


class Tokenizer(Protocol):
    """A converter of text to one model's token ids, and back.

    `pieces` has, by token id, the UTF-8 bytes that a token adds to the text: none for control
    tokens. `spelled` has the names of `TOOL_CONTROL_TOKENS` as well. `is_spaced` tells whether the
    first word of an answer has a leading space.
    """

    bos: int
    eos: int
    pieces: tuple[bytes, ...]
    spelled: tuple[bytes, ...]
    is_spaced: bool

    def encode(self, text: str, *, enough: int | None = None) -> tuple[int, ...]:
        """Encode a prompt: one BOS, then the text, in which control pieces are control tokens.

        Stop encoding once the text is certain to exceed `enough` tokens.
        """
        ...

    def encode_text(self, text: str) -> list[int]:
        """Encode plain text that follows other text: no BOS, no leading space."""
        ...

    def encode_spelled(self, text: str) -> list[int]:
        """Encode a text in which the names of `TOOL_CONTROL_TOKENS` stand for these tokens."""
        ...

    def to_prompt(self, tokens: Sequence[int]) -> str:
        """Return the text that `encode` encodes to these tokens, with control tokens by name."""
        ...

    @property
    def chat(self) -> ChatTemplate:
        """Return the model's chat template. The first use takes some 0.7 s."""
        ...


class SentencePieceTokenizer:
    """A tokenizer of one SentencePiece file. Its creation takes some 50 ms.

    `dummy_prefix` adds a leading space to text, as Mistral's first tokenizer was trained. `gap`
    unused ids follow the first three, so that a text has the ids of a later version, which has its
    control tokens there.
    """

    is_spaced = True

    def __init__(self, model_file: Path, *, dummy_prefix: bool, gap: int = 0) -> None:
        self._file = model_file
        self._processor = SentencePieceProcessor(model_file=str(model_file))
        self._words = WordCache(self._processor)
        self._prefix = " " if dummy_prefix else ""
        self._gap = gap
        self.bos: int = self._processor.bos_id()
        self.eos: int = self._processor.eos_id()
        pieces = _piece_bytes(self._processor)
        self.pieces = (*pieces[:3], *(b"" for _ in range(gap)), *pieces[3:])
        self._longest = max(map(len, self._processor.id_to_piece(list(range(len(pieces))))))
        self._controls = _named_controls(self._processor)
        self._split = re.compile("(" + "|".join(map(re.escape, self._controls)) + ")").split
        controls = {
            name: self._controls[name] for name in TOOL_CONTROL_TOKENS if name in self._controls
        }
        self._tool_controls = ControlTokens(controls, self.encode_text)
        self.spelled = self._tool_controls.spell(self.pieces)

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
        return self._tool_controls.encode(text)

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
        """Return the names of the control tokens by id."""
        ids = self._shift(list(self._controls.values()))
        return {token: name.encode() for token, name in zip(ids, self._controls, strict=True)}

    def _encode_segments(self, text: str) -> list[int]:
        # Hugging Face's tokenizers split the raw text at control pieces first, and so does Bedrock:
        # it counts `<s>` in a prompt as a second BOS.
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
    """A tokenizer file in mistral-common, with the arguments of `SentencePieceTokenizer`."""

    file: str
    dummy_prefix: bool = False
    gap: int = 0


# By their names in the registry.
# Guess: v2 and later add no leading space. Bedrock's recorded count for Small 2402 fits only so;
# those for 7B (v1) fit either way, and mistral-common adds the space.
MISTRAL = {
    "v1": Version("tokenizer.model.v1", dummy_prefix=True),
    "v2": Version("mistral_instruct_tokenizer_240216.model.v2"),
    "v3": Version("mistral_instruct_tokenizer_240323.model.v3"),
    "v7": Version("mistral_instruct_tokenizer_241114.model.v7m1"),
    # The pieces of v1 with the ids of v3, for weights that prompts of both versions share.
    "v1-in-v3": Version("tokenizer.model.v1", dummy_prefix=True, gap=768),
}


def load_tokenizer(name: str, weights: str | None = None) -> Tokenizer:
    """Return one of Mistral's tokenizers by its version, from mistral-common.

    A Tekken is read from `weights`, a folder or a hub id, if given. The name `byte-level` is for
    the tokenizer of another model, in the folder `weights`. Raises `KeyError` for an unknown
    version, and `OSError` if the file is missing.
    """
    if name == BYTE_LEVEL:
        from engine.tokenization.byte_level import ByteLevelTokenizer  # for the demo alone

        assert weights, "it is in the folder of the weights"
        return ByteLevelTokenizer(Path(weights))
    if is_tekken(name):
        from engine.tokenization.tekken import load_tekken  # mistral-common takes 0.7 s to import

        return load_tekken(name, weights)
    version = MISTRAL[name]
    return SentencePieceTokenizer(
        carried(version.file), dummy_prefix=version.dummy_prefix, gap=version.gap
    )


class WordCache(dict[str, list[int]]):
    """A cache of the tokens of words that follow other text, with the spaces before them.

    Raises `ValueError` for a vocabulary that has pieces across the beginning of a word.
    """

    def __init__(self, processor: SentencePieceProcessor) -> None:
        self._processor = processor
        pieces: list[str] = processor.id_to_piece(list(range(processor.get_piece_size())))
        if across := CROSSES_WORDS.search("\0".join(pieces)):
            raise ValueError(f"a piece with {across[0]!r} crosses the beginning of a word")
        self._newline = self._ask("")[1]

    def encode(self, text: str) -> list[int]:
        """Encode a text that follows other text."""
        if SPACE in text:  # SentencePiece treats it as a space, `WORD` does not
            return self._ask(text)[2:]
        words = WORD.findall(text)
        is_known = self.keys() >= set(words)
        tokens = map(self.__getitem__, words) if is_known else self._read(words)
        return list(chain.from_iterable(tokens))

    def _read(self, words: list[str]) -> list[list[int]]:
        """Return the tokens of each word, and cache those of short words."""
        new = [word for word in set(words) if word not in self and word != "\n"]
        if new:
            self.update(self._learn(new))
        tokens = list(map(self.__getitem__, words))
        for word in new:
            if len(word) > MAX_CACHED_CHARACTERS:
                self.pop(word, None)
        if len(self) > MAX_CACHED_WORDS:
            self.clear()
        return tokens

    def __missing__(self, word: str) -> list[int]:
        """Encode a newline, or a word that another thread has removed meanwhile."""
        tokens = self._ask(word)[2:]
        if len(word) <= MAX_CACHED_CHARACTERS:
            self[word] = tokens
        return tokens

    def _learn(self, words: Collection[str]) -> Iterator[tuple[str, list[int]]]:
        """Yield words with their tokens. One call encodes all: a call costs as much as a word."""
        tokens = self._ask("\n".join(words) + "\n")
        begin = 2
        for word in words:
            end = tokens.index(self._newline, begin)
            yield word, tokens[begin:end]
            begin = end + 1

    def _ask(self, text: str) -> list[int]:
        """Encode the text after a newline: the first two tokens are a space and the newline.

        SentencePiece adds a leading space, which would join the first word, but not a newline.
        """
        tokens: list[int] = self._processor.encode("\n" + text)
        return tokens
