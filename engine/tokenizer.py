"""Mistral's SentencePiece tokenizers: text to ids, and ids back to the bytes they stand for."""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from sentencepiece import SentencePieceProcessor

SPACE = "\u2581"  # SentencePiece writes a space as U+2581


class Tokenizer:
    """One tokenizer file, read whole: building one takes some 50 ms and no later call is slow.

    `dummy_prefix` says whether text gets a space put in front, as Mistral's first tokenizer was
    trained. `pieces` holds, by token id, the UTF-8 bytes that a token adds to the text: none for
    control pieces.
    """

    def __init__(self, model_file: Path, *, dummy_prefix: bool) -> None:
        self._processor = SentencePieceProcessor(model_file=str(model_file))
        self._dummy_prefix = dummy_prefix
        self.bos: int = self._processor.bos_id()
        self.eos: int = self._processor.eos_id()
        self.pieces = _piece_bytes(self._processor)
        self._longest = max(map(len, self._processor.id_to_piece(list(range(len(self.pieces))))))
        self._controls = _named_controls(self._processor)
        self._split = re.compile("(" + "|".join(map(re.escape, self._controls)) + ")").split

    def encode(self, text: str, *, enough: int | None = None) -> tuple[int, ...]:
        """Token ids of a prompt: one BOS, then the text, in which control pieces count as such.

        A text that is sure to be more than `enough` tokens is read only until it is.
        """
        if enough is not None:
            text = text[: enough * self._longest]
        return (self.bos, *self._encode_segments(text))

    def encode_text(self, text: str) -> list[int]:
        """Token ids of plain text that follows other text: no BOS and no space put in front."""
        # A newline is a byte piece of its own that never merges, so what follows it is exact.
        tokens: list[int] = self._processor.encode("\n" + text)
        return tokens[2:]

    def _encode_segments(self, text: str) -> Iterable[int]:
        # Hugging Face's tokenizers cut control pieces out of the raw text first and encode what
        # lies between; that `<s>` in a prompt counts as a second BOS shows Bedrock doing the same.
        for segment in self._split(text):
            if segment in self._controls:
                yield self._controls[segment]
            elif segment and self._dummy_prefix:
                yield from self._processor.encode(segment)
            elif segment:
                yield from self.encode_text(segment)


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


# Name in the registry: the file inside mistral-common, and whether it puts a space in front.
# Guess: v2 and later do not. Bedrock's recorded count for Small 2402 fits only so; the counts
# recorded for 7B (v1) fit either way, and mistral-common's reference puts the space there.
MISTRAL = {
    "v1": ("tokenizer.model.v1", True),
    "v2": ("mistral_instruct_tokenizer_240216.model.v2", False),
    "v3": ("mistral_instruct_tokenizer_240323.model.v3", False),
}


def load_tokenizer(name: str) -> Tokenizer:
    """One of Mistral's own tokenizers by its version, out of mistral-common (not imported).

    Raises `KeyError` for an unknown version, `FileNotFoundError` without the file.
    """
    file, dummy_prefix = MISTRAL[name]
    spec = find_spec("mistral_common")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("mistral-common, which carries Mistral's tokenizers, is missing")
    path = Path(spec.submodule_search_locations[0]) / "data" / file
    if not path.is_file():
        raise FileNotFoundError(f"the installed mistral-common does not carry {file}")
    return Tokenizer(path, dummy_prefix=dummy_prefix)
