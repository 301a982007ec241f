"""Which configurations are measured, and why others are not."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

USERS = (1, 2, 4, 8, 16, 32, 64, 128)
WORDS = (128, 512, 6_400)
# Tokens of prompts that a turn may bring without --full: what two cores read in some 10 s.
MOST_READ = 65_536


@dataclass(frozen=True, slots=True)
class Plan:
    """Pairs of words and users; `left_out` has a sentence for each pair that is not measured."""

    pairs: list[tuple[int, int]]
    left_out: list[dict[str, object]]


def to_plan(
    users: Iterable[int], words: Iterable[int], tokens: int, *, context: int, most_read: int | None
) -> Plan:
    """All pairs but those that the model's context can't hold, or that read more than `most_read`.

    None reads without a bound.
    """
    plan = Plan([], [])
    for length, count in product(words, users):
        why = _objection(length, count, tokens, context, most_read)
        if why:
            plan.left_out.append({"words": length, "users": count, "why": why})
        else:
            plan.pairs.append((length, count))
    return plan


def _objection(words: int, users: int, tokens: int, context: int, most: int | None) -> str | None:
    if words + tokens > context:
        return f"the context is {context} tokens"
    if most is not None and words * users > most:
        return f"over {most} tokens of prompts in a turn; --full measures it"
    return None
