"""A call in the journal, as a test reads it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, TypedDict

Ended = Literal["stop", "length", "repetition", "error", "cancelled", "cut"]


class CallError(TypedDict):
    """The error that a client got. `type` is the exception's name."""

    type: str
    message: str


@dataclass(frozen=True, eq=False, kw_only=True)
class JournalEntry(Mapping[str, Any]):
    """One call. Its fields are keys, too: `call.status` is `call["status"]`.

    `ended` is None while the call runs. `time` is that of its arrival, in ISO 8601. `identifier` is
    the client's name of the model. `body` is the request's, as JSON or text. `error` is the one
    that the client got, and `rule_id` that of the rule that answered. Latencies are in
    milliseconds. `cassette` is the place of the recording that answered, and `differs` lists the
    differences between this request and the recorded one; other calls lack both keys.
    """

    request_id: str
    time: str
    access_key_id: str | None
    region: str | None
    operation: str
    model_id: str
    identifier: str
    headers: dict[str, str]
    body: Any
    engine: str | None
    rule_id: str | None
    status: int | None
    error: CallError | None
    text: str
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: int | None
    first_byte_latency_ms: int | None
    ended: Ended | None
    cassette: str | None = None
    differs: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Return the entry for an object of `/_emulator/requests`; skip keys without a field."""
        known = {each.name for each in fields(cls)}
        return cls(**{key: value for key, value in document.items() if key in known})

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - as in a dict of JSON
        if key in self._keys():
            return getattr(self, key)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def _keys(self) -> list[str]:
        names = [each.name for each in fields(self)]
        return [name for name in names if self.cassette or name not in ("cassette", "differs")]
