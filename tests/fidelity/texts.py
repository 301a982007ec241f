"""Texts of answers: their content, their end, and the tokens that the end counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fidelity.case import GUESS

DATADOG = "DataDog/dd-trace-js's recordings of 7B: 94 chunks for 94 tokens, 129 for 128 of text"


@dataclass(frozen=True, kw_only=True)
class Text:
    """An answer. `text` is the whole text; `tokens` is the output count if it is known."""

    name: str
    seen: str
    why: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    finish: Literal["stop", "length"] = "stop"
    tokens: int | None = None
    text: str | None = None
    last: str | None = None

    @property
    def is_of_script(self) -> bool:
        """Tell whether the row needs the scripted engine's text."""
        return self.text is not None or bool(self.more.get("stop"))


TABLE = [
    Text(name="the end of a sequence counts, and is a chunk without text", seen=DATADOG, last=""),
    Text(
        name="the last of max_tokens is a chunk with its text",
        seen="open-telemetry/opentelemetry-js-contrib's recording of Small 2402",
        more={"max_tokens": 3},
        finish="length",
        tokens=3,
        text=" Scripted answer",
    ),
    Text(
        name="the leading space is kept",
        seen=DATADOG,
        more={"max_tokens": 1},
        finish="length",
        tokens=1,
        text=" Script",
        last=" Script",
    ),
    Text(
        name="a stop sequence ends with stop",
        seen="the User Guide",
        more={"stop": ["answer"]},
    ),
    Text(
        name="a stop sequence is cut from the text",
        seen=GUESS,
        more={"stop": ["answer"]},
        text=" Scripted ",
    ),
    Text(
        name="a stop sequence is cut inside a token",
        seen=GUESS,
        more={"stop": ["ipt"]},
        text=" Scr",
    ),
    Text(
        name="the first stop sequence in the text wins",
        seen=GUESS,
        more={"stop": ["answer", "Script"]},
        text=" ",
    ),
    Text(
        name="with a stop sequence the last chunk has the rest of the text",
        seen="langchain-ai/langchain-aws#215, of Small 2402: three characters, for one of four",
        more={"stop": ["test"]},
        last="ed.",
    ),
    Text(
        name="as many characters wait as a stop sequence has but one, whatever they are",
        seen=GUESS,
        why="vLLM does it, and it explains the last chunk of the row before",
        more={"stop": [" Scripted answer!"], "max_tokens": 3},
        finish="length",
        tokens=3,
        text=" Scripted answer",
        last=" Scripted answer",
    ),
]
