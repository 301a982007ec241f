"""Selection of the configurations to measure in each round, once, or not at all."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

USERS = (1, 2, 4, 8, 16, 32, 64, 128)
WORDS = (128, 512, 6_400)
# The limit for a turn's prompts that is repeated without --full: 10 s of prefill on two cores.
MAX_TOKENS_READ = 65_536


@dataclass(frozen=True, slots=True)
class Plan:
    """The pairs of words and users of each round, and those that are measured `once`.

    `left_out` are pairs that exceed the model's context.
    """

    pairs: list[tuple[int, int]]
    once: list[tuple[int, int]]
    left_out: list[tuple[int, int]]


def to_plan(
    users: Iterable[int], words: Iterable[int], tokens: int, *, context: int, most_read: int | None
) -> Plan:
    """Return the plan. Pairs with more than `most_read` prompt tokens are measured once."""
    plan = Plan([], [], [])
    for length, count in product(words, users):
        if length + tokens > context:
            plan.left_out.append((length, count))
        elif most_read is not None and length * count > most_read:
            plan.once.append((length, count))
        else:
            plan.pairs.append((length, count))
    return plan
