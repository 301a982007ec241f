"""Conversion of Mistral's prompts into the template of SmolLM2, which is ChatML. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from engine.tokenization.byte_level import ByteLevelTokenizer

Role = Literal["system", "user", "assistant"]

# SmolLM2's own template begins with it, unless a conversation has a system message.
DEFAULT_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
# Guess: SmolLM2-135M was not trained to call tools, so any words do.
TOOLS = "You can call these tools:"
RESULT = "The tool answers:"

# By the control pieces of Mistral's templates: the role of the text behind them, and the words
# before that text. An answer ends with </s>, and a user speaks next.
OPENING: dict[str, tuple[Role, str]] = {
    "<s>": ("user", ""),
    "</s>": ("user", ""),
    "[INST]": ("user", ""),
    "[/INST]": ("assistant", ""),
    "[SYSTEM_PROMPT]": ("system", ""),
    "[/SYSTEM_PROMPT]": ("user", ""),
    "[AVAILABLE_TOOLS]": ("system", TOOLS),
    "[/AVAILABLE_TOOLS]": ("user", ""),
    "[TOOL_RESULTS]": ("user", RESULT),
    "[/TOOL_RESULTS]": ("assistant", ""),
}
MARK = re.compile("(" + "|".join(map(re.escape, OPENING)) + ")")
# A prompt ends with it if the answer must be a call. The form of the answer is forced then.
CALLS_MARK = re.compile(r"\s*\[TOOL_CALLS\]\s*$")


class Turn(NamedTuple):
    role: Role
    text: str


class Conversation(NamedTuple):
    """Turns, and the beginning of the answer that the model must continue."""

    turns: Sequence[Turn]
    beginning: str


def read_prompt(prompt: str) -> Conversation:
    """Read the turns of a prompt, whose control tokens are spelled out by name.

    A prompt without [INST] is a single message. Where a user wrote a control piece into a message,
    another turn begins.
    """
    turns = [*_merge(_turns(prompt))]
    beginning = ""
    if turns and turns[-1].role == "assistant" and not prompt.rstrip().endswith("</s>"):
        beginning = CALLS_MARK.sub("", turns.pop().text)
    # SmolLM2 has one system message, at the beginning.
    system = "\n\n".join(turn.text for turn in turns if turn.role == "system")
    others = [turn for turn in turns if turn.role != "system"]
    return Conversation([Turn("system", system or DEFAULT_SYSTEM), *others], beginning)


def _turns(prompt: str) -> Iterator[Turn]:
    role: Role = "user"
    words = ""
    for part in MARK.split(prompt):
        if part in OPENING:
            role, words = OPENING[part]
        elif text := part.strip():
            yield Turn(role, f"{words}\n{text}" if words else text)


def _merge(turns: Iterator[Turn]) -> Iterator[Turn]:
    """Yield the turns, with neighbours of the same role joined."""
    last: Turn | None = None
    for turn in turns:
        if last and turn.role == last.role:
            last = Turn(last.role, f"{last.text}\n\n{turn.text}")
            continue
        if last:
            yield last
        last = turn
    if last:
        yield last


def encode(conversation: Conversation, tokenizer: ByteLevelTokenizer) -> tuple[int, ...]:
    """Encode a conversation in SmolLM2's template, up to the answer."""
    start, end = tokenizer.bos, tokenizer.eos
    newline = tokenizer.encode_text("\n")
    tokens: list[int] = []
    for role, text in conversation.turns:
        tokens += [start, *tokenizer.encode_text(f"{role}\n{text}"), end, *newline]
    return (*tokens, start, *tokenizer.encode_text(f"assistant\n{conversation.beginning}"))
