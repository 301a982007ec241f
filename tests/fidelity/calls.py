"""Forced tool calls, by model and by way of forcing."""

from dataclasses import dataclass
from typing import Any

from tests.fidelity.case import GUESS
from tests.support.servers import LARGE, LARGE_3, LARGE_2407, MINISTRAL_3B, PIXTRAL, SMALL

MAGISTRAL = "mistral.magistral-small-2509"
DEVSTRAL = "mistral.devstral-2-123b"
ANY = "API reference, ToolChoice; public reports, 2024 to 2026"
REPORTS = "public reports, 2025 to 2026"
FUNCTION = {"type": "function", "function": {"name": "second"}}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A request with a tool choice.

    `choice` is Converse's `toolChoice` or InvokeModel's `tool_choice`. `called` is the tool that
    the answer must call: any offered one, a named one, or None if the answer may be text.
    """

    name: str
    model: str
    choice: Any
    called: str | None
    by_converse: bool = False
    seen: str = GUESS
    why: str = ""


TABLE = [
    *(
        Choice(
            name=f"any to {name} by Converse",
            model=model,
            choice={"any": {}},
            called="any",
            by_converse=True,
            seen=ANY,
        )
        for name, model in (
            ("Large 2402", LARGE),
            ("Small 2402", SMALL),
            ("Large 2407", LARGE_2407),
            ("Pixtral", PIXTRAL),
            ("Large 3", LARGE_3),
            ("Ministral 3", MINISTRAL_3B),
            ("Magistral", MAGISTRAL),
            ("Devstral", DEVSTRAL),
        )
    ),
    *(
        Choice(
            name=f"a tool by its name to {name}",
            model=model,
            choice={"tool": {"name": "second"}},
            called=called,
            by_converse=True,
            seen=seen,
            why=why,
        )
        for name, model, called, seen, why in (
            ("Large 3", LARGE_3, "second", REPORTS, ""),
            ("Ministral 3", MINISTRAL_3B, "second", REPORTS, ""),
            ("Magistral", MAGISTRAL, None, REPORTS, ""),
            ("Devstral", DEVSTRAL, "second", GUESS, "as Large 3 and Ministral 3"),
        )
    ),
    *(
        Choice(
            name=f"tool_choice any to {name}",
            model=model,
            choice="any",
            called="any",
            seen="User Guide, model-parameters-mistral-large-2407",
        )
        for name, model in (("Large 2407", LARGE_2407), ("Pixtral", PIXTRAL))
    ),
    *(
        Choice(
            name=f"tool_choice {word} to {name}",
            model=model,
            choice=choice,
            called=called,
            why="the models of 2025 take OpenAI's keys",
        )
        for name, model in (("Large 3", LARGE_3), ("Magistral", MAGISTRAL))
        for word, choice, called in (
            ("any", "any", "any"),
            ("required", "required", "any"),
            ("with the name of a function", FUNCTION, "second"),
        )
    ),
    Choice(
        name="a forced call beside a schema for the answer",
        model=LARGE_3,
        choice={"any": {}},
        called="any",
        by_converse=True,
        why="the API reference of ToolChoice says that a tool is called",
    ),
]
