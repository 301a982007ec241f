"""The tokens of each word, kept: a text is mostly words that were there before.

In Mistral's SentencePiece vocabularies a space stands at the beginning of a piece and a newline is
a piece of its own. So none is made across the beginning of a word, and a text has the tokens of its
words, one word after the other.
"""

import re
from collections.abc import Collection, Iterator
from itertools import chain

from sentencepiece import SentencePieceProcessor

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
        is_known = self.keys() >= set(words)
        tokens = map(self.__getitem__, words) if is_known else self._read(words)
        return list(chain.from_iterable(tokens))

    def _read(self, words: list[str]) -> list[list[int]]:
        """Return the tokens of each word, and keep those of words that are not too long."""
        new = [word for word in set(words) if word not in self and word != "\n"]
        if new:
            self.update(self._learn(new))
        tokens = list(map(self.__getitem__, words))
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
