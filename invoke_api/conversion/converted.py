"""The result of a conversion: rules, and notes about what differs."""

from typing import Any, NamedTuple

Document = dict[str, Any]


class Converted(NamedTuple):
    """Rules as documents, the last one first in use, and notes about parts that rules lack."""

    rules: list[Document]
    notes: list[str]


class Note(NamedTuple):
    """A list of notes about one fixture."""

    about: str
    notes: list[str]

    def add(self, sentence: str) -> None:
        self.notes.append(f"{self.about}: {sentence}")
