"""Make docs/fidelity.md from the tables: `python -m tests.fidelity.report` writes it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from invoke_api.operations.not_offered import TABLES as NOT_OFFERED
from tests.fidelity import (
    answers,
    api_keys,
    calls,
    catalogue,
    chats,
    chunks,
    conversations,
    converse,
    counts,
    exceptions,
    forms,
    frames,
    guardrails,
    headers,
    heads,
    identifiers,
    imported,
    imported_answers,
    model_servers,
    order,
    probes,
    profiles,
    recordings,
    regions,
    routes,
    signatures,
    texts,
    two_layers,
    violations,
)
from tests.fidelity.case import GUESS
from tests.fidelity.engine_rows import OTHERS, count
from tests.fidelity.wire import PROTOCOLS

FILE = Path(__file__).parents[2] / "docs" / "fidelity.md"
TABLES = {
    "Bodies": violations,
    "Two layers": two_layers,
    "Model servers": model_servers,
    "Order": order,
    "Identifiers": identifiers,
    "Regions": regions,
    "Headers": headers,
    "Signatures": signatures,
    "API keys": api_keys,
    "Routes": routes,
    "Converse": converse,
    "Forms": forms,
    "Probes": probes,
    "Guardrails": guardrails,
    "Catalogue": catalogue,
    "Profiles": profiles,
    "Imported models": imported,
    "Imported models' answers": imported_answers,
    "Exceptions": exceptions,
    "Heads": heads,
    "Answers": answers,
    "Chunks": chunks,
    "Frames": frames,
    "Texts": texts,
    "Counts": counts,
    "Conversations": conversations,
    "Calls of tools": calls,
    "Recordings": recordings,
    "Chats": chats,
}

HEAD = """\
# Fidelity

<!-- Made by `python -m tests.fidelity.report` from the tables beside it; a test compares -->

This page says, answer by answer, what the service does as Bedrock does it, and where each answer is
known from. It has {rows} rows. {heard} of them were recorded from Bedrock, are quoted in public by
somebody who saw them, or are in AWS's own documents. The other {guesses} are guesses, with their
reasons. A test sends each row to the service and compares the answer to the byte.

Rows that are requests are sent to the scripted engine over {protocols}. Rows that reach an
engine are also sent to

{engines}

The same rows can be sent to Bedrock itself. That costs money, so nothing does it automatically:

```sh
BEDROCK_REMOTE=1 AWS_PROFILE=... .venv/bin/python -m pytest tests/fidelity
```

This signs with the default credentials. It calls each row's region, or the address in
`AWS_ENDPOINT_URL_BEDROCK_RUNTIME` and `AWS_ENDPOINT_URL_BEDROCK`. Rows that need a state which an
account cannot be put into (an expired key, a retired model) are skipped. If a row fails there, the
row is wrong: correct it, write the date into `seen`, and correct the code.

## Not built

- These operations of Bedrock Runtime answer only that they are not offered: {runtime}.
- {control_plane} operations of the control plane do the same: all except the catalogue of models
  and profiles, and the configuration of the invocation log. Their messages are ours.
- Audio as AAC, PCM, or in MP4, Matroska and WebM is refused with a message of ours. WAV, MP3, FLAC
  and Ogg are read.
- Guardrails find words, phrases and patterns ([guardrails](guardrails.md)). Nothing here replaces
  AWS's own models and lists. No recording of a guardrail with a Mistral model is known: the fields
  around such answers are as recorded with other models.
- Latency-optimized inference and reserved tiers are refused, as for a model without them.
- There are no IAM policies: each key may call every model.
- Presigned URLs work only as short-term API keys.
"""


NAMES = {"http/1.1": "HTTP/1.1", "h2": "HTTP/2"}


class RowLike(Protocol):
    """A row of any table."""

    @property
    def name(self) -> str: ...

    @property
    def seen(self) -> str: ...


def names_in(service: str) -> list[str]:
    """Return the operations of a service model that are not offered."""
    return [name for row in NOT_OFFERED[service].values() for name in row.values()]


def report() -> str:
    rows: list[RowLike] = [row for table in TABLES.values() for row in table.TABLE]
    guesses = [row for row in rows if row.seen == GUESS]
    head = HEAD.format(
        rows=len(rows),
        heard=len(rows) - len(guesses),
        guesses=len(guesses),
        protocols=" and ".join(NAMES[protocol] for protocol in PROTOCOLS),
        engines="\n".join(f"- {target.told}: {count(target)} requests" for target in OTHERS),
        runtime=", ".join(sorted(names_in("bedrock-runtime"))),
        control_plane=len(names_in("bedrock")),
    )
    sections = (line for title, table in TABLES.items() for line in section(title, table))
    return "\n".join([head, *sections])


def section(title: str, table: Any) -> Iterator[str]:
    yield from (f"## {title}", "", table.__doc__.strip(), "")
    heard = [(row.seen, row.name) for row in table.TABLE if row.seen != GUESS]
    guesses = [(reason(row), row.name) for row in table.TABLE if row.seen == GUESS]
    yield from grouped("seen", heard)
    yield from grouped("guess", guesses)


def reason(row: RowLike) -> str:
    return getattr(row, "why", "") or "nothing was found"


def grouped(title: str, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for source, name in pairs:
        groups.setdefault(source, []).append(name.replace("|", "\\|"))
    if not groups:
        return
    yield f"| {title} | {'source' if title == 'seen' else 'reason'} |"
    yield "| --- | --- |"
    for source, names in groups.items():
        yield f"| {'; '.join(names)} | {source} |"
    yield ""


if __name__ == "__main__":
    FILE.write_text(report())
