"""The rows that an engine answers, as requests, and the services that they are sent to."""

import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from invoke_api.models.registry import DEFAULT_REGISTRY, load_registry
from tests.fidelity import answers, conversations, converse, counts, probes, texts, two_layers
from tests.fidelity.case import Case
from tests.fidelity.wire import PROTOCOLS, Answer, Wire, send

TOKENIZERS = {
    name: model.tokenizer
    for model in load_registry(DEFAULT_REGISTRY).models.values()
    for name in (model.id, *model.listing.profiles)
}
# Rows whose requests reach an engine.
CASES = [
    case
    for table in (two_layers, converse, probes)
    for row in table.TABLE
    for case in row.cases
    if case.status == 200 or case.in_stream
]


@dataclass(frozen=True, kw_only=True)
class Target:
    """An engine behind a version of HTTP, with its description in docs/fidelity.md.

    `fixture` has the service's URL. `tokenizers` are those of the engine's models; `uncounted` are
    those that count differently from Bedrock. `is_scripted` tells whether the engine answers with
    the scripted engine's texts. `without` are models, and `but` are beginnings of rows' names, that
    are left out.
    """

    engine: str
    protocol: str
    fixture: str
    told: str = ""
    tokenizers: Sequence[str] = ("v1", "v2", "v3", "v7", "tekken", "tekken-v7")
    uncounted: Sequence[str] = ()
    is_scripted: bool = True
    takes_images: bool = True
    without: Sequence[str] = ()
    but: tuple[str, ...] = ()

    def can_answer(self, row: Any) -> bool:
        """Tell whether the row is true for this target."""
        case = to_case(row)
        tokenizer = TOKENIZERS[case.model]
        if case.model in self.without or (self.but and row.name.startswith(self.but)):
            return False
        if isinstance(row, texts.Text) and row.is_of_script and not self.is_scripted:
            return False
        if isinstance(row, conversations.Conversation) and tokenizer in self.uncounted:
            return False
        return tokenizer in self.tokenizers and (
            self.takes_images or b'"image"' not in case.raw_body()
        )

    def __str__(self) -> str:
        return f"{self.engine}, {self.protocol}"


SCRIPTED = [
    Target(engine="scripted", protocol=protocol, fixture="scripted") for protocol in PROTOCOLS
]
REPLAY = Target(
    engine="replay",
    protocol="h2",
    fixture="replayed",
    told="a replay of the scripted engine's answers",
)
# Without Tekken, which is not in the package of the other tokenizers and would need a download.
# Without images, because this target gets token ids.
STUB = Target(
    engine="remote",
    protocol="http/1.1",
    fixture="stubbed",
    told="a model server that gives the same answers",
    tokenizers=("v1", "v2", "v3", "v7"),
    takes_images=False,
)
# The demo checkpoints have v3 in place of Tekken, and v3 refuses ids that v2 accepts. All models of
# 2025 share one checkpoint. A window of 32,768 tokens takes half a minute without a GPU.
VLLM = Target(
    engine="vllm",
    protocol="h2",
    fixture="demo",
    told="vLLM on the demo checkpoints",
    uncounted=("tekken", "tekken-v7"),
    without=probes.OF_2025[1:],
    is_scripted=False,
    but=("a short id of a call", "a prompt and max_tokens that fill the window"),
)
OTHERS = [REPLAY, STUB, VLLM]


def to_case(row: Any) -> Case:
    """Return the request of a row of any table here."""
    asked: dict[str, Any]
    match row:
        case Case():
            return row
        case counts.Count():
            body = {"prompt": row.prompt, "max_tokens": 3, "temperature": 0}
            return Case(name=row.name, seen=row.seen, model=row.model, body=body)
        case texts.Text():
            body = {"prompt": "Why?", "temperature": 0, **row.more}
            return Case(name=row.name, seen=row.seen, body=body)
        case answers.Whole():
            asked = {"messages": [{"role": "user", "content": conversations.QUESTION}]}
            return _of_messages(row, asked, "us-west-2", ("invoke",))
        case conversations.Conversation():
            return _of_messages(row, row.to_body(), row.region, row.operations)
    raise TypeError(row)


def _of_messages(row: Any, body: Any, region: str, operations: tuple[str, ...]) -> Case:
    model = row.model
    if model.startswith("us."):  # the profile of the row's region
        model = f"{region[:2]}.{model.removeprefix('us.')}"
    return Case(
        name=row.name,
        seen=row.seen,
        model=model,
        region=region,
        operations=operations,
        body=json.dumps(body, default=in_base64).encode(),
    )


def in_base64(raw: bytes) -> str:
    """Return bytes as an SDK encodes them."""
    return b64encode(raw).decode()


TABLES = (counts.TABLE, texts.TABLE, answers.TABLE, conversations.TABLE, CASES)


def all_cases() -> list[Case]:
    return [to_case(row) for table in TABLES for row in table]


def count(target: Target) -> int:
    """Return how many requests are sent to the target."""
    rows = (row for table in TABLES for row in table if target.can_answer(row))
    return sum(len(to_case(row).operations) for row in rows)


def on_engines(table: Iterable[Any], targets: Sequence[Target]) -> pytest.MarkDecorator:
    """Return a mark that sends each row of a table to each target that can answer it."""
    params = [
        pytest.param(row, target, id=f"{row.name}, {target}")
        for row in table
        for target in targets
        if target.can_answer(row)
    ]
    return pytest.mark.parametrize(("row", "target"), params)


class Place:
    """A target that is running."""

    def __init__(self, target: Target, url: str, wire: Wire) -> None:
        self.target = target
        self._url = url
        self._wire = wire

    def ask(self, row: Any, operation: str) -> Answer:
        return send(self._wire, to_case(row), operation, self._url, self.target.protocol)
