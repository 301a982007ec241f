"""Comparison with published figures of Mistral 7B on a managed endpoint."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.streams.plan import USERS
from bench.streams.servers import OURS
from bench.streams.tables import DASH, Row, markdown

# From the launch article of Mistral 7B in SageMaker JumpStart: one A10G (ml.g5.2xlarge), TGI 1.1,
# 128 output tokens. By input words, for each of USERS: tokens a second, and median milliseconds a
# token. At 6,400 words, requests of 16 and more users exceeded the limit of 60 seconds.
SPEED = {
    128: (30, 54, 89, 166, 287, 499, 793, 1030),
    512: (29, 50, 80, 140, 210, 315, 383, 458),
    6_400: (17, 25, 30, 35),
}
LATENCY = {
    128: (32, 33, 34, 36, 41, 46, 59, 88),
    512: (34, 36, 39, 43, 54, 71, 112, 213),
    6_400: (57, 71, 98, 154),
}
SOURCE = (
    "Published: Mistral 7B Instruct behind a managed endpoint on one NVIDIA A10G (ml.g5.2xlarge,"
    " TGI 1.1, 128 tokens out), from the launch article of Mistral 7B in SageMaker JumpStart; it"
    " met its 60-second limit at 6,400 words from 16 users on. Latency is that of the whole"
    " answer, for each of its tokens."
)


def published_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Return a table of the published figures with these results of the same model."""
    columns: dict[str, Callable[[Row], str]] = {
        "words in": lambda row: str(row["words"]),
        "users": lambda row: str(row["users"]),
        "published, tokens/s": lambda row: _of(SPEED, row),
        "ms/token": lambda row: _of(LATENCY, row),
    }
    for result in results:
        card = (result["machine"]["gpus"] or [result["machine"]["processor"]])[0]
        columns[f"Invoke API on {card}, tokens/s"] = _measured(result, "tokens_per_second", 1.0)
        columns[f"ms/token on {card}"] = _measured(result, "answer_p50", 1e3 / result["tokens"])
    rows = [{"words": words, "users": users} for words in SPEED for users in USERS]
    return markdown(columns, rows)


def _of(table: Mapping[int, Sequence[int]], row: Row) -> str:
    figures = dict(zip(USERS, table[row["words"]], strict=False))  # requests of more users failed
    return str(figures.get(row["users"], DASH))


def _measured(result: Mapping[str, Any], key: str, scale: float) -> Callable[[Row], str]:
    found = {
        (row["words"], row["users"]): row[key] for row in result["rows"] if row["server"] == OURS
    }

    def cell(row: Row) -> str:
        value = found.get((row["words"], row["users"]))
        return DASH if value is None else f"{scale * value:.0f}"

    return cell
