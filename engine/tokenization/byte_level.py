"""A byte-level BPE tokenizer in Hugging Face's format, of a model that is not Mistral's.

`tokenizers`, which vLLM brings, is imported inside functions.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from engine.errors import ChatRefused
from engine.tokenization.chat_template import ChatPrompt, ChatTemplate

# GPT-2 writes each byte as a character: printable ones of Latin-1 as themselves, the others in
# order from U+0100.
PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
UNPRINTABLE = [byte for byte in range(0x100) if byte not in PRINTABLE]
BYTES = {chr(byte): byte for byte in PRINTABLE} | {
    chr(0x100 + number): byte for number, byte in enumerate(UNPRINTABLE)
}


class NoTemplate(ChatTemplate):
    """The template of a model whose prompts are not made here. Calls of tools are a JSON list."""

    def __init__(self) -> None:
        self.calls_style = "list"

    def encode(self, *_: object) -> ChatPrompt:
        raise ChatRefused("The model has no chat template of Mistral's.")


class ByteLevelTokenizer:
    """The tokenizer of a folder with tokenizer.json and tokenizer_config.json.

    `special` has the ids of the special tokens by name. Texts never become special tokens.
    """

    is_spaced = False

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # Else a client's text could hold the marks of the model's own template.
        self._tokenizer.encode_special_tokens = True
        added = self._tokenizer.get_added_tokens_decoder()
        self.special = {each.content: token for token, each in added.items() if each.special}
        told = json.loads((folder / "tokenizer_config.json").read_text())
        self.bos = self.special[told["bos_token"]]
        self.eos = self.special[told["eos_token"]]
        size = self._tokenizer.get_vocab_size()
        names = [self._tokenizer.id_to_token(token) or "" for token in range(size)]
        self.pieces = tuple(
            b"" if token in added else bytes(map(BYTES.__getitem__, name))
            for token, name in enumerate(names)
        )
        self.spelled = self.pieces
        self._names = {token: name.encode() for name, token in self.special.items()}
        self.chat = NoTemplate()

    def encode(self, text: str, *, enough: int | None = None) -> tuple[int, ...]:
        del enough  # no caller has a text without bounds
        return (self.bos, *self.encode_text(text))

    def encode_text(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def encode_spelled(self, text: str) -> list[int]:
        return self.encode_text(text)

    def to_prompt(self, tokens: Sequence[int]) -> str:
        named = (self._names.get(token, self.pieces[token]) for token in tokens[1:])
        return b"".join(named).decode(errors="replace")
